"""What a portfolio may grow to, and how likely a goal is."""
