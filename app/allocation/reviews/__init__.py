"""Reasons for somebody to look at a customer's portfolio."""
