"""What a policy would have done over return series of the past. Computed and answered, never stored."""
