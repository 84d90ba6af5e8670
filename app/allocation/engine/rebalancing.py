"""Trades that bring holdings back to their target: new money first, then as few sales as possible.

1. Inside the bands, and without new money, nothing is traded.
2. New money buys what is furthest below its target, a withdrawal sells what is furthest above, counted in widths of
   the bands, so that what would breach first is mended first. If that alone brings every class back, it is all.
3. Otherwise every class that breaches returns to its target, not only to the edge of its band, from where the next
   small move would trade it again. The other side of these trades are the classes furthest from their targets on the
   opposite side; what lies within its band is not traded for its own sake.
4. Trades below the minimum are left out and the others of that side grow; the last trade of a side stays.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.drift import Amounts, Drift, measure
from app.allocation.engine.rounding import UNITS
from app.allocation.engine.upkeep import Upkeep

Numbers = Sequence[int]


class Outcome(IntEnum):
    """Why there are trades, or none."""

    NOTHING_HELD = 0
    INSIDE_BANDS = 1
    BELOW_MINIMUM = 2
    NEW_MONEY = 3
    WITHDRAWAL = 4
    REBALANCE = 5


@dataclass(frozen=True)
class Rebalancing:
    """`trades` (n, k): amounts bought (positive) and sold (negative); a row sums to the new money of its customer.

    `before`, `ahead` and `after` measure the holdings as they are, as shares of the money afterwards, and with the
    trades; `outcome` (n,) says what was decided.
    """

    trades: Amounts
    before: Drift
    ahead: Drift
    after: Drift
    outcome: NDArray[np.int8]


def rebalance(
    held: Amounts,
    target: NDArray[np.integer[Any]],
    money: Amounts,
    upkeep: Upkeep,
    minimum: float | None = None,
) -> Rebalancing:
    """Trades for n customers holding (n, k) amounts, with target weights (n, k) in thousandths that sum to one.

    `money` (n,): to invest, or, where negative, to be paid out. `minimum`: the smallest trade as a share of the money
    afterwards; that of the policy if None.

    Raises:
        ValueError: if more is to be paid out than is held, or weights do not sum to one.
    """
    before = measure(held, target, upkeep)
    total = before.total + money
    if (total < 0).any():
        raise ValueError("more is to be paid out than is held")
    if (np.asarray(target).sum(axis=1) != UNITS).any():
        raise ValueError("target weights must sum to one")
    share = Fraction(upkeep.minimum_trade if minimum is None else minimum).limit_denominator(10**6)
    ahead = measure(held, target, upkeep, total)
    trades = np.zeros_like(held)
    outcome = np.where(total > 0, Outcome.INSIDE_BANDS, Outcome.NOTHING_HELD).astype(np.int8)
    for row in np.flatnonzero(ahead.breached.any(axis=1) | (money != 0)).tolist():
        goals = _goals(int(total[row]), target[row].tolist())
        one = _Customer(held[row].tolist(), goals, ahead.width[row].tolist(), share * int(total[row]))
        trades[row], outcome[row] = one.plan(int(money[row]), np.flatnonzero(ahead.breached[row]).tolist())
    return Rebalancing(trades, before, ahead, measure(held + trades, target, upkeep), outcome)


def _goals(total: int, target: Numbers) -> list[int]:
    """Amounts at the target that sum to the total: largest remainder."""
    parts = [divmod(total * weight, UNITS) for weight in target]
    missing = total - sum(whole for whole, _ in parts)
    first = sorted(range(len(parts)), key=lambda i: -parts[i][1])[:missing]
    return [whole + (i in first) for i, (whole, _) in enumerate(parts)]


@dataclass(frozen=True)
class _Side:
    """Buying or selling, for one customer. By class: how far it is from its goal on this side (negative on the other),
    how far it may be, and how much can be traded at most."""

    gap: Numbers
    width: Numbers
    room: Numbers

    def fill(self, amount: int, classes: Sequence[int], done: Numbers) -> list[int]:
        """`done` with `amount` more, traded in `classes` so that the widest gap left there is as small as it can be.

        Widest in widths. Where all gaps are closed, what is left goes beyond the goals, as evenly.
        """
        gaps = {i: self.gap[i] - done[i] for i in classes}
        rooms = {i: self.room[i] - done[i] for i in classes}

        def at(level: Fraction) -> dict[int, Fraction]:
            """What is traded when no gap is left above `level`, in widths."""
            return {i: min(max(gaps[i] - level * self.width[i], Fraction(0)), Fraction(rooms[i])) for i in classes}

        ends = {Fraction(gaps[i], self.width[i]) for i in classes}
        levels = sorted(ends | {Fraction(gaps[i] - rooms[i], self.width[i]) for i in classes})
        place = bisect_left(levels, Fraction(-amount), key=lambda level: Fraction(-sum(at(level).values())))
        level = levels[place]
        if place:
            here, below = sum(at(level).values()), sum(at(levels[place - 1]).values())
            level -= (level - levels[place - 1]) * Fraction(amount - here) / Fraction(below - here)
        exact = at(level)
        whole = {i: int(part) for i, part in exact.items()}
        missing = amount - sum(whole.values())
        first = sorted(classes, key=lambda i: whole[i] - exact[i])[:missing]
        return [was + whole.get(i, 0) + (i in first) for i, was in enumerate(done)]

    def without_small(self, trades: list[int], minimum: Fraction, kept: Collection[int]) -> list[int]:
        """Trades below the minimum left out, the smallest first; the others grow by as much."""
        while True:
            traded = sorted((i for i, amount in enumerate(trades) if amount), key=lambda i: trades[i])
            least = next((i for i in traded if i not in kept and trades[i] < minimum), None)
            others = [i for i in traded if i != least]
            if least is None or sum(self.room[i] - trades[i] for i in others) < trades[least]:
                return trades
            fewer = [0 if i == least else amount for i, amount in enumerate(trades)]
            trades = self.fill(trades[least], others, fewer)


class _Customer:
    """One customer's holdings, in whole units of money."""

    def __init__(self, held: Numbers, goals: Numbers, width: Numbers, minimum: Fraction) -> None:
        short = [goal - amount for goal, amount in zip(goals, held, strict=True)]
        self.minimum, self.short = minimum, short
        self.buying = _Side(short, width, [sum(goals)] * len(goals))
        self.selling = _Side([-gap for gap in short], width, held)

    def plan(self, money: int, breached: Sequence[int]) -> tuple[list[int], Outcome]:
        worth = [i for i in breached if abs(self.short[i]) >= self.minimum]
        if not money and not worth:
            return [0] * len(self.short), Outcome.BELOW_MINIMUM
        trades = self._money_alone(money, worth)
        if trades is not None:
            return trades, Outcome.NEW_MONEY if money > 0 else Outcome.WITHDRAWAL
        return self._back_to_target(money, worth), Outcome.REBALANCE

    def _money_alone(self, money: int, worth: Sequence[int]) -> list[int] | None:
        """Trades on the side of the money only, if they bring back every class worth trading."""
        side, sign = (self.buying, 1) if money > 0 else (self.selling, -1)
        least = [0] * len(self.short)
        for i in worth:
            if side.gap[i] < 0:
                return None
            least[i] = max(side.gap[i] - side.width[i], -int(-self.minimum // 1))
        rest = abs(money) - sum(least)
        if rest < 0:
            return None
        trades = side.fill(rest, range(len(self.short)), least)
        trades = side.without_small(trades, self.minimum, worth)
        return [sign * amount for amount in trades]

    def _back_to_target(self, money: int, worth: Sequence[int]) -> list[int]:
        """Classes worth trading at their goals; the difference falls to others on the side that lacks it."""
        bought = [max(gap, 0) if i in worth else 0 for i, gap in enumerate(self.short)]
        sold = [max(-gap, 0) if i in worth else 0 for i, gap in enumerate(self.short)]
        rest = money + sum(sold) - sum(bought)
        side, trades = (self.buying, bought) if rest > 0 else (self.selling, sold)
        if rest:
            free = [i for i in range(len(self.short)) if i not in worth]
            trades[:] = side.without_small(side.fill(abs(rest), free, trades), self.minimum, worth)
        return [more - less for more, less in zip(bought, sold, strict=True)]
