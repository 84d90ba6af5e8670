"""The review of everybody: found without locks, decided again under them."""
