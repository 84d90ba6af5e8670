"""Figures that an institution has as CSV: return series and tables of assumptions. Nothing here is stored."""
