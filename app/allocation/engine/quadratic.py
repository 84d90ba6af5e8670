"""The quadratic programme behind a frontier, scaled: one solve by daqp, and the segment round it in closed form.

minimise  w'Hw / 2 + c'w - t m'w   subject to   bounds on w, budget and groups as rows A w

over the classes whose bounds leave room; H and m are scaled to order one, so that one set of tolerances serves all.
"""

from dataclasses import dataclass

import daqp
import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.constraints import Constraints, InfeasibleConstraints
from app.allocation.engine.correlation import Array

PRIMAL_TOLERANCE = 1e-9  # of a weight
_TIED = 1e-11  # of the greatest expected return: two that differ by less were meant to be equal
_FLAT = 1e-11  # a coefficient of t below this is rounding
_EQUALITY = 5  # daqp's code for a constraint that always holds with equality
# Tolerance and weight of proximal steps. With a nearly singular H, or limits that leave a single point, the tightest
# tolerance is out of reach and may even be taken for a conflict; proximal steps are slower, but get through. The closed
# form is exact for any binding set it confirms, whatever the attempt that found it.
_ATTEMPTS = ((1e-11, 0.0), (1e-9, 0.0), (1e-9, 1.0), (1e-9, 1e-3), (1e-7, 0.0), (1e-7, 1.0))


@dataclass(frozen=True)
class Segment:
    """Between t = `start` and t = `end` the optimum is `base` + t * `slope` (all classes)."""

    start: float
    end: float
    base: Array
    slope: Array

    def at(self, t: float) -> Array:
        return self.base + t * self.slope


