"""The efficient frontier, exactly: every portfolio that maximises mu'w - lambda/2 w'Sw for some lambda >= 0.

As t = 1/lambda grows from nothing, the optimum moves along straight lines that meet in corner portfolios (H. Markowitz,
"Portfolio Selection", 1959). The set of binding constraints is asked of daqp at one t, its whole line follows in closed
form, and what lies before and after it is halved until no gap is left. Every corner and midpoint is then certified.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.allocation.engine.constraints import Constraints
from app.allocation.engine.correlation import Array, read_only
from app.allocation.engine.quadratic import PRIMAL_TOLERANCE, QuadraticProgram

_GAP = 1e-11  # an untraced stretch of t shorter than this (relative) cannot move a weight visibly
_BLUR = 1e-6  # so near to a corner (relative) rounding may hide what binds; a straight line is as good there
_MOST_SOLVES = 2_000
# What is added to a singular covariance, and the farthest t in scaled units: beyond it, at most one part in so many of the
# spread of returns is left to gain. The next one if the solver stumbles, which regular problems never meet.
_ATTEMPTS = ((1e-7, 1e6), (1e-6, 1e6), (1e-7, 1e4), (1e-6, 1e4), (1e-5, 1e6), (1e-4, 1e6), (1e-4, 1e4))
_CERTIFICATE = 1e-8  # scaled objective, relative


@dataclass(frozen=True, eq=False)
class Frontier:
    """k corner portfolios of n classes, from the least variance to the best return.

    `weights` (k, n); `risk_aversion` (k,) is lambda, falling from infinity; `expected_return` and `volatility` (k,) for
    one year. Between two corners the portfolio is linear in 1/lambda; above the last lambda it stays.
    """

    weights: Array
    risk_aversion: Array
    expected_return: Array
    volatility: Array
    covariance: Array

    def at_volatility(self, volatility: Array) -> Array:
        """(m, n) the best portfolio whose volatility is the one asked (m,), in closed form.

        A volatility outside the frontier gives its nearest end.
        """
        asked = np.clip(np.asarray(volatility, dtype=np.float64), self.volatility[0], self.volatility[-1])
        if len(self.weights) == 1:
            return np.repeat(self.weights, len(asked), axis=0)
        place = np.searchsorted(self.volatility, asked, side="right") - 1
        place = np.clip(place, 0, len(self.weights) - 2)
        variance, cross, square = (part[place] for part in self._quadratics)
        missing = np.maximum(asked**2 - variance, 0.0)
        slope = cross + np.sqrt(np.maximum(cross**2 + square * missing, 0.0))
        share = np.clip(np.divide(missing, slope, out=np.zeros_like(missing), where=slope > 0), 0.0, 1.0)
        start = self.weights[place]
        return start + share[:, None] * (self.weights[place + 1] - start)

    def at_risk_aversion(self, risk_aversion: Array) -> Array:
        """(m, n) the optimum for each lambda >= 0 (m,)."""
        with np.errstate(divide="ignore"):
            corners = 1.0 / self.risk_aversion
            asked = 1.0 / np.asarray(risk_aversion, dtype=np.float64)
        return np.column_stack([np.interp(asked, corners, column) for column in self.weights.T])

    @cached_property
    def _quadratics(self) -> tuple[Array, Array, Array]:
        """For each stretch: variance at its start, covariance of start and step, variance of the step."""
        start, step = self.weights[:-1], np.diff(self.weights, axis=0)
        moved = step @ self.covariance
        return np.square(self.volatility[:-1]), (moved * start).sum(1), (moved * step).sum(1)


def trace_frontier(expected_returns: Array, covariance: Array, constraints: Constraints) -> Frontier:
    """The whole frontier of n classes with `expected_returns` (n,) and `covariance` (n, n), positive semi-definite.

    Bounds that fix a class, equal expected returns and a singular covariance are all in order; where several portfolios
    are equally good, the one of least variance (and then least concentration) is taken.

    Raises:
        ValueError: if the shapes differ or a number is not finite.
        InfeasibleConstraints: if no portfolio obeys the constraints, with the names of those in conflict.
        ArithmeticError: if a portfolio found does not pass its certificate.
    """
    mean, matrix = np.asarray(expected_returns, np.float64), np.asarray(covariance, np.float64)
    size = len(constraints.codes)
    if mean.shape != (size,) or matrix.shape != (size, size):
        raise ValueError(f"expected_returns and covariance must have shapes ({size},) and ({size}, {size})")
    if not (np.isfinite(mean).all() and np.isfinite(matrix).all()):
        raise ValueError("expected_returns and covariance must be finite")
    program, corners = _traced(mean, matrix, constraints)
    weights = np.array([w for _, w in corners])
    volatility = np.sqrt(np.maximum(((weights @ matrix) * weights).sum(axis=1), 0.0))
    return Frontier(
        weights=read_only(weights),
        risk_aversion=read_only([program.risk_aversion(t) for t, _ in corners]),
        expected_return=read_only(weights @ mean),
        volatility=read_only(np.maximum.accumulate(volatility)),
        covariance=read_only(matrix),
    )


def _traced(
    mean: Array, covariance: Array, constraints: Constraints
) -> tuple[QuadraticProgram, list[tuple[float, Array]]]:
    """The problem that could be traced, and its certified corners."""
    stopped: ArithmeticError | None = None
    for ridge, farthest in _ATTEMPTS:
        program = QuadraticProgram(mean, covariance, constraints, ridge)
        try:
            corners = _corners(program, farthest)
            _certify(program, corners)
        except ArithmeticError as error:
            stopped = error
        else:
            return program, corners
    raise ArithmeticError("the frontier could not be traced") from stopped


def _corners(program: QuadraticProgram, farthest: float) -> list[tuple[float, Array]]:
    """(t, portfolio) of every corner, t rising from 0 to `farthest` at most."""
    found: list[tuple[float, Array]] = []
    gaps = [(0.0, np.inf)]
    for _ in range(_MOST_SOLVES):
        if not gaps:
            return _merge(program, found)
        start, end = gaps.pop()
        if end - start <= _GAP * (1 + start) or start > farthest:
            continue
        t = _inside(start, end)
        weights, multipliers = program.solve(t)
        segment = program.segment(t, multipliers)
        if segment is None:
            # A corner was hit, where the binding constraints do not tell the lines apart.
            point = program.full(weights)
            if t <= farthest and not program.constraints.violated(point).any():
                found.append((t, point))
            if end - start <= _BLUR * (1 + start):
                continue
            first, last = t, t
        else:
            first, last = max(segment.start, start), min(segment.end, end)
            ends = {first, min(last, farthest)} if first <= farthest else set()
            found += [(t, segment.at(t)) for t in ends]
        gaps += [(start, first), (last, end)]
    raise ArithmeticError("the frontier did not close")


def _inside(start: float, end: float) -> float:
    """A point between, uneven on purpose: round figures are where corners tend to lie."""
    if np.isinf(end):
        return 4.3 * start + 1.0
    return float(np.sqrt(start * end)) if start > 0 and end > 4 * start else start + 0.457 * (end - start)


def _merge(program: QuadraticProgram, found: list[tuple[float, Array]]) -> list[tuple[float, Array]]:
    """In order of t, each corner once, exactly within its bounds, without those in the middle of a line."""
    found = sorted(found, key=lambda corner: corner[0])
    every = np.clip([weights for _, weights in found], program.lower, program.upper)
    for limit in (program.lower, program.upper):
        every = np.where(np.abs(every - limit) < PRIMAL_TOLERANCE, limit, every)
    corners: list[tuple[float, Array]] = []
    for (t, _), weights in zip(found, every, strict=True):
        if corners and np.abs(corners[-1][1] - weights).max() <= 1e-9 and t - corners[-1][0] <= 1e-9 * (1 + t):
            continue
        if len(corners) > 1 and _on_line(corners[-2], corners[-1], (t, weights)):
            corners.pop()
        corners.append((t, weights))
    while len(corners) > 1 and np.abs(corners[-1][1] - corners[-2][1]).max() <= 1e-9:
        corners.pop()  # it stays there anyway
    return corners


def _on_line(first: tuple[float, Array], middle: tuple[float, Array], last: tuple[float, Array]) -> bool:
    if not first[0] < last[0]:
        return False
    share = (middle[0] - first[0]) / (last[0] - first[0])
    return bool(np.abs(first[1] + share * (last[1] - first[1]) - middle[1]).max() <= 1e-11)


def _certify(program: QuadraticProgram, corners: list[tuple[float, Array]]) -> None:
    """Every corner and every midpoint is feasible and as good as the solver's own optimum."""
    points = corners + [((t + u) / 2, (v + w) / 2) for (t, v), (u, w) in itertools.pairwise(corners)]
    every, asked = np.array([w for _, w in points]), np.array([t for t, _ in points])
    if program.constraints.violated(every, 1e-8).any():
        raise ArithmeticError("a portfolio of the frontier breaks a constraint")
    best = np.array([program.solve(t)[0] for t in asked.tolist()])
    excess = program.objectives(every[:, program.open], asked) - program.objectives(best, asked)
    if (excess > _CERTIFICATE * (1 + asked)).any():
        worst = int(excess.argmax())
        raise ArithmeticError(
            f"a portfolio of the frontier is not optimal: {excess[worst]:.3g} at t = {asked[worst]:.6g}"
        )
