"""Versions of the policy: drafts, their differences and pictures, and how a published one reaches the customers."""
