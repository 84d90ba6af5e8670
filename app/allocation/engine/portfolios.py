"""The portfolio for every whole score under one set of constraints, and the cache that keeps them."""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.constraints import Constraints, InfeasibleConstraints
from app.allocation.engine.correlation import Array
from app.allocation.engine.frontier import Frontier, trace_frontier
from app.allocation.engine.policy import SCORES, Policy
from app.allocation.engine.profile import Limit
from app.allocation.engine.rounding import UNITS, Units, round_weights
from app.allocation.engine.signatures import GROWTH

NO_LIMIT = -1
_TIGHT = 1e-6
_ATTEMPTS = 12
_STEP_DOWN = 0.0002  # of volatility: what rounding may add to a portfolio that aims at its ceiling


@dataclass(frozen=True, eq=False)
class Portfolios:
    """For each score 0 to 100 the rounded portfolio of k classes.

    `units` (101, k) in tenths of a percent; `expected_return`, `volatility`, `annual_cost` (101,) of the rounded
    portfolio; `risk_level` R 1 to 5. Where no portfolio is suitable: units 0, level 0 and NaN. `limit` (101,) is the
    `Limit` that the constraints set, or -1 where the score itself decides. `frontier` is None, and `conflict` names the
    constraints, if these cannot hold together.
    """

    constraints: Constraints
    frontier: Frontier | None
    conflict: tuple[str, ...]
    units: Units
    expected_return: Array
    volatility: Array
    annual_cost: Array
    risk_level: NDArray[np.int8]
    limit: NDArray[np.int8]


class FrontierCache:
    """Portfolios by assumptions, risk scale and constraints; the least recently used of more than `size` are dropped.

    Threads may share one.
    """

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._kept: OrderedDict[object, Portfolios] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def portfolios(
        self, policy: Policy, assumptions: AssumptionSet, constraints: Constraints, reach: float = math.inf
    ) -> Portfolios:
        key = (assumptions.identity, policy.volatility_at_zero, policy.volatility_ceilings, constraints, reach)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        made = build_portfolios(policy, assumptions, constraints, reach)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return made


def build_portfolios(
    policy: Policy, assumptions: AssumptionSet, constraints: Constraints, reach: float = math.inf
) -> Portfolios:
    """The portfolios for all scores: on the exact frontier at the volatility that each score aims at, but not above
    `reach`, rounded, and never above the ceiling of its class. A higher score never has a lower volatility, rounding
    included."""
    try:
        frontier = trace_frontier(assumptions.expected_returns, assumptions.covariance, constraints)
    except InfeasibleConstraints as error:
        return nothing(constraints, error.conflict)
    units, volatility, suitable = _rounded(policy, frontier, constraints, reach)
    highest = np.maximum.accumulate(np.where(suitable, volatility, -np.inf))
    reached = np.where(suitable & (volatility >= highest), np.arange(SCORES), -1)
    source = np.maximum.accumulate(reached)
    suitable &= source >= 0
    units, volatility = units[source], volatility[source]
    units[~suitable] = 0
    weights = np.where(suitable[:, None], units / UNITS, np.nan)
    volatility = np.where(suitable, volatility, np.nan)
    return Portfolios(
        constraints=constraints,
        frontier=frontier,
        conflict=(),
        units=units,
        expected_return=weights @ assumptions.expected_returns,
        volatility=volatility,
        annual_cost=weights @ assumptions.annual_costs,
        risk_level=np.where(suitable, policy.risk_levels(volatility), 0).astype(np.int8),
        limit=_limits(policy, frontier, constraints, suitable, reach),
    )


def _rounded(
    policy: Policy, frontier: Frontier, constraints: Constraints, reach: float
) -> tuple[Units, Array, NDArray[np.bool_]]:
    """Units, their volatility and whether they obey everything, aiming lower where rounding went over a ceiling."""
    ceilings = policy.score_ceilings
    aims = np.clip(policy.target_volatilities, frontier.volatility[0], _top(frontier, reach))
    units, fine = round_weights(frontier.at_volatility(aims), constraints)
    volatility = _volatility(units, frontier)
    for attempt in range(1, _ATTEMPTS):
        rows = np.flatnonzero(~fine | (volatility > ceilings))
        if not len(rows) or frontier.volatility[0] > ceilings[rows[-1]]:
            break
        aim = np.maximum(aims[rows] - attempt * _STEP_DOWN, frontier.volatility[0])
        units[rows], fine[rows] = round_weights(frontier.at_volatility(aim), constraints)
        volatility[rows] = _volatility(units[rows], frontier)
    return units, volatility, fine & (volatility <= ceilings)


def _top(frontier: Frontier, reach: float) -> float:
    """The highest volatility to aim at."""
    return max(float(frontier.volatility[0]), min(float(frontier.volatility[-1]), reach))


def _volatility(units: Units, frontier: Frontier) -> Array:
    weights = units / UNITS
    variance: Array = ((weights @ frontier.covariance) * weights).sum(axis=1)
    return np.sqrt(np.maximum(variance, 0.0))


def _limits(
    policy: Policy, frontier: Frontier, constraints: Constraints, suitable: NDArray[np.bool_], reach: float
) -> NDArray[np.int8]:
    limit = np.full(SCORES, NO_LIMIT, np.int8)
    limit[policy.target_volatilities < frontier.volatility[0] - _TIGHT] = Limit.LEAST_RISK
    limit[policy.target_volatilities > _top(frontier, reach) + _TIGHT] = _top_limit(policy, frontier, constraints)
    limit[~suitable] = Limit.CLASS_CEILING
    return limit


def _top_limit(policy: Policy, frontier: Frontier, constraints: Constraints) -> Limit:
    """What keeps the boldest portfolio from being bolder."""
    boldest = frontier.weights[-1]
    for group in constraints.groups:
        if group.name == GROWTH and boldest[list(group.members)].sum() > group.maximum - _TIGHT:
            return Limit.AGE
    cash = constraints.codes.index(policy.cash_class)
    if constraints.lower[cash] > 0 and boldest[cash] < constraints.lower[cash] + _TIGHT:
        return Limit.MINIMUM_CASH
    return Limit.PERMITTED_CLASSES


def nothing(constraints: Constraints, conflict: tuple[str, ...] = ()) -> Portfolios:
    """No portfolio for any score, because of a conflict."""
    unknown = np.full(SCORES, np.nan)
    return Portfolios(
        constraints=constraints,
        frontier=None,
        conflict=conflict,
        units=np.zeros((SCORES, len(constraints.codes)), np.int16),
        expected_return=unknown,
        volatility=unknown,
        annual_cost=unknown,
        risk_level=np.zeros(SCORES, np.int8),
        limit=np.full(SCORES, Limit.CONFLICT, np.int8),
    )
