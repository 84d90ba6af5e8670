"""What customers hold: told by the institution, measured against their portfolio, led back to it."""