class QuadraticProgram:
    """One problem for all t >= 0. `risk_aversion(t)` translates back to maximise mu'w - lambda/2 w'Sw.

    `ridge` times the mean variance is added to every variance if H is more singular than that: it picks one portfolio
    among equals.
    """

    def __init__(self, mean: Array, covariance: Array, constraints: Constraints, ridge: float) -> None:
        self.constraints = constraints
        mean = _tied(mean)
        if np.any(np.array(constraints.lower) > np.array(constraints.upper)):
            raise InfeasibleConstraints(conflict_of(constraints))
        self.lower, self.upper = _pinned(constraints)
        self.open: NDArray[np.bool_] = self.upper - self.lower > PRIMAL_TOLERANCE
        fixed = np.where(self.open, 0.0, self.lower)
        scale = float(np.diag(covariance).mean()) or 1.0
        spread = float(np.ptp(mean[self.open])) if self.open.any() else 0.0
        self.mean_scale, self.covariance_scale = spread or 1.0, scale
        self.fixed = fixed
        self.H = np.ascontiguousarray(covariance[np.ix_(self.open, self.open)] / scale)
        if len(self.H) and np.linalg.eigvalsh(self.H)[0] < ridge:
            self.H += ridge * np.eye(len(self.H))
        self.c = (covariance[self.open] @ fixed) / scale
        shifted = mean[self.open] - (mean[self.open].mean() if spread else 0.0)
        self.m = shifted / spread if spread else np.zeros(len(self.H))
        self._set_rows(fixed)

    def _set_rows(self, fixed: Array) -> None:
        """Budget and groups on the open classes, in the form daqp takes: bounds first, then rows."""
        minimum, maximum = self.constraints.group_limits()
        every = np.vstack([np.ones(len(fixed)), self.constraints.matrix])
        used = every @ fixed
        low, high = np.r_[1.0, minimum] - used, np.r_[1.0, maximum] - used
        rows = every[:, self.open]
        empty = ~rows.any(axis=1)
        if np.any(low > high) or np.any(empty & ((low > PRIMAL_TOLERANCE) | (high < -PRIMAL_TOLERANCE))):
            raise InfeasibleConstraints(conflict_of(self.constraints))
        rows, low, high = rows[~empty], low[~empty], high[~empty]
        kept, equal = _independent(rows, high - low <= PRIMAL_TOLERANCE, high)
        self.A, low, high = np.ascontiguousarray(rows[kept]), low[kept], high[kept]
        self.low = np.r_[self.lower[self.open], low]
        self.high = np.r_[self.upper[self.open], np.where(equal, low, high)]
        self.sense = np.zeros(len(self.low), dtype=np.int32)
        self.sense[len(self.H) :][equal] = _EQUALITY
        self.equal = equal
        if not _holds(self.A, self.low, self.high):
            raise InfeasibleConstraints(conflict_of(self.constraints))

    def risk_aversion(self, t: float) -> float:
        return self.mean_scale / (t * self.covariance_scale) if t > 0 else np.inf

    def full(self, weights: Array) -> Array:
        """All classes from the open ones."""
        out = self.fixed.copy()
        out[self.open] = weights
        return out

    def objectives(self, weights: Array, t: Array) -> Array:
        """(m,) the values of portfolios of the open classes (m, open), each at its own t."""
        values: Array = ((weights @ self.H) * weights).sum(axis=1) / 2 + weights @ self.c - t * (weights @ self.m)
        return values

    def solve(self, t: float) -> tuple[Array, Array]:
        """The optimum at t (open classes) and the multipliers of bounds and rows: positive at an upper limit.

        Raises:
            ArithmeticError: if the solver stops without an answer.
        """
        if not len(self.H):
            return np.zeros(0), np.zeros(0)
        f = self.c - t * self.m
        for tolerance, proximal in _ATTEMPTS:
            settings = {"primal_tol": tolerance, "dual_tol": tolerance, "eps_prox": proximal}
            w, _, flag, info = daqp.solve(self.H, f, self.A, self.high, self.low, self.sense, **settings)
            if flag == 1:
                return w, info["lam"]
        raise ArithmeticError(f"the quadratic programme stopped with flag {flag}")

    def segment(self, t: float, multipliers: Array) -> Segment | None:
        """The stretch around t on which the constraints with a multiplier are exactly those that bind, in closed form
        from the Karush-Kuhn-Tucker conditions; None if they do not determine the optimum at t."""
        n = len(self.H)
        at_bound = multipliers[:n] != 0
        free = ~at_bound
        bound = np.where(multipliers[:n] > 0, self.high[:n], self.low[:n])
        active = self.equal | (multipliers[n:] != 0)
        target = np.where(multipliers[n:] > 0, self.high[n:], self.low[n:])[active]
        rows = self.A[active]
        inner, count = int(free.sum()), int(active.sum())
        if inner < count:
            return None
        system = np.zeros((inner + count, inner + count))
        system[:inner, :inner] = self.H[np.ix_(free, free)]
        system[inner:, :inner] = rows[:, free]
        system[:inner, inner:] = rows[:, free].T
        held = np.where(at_bound, bound, 0.0)
        right = np.zeros((inner + count, 2))
        right[:inner, 0] = -(self.c + self.H @ held)[free]
        right[inner:, 0] = target - rows @ held
        right[:inner, 1] = self.m[free]
        try:
            solution: Array = np.asarray(np.linalg.solve(system, right), dtype=np.float64)
        except np.linalg.LinAlgError:
            return None
        line = np.zeros((n, 2))
        line[:, 0] = held
        line[free] = solution[:inner]
        conditions, signs = self._conditions(line, multipliers, at_bound, active, solution[inner:])
        here = conditions[:, 0] + t * conditions[:, 1]
        here[:signs] /= 1 + t
        if here.min(initial=0.0) < -PRIMAL_TOLERANCE:
            return None
        return Segment(*_interval(conditions, t), self.full(line[:, 0]), _spread(line[:, 1], self.open))

    def _conditions(
        self, line: Array, multipliers: Array, at_bound: NDArray[np.bool_], active: NDArray[np.bool_], dual: Array
    ) -> tuple[Array, int]:
        """(conditions, 2): a + t b >= 0 for every multiplier's sign, how many these are, and for every constraint that
        does not bind."""
        n = len(self.H)
        gradient = self.H @ line + np.column_stack([self.c, -self.m]) + self.A[active].T @ dual
        sign = np.sign(multipliers)
        free, loose = ~at_bound, ~active
        values = self.A[loose] @ line
        bounded = ~self.equal[active]
        constant = np.array([1.0, 0.0])
        conditions = np.vstack(
            [
                -sign[:n][at_bound, None] * gradient[at_bound],
                sign[n:][active][bounded, None] * dual[bounded],
                line[free] - self.low[:n][free, None] * constant,
                self.high[:n][free, None] * constant - line[free],
                values - self.low[n:][loose, None] * constant,
                self.high[n:][loose, None] * constant - values,
            ]
        )
        return conditions, int(at_bound.sum() + bounded.sum())


