"""How far holdings are from their target portfolio, and which asset classes have left their bands.

Money is counted in whole ten-thousandths of the currency, so that every sum and every comparison is exact.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.correlation import Array
from app.allocation.engine.rounding import UNITS
from app.allocation.engine.upkeep import Upkeep

MONEY_UNITS = 10_000
"""Units of money in one of the currency: four decimals."""
CENT = MONEY_UNITS // 100
_MILLION = 1_000_000

Amounts = NDArray[np.int64]


@dataclass(frozen=True)
class Drift:
    """n customers' holdings against their targets in k asset classes.

    `total` (n,), `goal` and `width` (n, k) are amounts: what the target asks for, rounded down, and how far a class may
    stray from it: its band, and a cent. `actual`, `target` and `band` (n, k) are shares of the total. `drift` (n,) is
    half the sum of absolute differences. Without money `actual` and `drift` are NaN, and nothing is breached.
    """

    total: Amounts
    goal: Amounts
    width: Amounts
    actual: Array
    target: Array
    band: Array
    drift: Array
    breached: NDArray[np.bool_]


def measure(held: Amounts, target: NDArray[np.integer[Any]], upkeep: Upkeep, total: Amounts | None = None) -> Drift:
    """Drift of holdings (n, k) from target weights (n, k) in thousandths.

    `total` (n,): the money that the targets are shares of, where some of it is not invested yet; by default what is
    held.
    """
    whole = held.sum(axis=1) if total is None else total
    weights = np.asarray(target, dtype=np.int64)
    millionths = _bands(weights, upkeep)
    goal = _part(whole[:, None], weights, UNITS)
    width = _part(whole[:, None], millionths, _MILLION) + CENT
    some = whole > 0
    actual = np.divide(held, whole[:, None], out=np.full(held.shape, np.nan), where=some[:, None])
    shares = weights / UNITS
    return Drift(
        total=whole,
        goal=goal,
        width=width,
        actual=actual,
        target=shares,
        band=millionths / _MILLION,
        drift=np.abs(actual - shares).sum(axis=1) / 2,
        breached=(np.abs(held - goal) > width) & some[:, None],
    )


def _bands(weights: NDArray[np.int64], upkeep: Upkeep) -> NDArray[np.int64]:
    """How far each class may stray from its target (n, k), in millionths of the portfolio."""
    relative = np.minimum(upkeep.band_most, upkeep.band_relative * weights / UNITS)
    band: NDArray[np.int64] = np.rint(np.maximum(upkeep.band_least, relative) * _MILLION).astype(np.int64)
    return band


def _part(whole: Amounts, parts: NDArray[np.int64], of: int) -> Amounts:
    """whole * parts / of, rounded down, without leaving 64 bits on the way."""
    part: Amounts = parts * (whole // of) + parts * (whole % of) // of
    return part
