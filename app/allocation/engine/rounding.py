"""Rounding portfolios to tenths of a percent so that they still sum to one and obey every limit."""

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.constraints import Constraints
from app.allocation.engine.correlation import Array

UNITS = 1000  # a whole portfolio: weights are published in tenths of a percent
_ROUNDING = 1e-6  # of a unit

Units = NDArray[np.int16]


def round_weights(weights: Array, constraints: Constraints) -> tuple[Units, NDArray[np.bool_]]:
    """Portfolios (m, k) in whole units, and whether each of them obeys the constraints (m,).

    Largest remainder (Hamilton's method) within the bounds; where that breaks the limit of a group, units move between
    classes, each time the move that mends most and strays least from the exact weights.
    """
    exact = weights * UNITS
    low = np.ceil(np.array(constraints.lower) * UNITS - _ROUNDING)
    high = np.floor(np.array(constraints.upper) * UNITS + _ROUNDING)
    units = np.clip(np.floor(exact + _ROUNDING), low, high)
    missing = UNITS - units.sum(axis=1)
    remainder = np.where(units < high, exact - units, -np.inf)
    rank = np.argsort(np.argsort(-remainder, axis=1, kind="stable"), axis=1, kind="stable")
    units += (rank < missing[:, None]) & (units < high)
    minimum, maximum = constraints.group_limits()
    limits = np.ceil(minimum * UNITS - _ROUNDING), np.floor(maximum * UNITS + _ROUNDING)
    fine = (units.sum(axis=1) == UNITS) & (units >= low).all(axis=1)
    if constraints.groups:
        for _ in range(2 * len(low)):
            broken = np.flatnonzero(fine & (_violation(units @ constraints.matrix.T, *limits) > 0))
            if not len(broken):
                break
            units[broken], mended = _move(units[broken], exact[broken], (low, high), constraints.matrix, limits)
            fine[broken] = mended
        fine &= _violation(units @ constraints.matrix.T, *limits) == 0
    return units.astype(np.int16), fine


def _violation(sums: Array, minimum: Array, maximum: Array) -> Array:
    """Units by which group sums (..., groups) miss their limits, added up."""
    missed: Array = (np.maximum(minimum - sums, 0) + np.maximum(sums - maximum, 0)).sum(axis=-1)
    return missed


def _move(
    units: Array, exact: Array, bounds: tuple[Array, Array], groups: Array, limits: tuple[Array, Array]
) -> tuple[Array, NDArray[np.bool_]]:
    """One unit from one class to another in every row, the best such move, and whether it mended anything."""
    size = units.shape[1]
    giver, taker = (index.ravel() for index in np.indices((size, size)))
    change = groups.T[taker] - groups.T[giver]
    sums = units @ groups.T
    left = _violation(sums[:, None, :] + change, *limits)
    strays = (units[:, taker] + 1 - exact[:, taker]) ** 2 - (units[:, taker] - exact[:, taker]) ** 2
    strays += (units[:, giver] - 1 - exact[:, giver]) ** 2 - (units[:, giver] - exact[:, giver]) ** 2
    allowed = (units[:, giver] > bounds[0][giver]) & (units[:, taker] < bounds[1][taker]) & (giver != taker)
    cost = np.where(allowed, left + strays / (16 * UNITS), np.inf)
    best = cost.argmin(axis=1)
    rows = np.arange(len(units))
    mended = allowed[rows, best] & (left[rows, best] < _violation(sums, *limits))
    moved = units.copy()
    moved[rows, giver[best]] -= mended
    moved[rows, taker[best]] += mended
    return moved, mended