def _tied(mean: Array) -> Array:
    """The same with those entries made equal that differ by rounding alone, each group to its lowest."""
    order = np.argsort(mean, kind="stable")
    rising = mean[order]
    apart = np.append(True, np.diff(rising) > _TIED * np.abs(mean).max(initial=0.0))
    tied = np.empty_like(mean)
    tied[order] = rising[apart][np.cumsum(apart) - 1]
    return tied


def _spread(values: Array, where: NDArray[np.bool_]) -> Array:
    out = np.zeros(len(where))
    out[where] = values
    return out


def _interval(conditions: Array, t: float) -> tuple[float, float]:
    """The stretch of t >= 0 around this one on which all a + t b >= 0; what fails here by rounding counts as met."""
    a, b = conditions[:, 0], conditions[:, 1]
    rising, falling = b > _FLAT, b < -_FLAT
    start = float((-a[rising] / b[rising]).max(initial=0.0))
    end = float((-a[falling] / b[falling]).min(initial=np.inf))
    return min(start, t), max(end, t)


def _pinned(constraints: Constraints) -> tuple[Array, Array]:
    """Lower and upper bounds, equal where the budget or a group leaves its members no choice: all of them at their
    maxima to reach it, or at their minima to stay below it."""
    lower, upper = np.array(constraints.lower), np.array(constraints.upper)
    minimum, maximum = constraints.group_limits()
    rows = np.vstack([np.ones(len(lower)), constraints.matrix])
    for _ in rows:  # what one row pins may leave another without a choice
        short = rows @ upper <= np.r_[1.0, minimum] + PRIMAL_TOLERANCE
        lower = np.where(rows[short].any(axis=0), upper, lower)
        over = rows @ lower >= np.r_[1.0, maximum] - PRIMAL_TOLERANCE
        upper = np.where(rows[over].any(axis=0), lower, upper)
    return lower, upper


def _independent(rows: Array, equal: NDArray[np.bool_], values: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows to keep, and which of these hold with equality: equal rows that follow from those before them say
    nothing new and are left out; those that contradict them stay as they are."""
    chosen: list[int] = []
    kept = np.ones(len(rows), dtype=np.bool_)
    for index in np.flatnonzero(equal).tolist():
        share, *_ = np.linalg.lstsq(rows[chosen].T, rows[index])
        if np.abs(share @ rows[chosen] - rows[index]).max() > PRIMAL_TOLERANCE:
            chosen.append(index)
        else:
            kept[index] = abs(share @ values[chosen] - values[index]) > PRIMAL_TOLERANCE
    exact = np.zeros(len(rows), dtype=np.bool_)
    exact[chosen] = True
    return kept, exact[kept]


def conflict_of(constraints: Constraints) -> tuple[str, ...]:
    """The names of a smallest set of limits that cannot hold together, by leaving out one after the other."""
    codes, groups = constraints.codes, constraints.groups
    named: list[tuple[str, Array, float]] = []  # name, row, limit: row @ w <= limit
    for i, row in enumerate(np.eye(len(codes))):
        named.append((f"{codes[i]}.minimum", -row, -constraints.lower[i]))
        named.append((f"{codes[i]}.maximum", row, constraints.upper[i]))
    for group, row in zip(groups, constraints.matrix, strict=True):
        named.append((f"{group.name}.minimum", -row, -group.minimum))
        named.append((f"{group.name}.maximum", row, group.maximum))
    trivial = [
        bool(np.all(row <= 0) and limit >= 0) or bool(np.all(row >= 0) and limit >= 1) for _, row, limit in named
    ]
    kept = [entry for entry, is_trivial in zip(named, trivial, strict=True) if not is_trivial]
    for entry in list(kept):
        rest = [other for other in kept if other is not entry]
        if not _feasible(len(codes), rest):
            kept = rest
    return tuple(name for name, _, _ in kept)


def _feasible(size: int, limits: list[tuple[str, Array, float]]) -> bool:
    rows = np.vstack([np.ones(size), *(row for _, row, _ in limits)])
    high = np.r_[np.ones(size), 1.0, [limit for _, _, limit in limits]]
    return _holds(rows, np.r_[np.zeros(size), 1.0, np.full(len(limits), -1e30)], high)


def _holds(rows: Array, low: Array, high: Array) -> bool:
    """Whether any point obeys low <= (w, rows @ w) <= high: asked with the kindest of objectives."""
    size = rows.shape[1]
    return not size or bool(daqp.solve(np.eye(size), np.zeros(size), rows, high, low, primal_tol=1e-9)[2] == 1)
