"""Points of a frontier to plot: evenly spaced in volatility, its corners among them, in closed form."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.correlation import Array, read_only
from app.allocation.engine.frontier import Frontier

_SAME = 1e-9  # of a volatility or a weight: two points nearer than this are drawn as one


@dataclass(frozen=True, eq=False)
class Curve:
    """m portfolios of n classes on one frontier, volatility rising and no two the same.

    `volatility` and `expected_return` (m,) are those of one year; `weights` (m, n); `is_corner` (m,) marks the portfolios
    where a class or a limit comes in or drops out. Between two neighbours the best portfolios lie on the straight line that
    joins their weights.
    """

    volatility: Array
    expected_return: Array
    weights: Array
    is_corner: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.volatility)


def corners(frontier: Frontier) -> Curve:
    """The corner portfolios, each once: a portfolio that stays best over a range of risk aversions has two corners."""
    moved = np.abs(np.diff(frontier.weights, axis=0)).max(axis=1) > _SAME
    kept = np.append(True, moved)
    return _curve(
        frontier.volatility[kept], frontier.expected_return[kept], frontier.weights[kept], np.ones(kept.sum(), np.bool_)
    )


def points(frontier: Frontier, count: int) -> Curve:
    """`count` portfolios with evenly spaced volatilities from the least variance to the best return, and every corner.

    Where one of them is a corner it counts once, so there are at most `count` plus the number of corners; a frontier of
    a single portfolio gives that one.

    Raises:
        ValueError: if `count` is less than 2.
    """
    if count < 2:
        raise ValueError("a curve needs at least 2 points")
    turns = corners(frontier)
    if len(turns) == 1:
        return turns
    even = np.linspace(turns.volatility[0], turns.volatility[-1], count)[1:-1]
    nearest = np.abs(even[:, None] - turns.volatility).min(axis=1, initial=np.inf)
    even = even[nearest > _SAME]
    weights = frontier.at_volatility(even)
    volatility = np.append(turns.volatility, even)
    order = np.argsort(volatility, kind="stable")
    return _curve(
        volatility[order],
        np.append(turns.expected_return, _returns(turns, even, weights))[order],
        np.vstack([turns.weights, weights])[order],
        np.append(turns.is_corner, np.zeros(len(even), np.bool_))[order],
    )


def _returns(turns: Curve, volatility: Array, weights: Array) -> Array:
    """(m,) expected returns of portfolios between two corners: the share of the way that the weights have gone."""
    place = np.clip(np.searchsorted(turns.volatility, volatility, side="right") - 1, 0, len(turns) - 2)
    start, step = turns.weights[place], np.diff(turns.weights, axis=0)[place]
    share = ((weights - start) * step).sum(axis=1) / np.square(step).sum(axis=1)
    returns: Array = turns.expected_return[place] + share * np.diff(turns.expected_return)[place]
    return returns


def _curve(volatility: Array, expected_return: Array, weights: Array, is_corner: NDArray[np.bool_]) -> Curve:
    marks = is_corner.copy()
    marks.setflags(write=False)
    return Curve(read_only(volatility), read_only(expected_return), read_only(weights), marks)
