"""The allocation engine: pure functions from numbers to portfolios.

Nothing here reads a clock, a setting or a database. Import what you need from the module that decides it; this package
imports nothing by itself.
"""

# Part of every recommendation's record: raise it whenever the same inputs would give other weights.
ENGINE_VERSION = "1"
