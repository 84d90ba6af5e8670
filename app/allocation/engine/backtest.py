"""What a policy would have done in the past, deciding each time from what was known then.

At every rebalancing the assumptions are estimated anew from the returns before it, the policy chooses a portfolio for a
person who has grown older, and the shares then drift until the next one. Nothing reads a return before its time.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.black_litterman import equilibrium_returns
from app.allocation.engine.correlation import Array
from app.allocation.engine.estimation import ReturnPanel, estimate, restricted, with_estimate
from app.allocation.engine.people import People
from app.allocation.engine.performance import Performance, performance
from app.allocation.engine.policy import Policy
from app.allocation.engine.portfolios import FrontierCache
from app.allocation.engine.recommend import Recommendations, recommend

Estimates = Literal["equilibrium", "past_means", "published"]
ESTIMATES: tuple[Estimates, ...] = ("equilibrium", "past_means", "published")
# He and Litterman (1999). It scales all returns beyond cash alike, which moves expected returns but no weights.
RISK_AVERSION = 2.5
SIXTY_FORTY, HUNDRED_MINUS_AGE = "sixty_forty", "hundred_minus_age"
_DAYS_A_YEAR = 365.25
_LEAST_HISTORY = 3  # two returns of any two classes are correlated by 1 or -1


@dataclass(frozen=True)
class Plan:
    """How to go through the past, in periods of the panel.

    The first portfolio follows from `history` periods, the next ones from all before them, or the last `window`.
    `estimates` says where expected returns come from: `equilibrium` those at which the market weights would be optimal
    under the past covariance, `past_means` the past means, `published` the assumption set itself, which knows what came
    later: then the backtest is in-sample. `transaction_cost` is the share of the turnover that trading costs; `equity`
    and `bonds` are the classes of the benchmarks.
    """

    history: int
    rebalance_every: int
    window: int | None = None
    estimates: Estimates = "equilibrium"
    transaction_cost: float = 0.001
    equity: str = "domestic_equity"
    bonds: str = "bonds"

    @property
    def label(self) -> Literal["past_only", "in_sample"]:
        """Whether anything that was chosen rests on what came later."""
        return "in_sample" if self.estimates == "published" else "past_only"


@dataclass(frozen=True, eq=False)
class Rebalancing:
    """The portfolios (s, k) of all strategies from the end of a period on, with those `recommended` to the people;
    `turnover` (s,) is half of what was bought and sold, as a share."""

    on: dt.date
    weights: Array
    turnover: Array
    recommended: Recommendations


@dataclass(frozen=True, eq=False)
class Backtest:
    """s strategies: one for each person, `sixty_forty`, and `hundred_minus_age` for each distinct age that is known.

    `wealth` (m + 1, s) begins with 1 at the first of `dates`, after annual and transaction costs; `codes` are the k
    classes of all weights; `performances` has one for each strategy.
    """

    strategies: tuple[str, ...]
    codes: tuple[str, ...]
    dates: tuple[dt.date, ...]
    wealth: Array
    rebalancings: tuple[Rebalancing, ...]
    performances: tuple[Performance, ...]


def backtest(policy: Policy, assumptions: AssumptionSet, panel: ReturnPanel, people: People, plan: Plan) -> Backtest:
    """The policy for n people over the panel, against the benchmarks, all rebalanced on the same days.

    Ages are those of the first day. Of the assumption set only classes that the panel has are used: their names,
    what they cost, count as, and their market weights. Where the policy has no suitable portfolio, cash is held. Buying
    the first portfolio costs nothing. Everything after the first `plan.history` periods is held.

    Raises:
        ValueError: if the panel lacks a class of the benchmarks or the policy's cash, has one that the assumption set
            lacks, or is too short.
    """
    if policy.cash_class not in panel.codes or len(panel) < plan.history + 2 or plan.history < _LEAST_HISTORY:
        raise ValueError("the panel needs the class of cash, and two periods beyond a history of three or more")
    known = restricted(assumptions, [code for code in assumptions.codes if code in panel.codes])
    if len(known.codes) < len(panel.codes):
        raise ValueError("the panel has a class that the assumption set lacks")
    panel = panel.of(known.codes)
    benchmarks = _benchmarks(panel, people, plan)
    growth = (1 + panel.returns) * (1 - known.annual_costs) ** (1 / panel.periods_per_year)
    path, steps = [np.ones(len(people) + len(benchmarks))], []
    held: Array | None = None
    for begin, end, step in _portfolios(policy, known, panel, people, plan):
        weights = np.vstack([_held(policy, step), *(b.weights(panel, begin, plan) for b in benchmarks)])
        turnover = np.zeros(len(weights)) if held is None else np.abs(weights - held).sum(axis=1) / 2
        amounts = (path[-1] * (1 - plan.transaction_cost * turnover))[:, None] * weights
        for period in range(begin, end):
            amounts = amounts * growth[period]
            path.append(amounts.sum(axis=1))
        held = amounts / path[-1][:, None]
        steps.append(Rebalancing(panel.dates[begin - 1], weights, turnover, step))
    return _result(
        policy, panel, plan, np.array(path), steps, tuple(["policy"] * len(people) + [b.name for b in benchmarks])
    )


def assumptions_at(assumptions: AssumptionSet, panel: ReturnPanel, period: int, plan: Plan) -> AssumptionSet:
    """The assumptions of somebody who knows the first `period` returns of the panel, whose classes are those of the
    set. Risk is always estimated from these."""
    first = 0 if plan.window is None else max(0, period - plan.window)
    past = panel.returns[first:period]
    found = estimate(past, panel.periods_per_year)
    if plan.estimates == "published":
        return with_estimate(assumptions, found, assumptions.expected_returns)
    if plan.estimates == "past_means":
        return with_estimate(assumptions, found, found.means)
    weights = np.array([c.market_weight for c in assumptions.asset_classes])
    return with_estimate(assumptions, found, equilibrium_returns(found.covariance, weights, RISK_AVERSION))


@dataclass(frozen=True)
class _Benchmark:
    """`age` on the first day sets the share of equity; None: 60 %."""

    name: str
    age: float | None = None

    def weights(self, panel: ReturnPanel, begin: int, plan: Plan) -> Array:
        """(k,) from the period `begin` on."""
        equity = 0.6
        if self.age is not None:
            equity = float(np.clip(1 - (self.age + _years(panel, begin, plan)) / 100, 0.0, 1.0))
        weights = np.zeros(len(panel.codes))
        weights[panel.codes.index(plan.equity)] += equity
        weights[panel.codes.index(plan.bonds)] += 1 - equity
        return weights


def _benchmarks(panel: ReturnPanel, people: People, plan: Plan) -> list[_Benchmark]:
    missing = {plan.equity, plan.bonds} - set(panel.codes)
    if missing:
        raise ValueError(f"the panel lacks {min(missing)}, a class of the benchmarks")
    ages = np.unique(people.age[np.isfinite(people.age) & (people.kind == 0)]).tolist()
    return [_Benchmark(SIXTY_FORTY), *(_Benchmark(HUNDRED_MINUS_AGE, age) for age in ages)]


def _portfolios(
    policy: Policy, assumptions: AssumptionSet, panel: ReturnPanel, people: People, plan: Plan
) -> Iterator[tuple[int, int, Recommendations]]:
    """For each rebalancing the periods from which and until which its portfolios are held, and these."""
    for begin in range(plan.history, len(panel), plan.rebalance_every):
        cache = FrontierCache()
        known = assumptions_at(assumptions, panel, begin, plan)
        older = replace(people, age=people.age + _years(panel, begin, plan))
        yield begin, min(begin + plan.rebalance_every, len(panel)), recommend(policy, known, older, cache)


def _years(panel: ReturnPanel, begin: int, plan: Plan) -> float:
    """From the first portfolio to that of the period `begin`."""
    return (panel.dates[begin - 1] - panel.dates[plan.history - 1]).days / _DAYS_A_YEAR


def _held(policy: Policy, recommended: Recommendations) -> Array:
    cash = np.array([code == policy.cash_class for code in recommended.codes], np.float64)
    unsuitable: NDArray[np.bool_] = recommended.risk_level == 0
    return np.where(unsuitable[:, None], cash, recommended.weights)


def _result(
    policy: Policy, panel: ReturnPanel, plan: Plan, wealth: Array, steps: list[Rebalancing], names: tuple[str, ...]
) -> Backtest:
    dates = panel.dates[plan.history - 1 :]
    cash = panel.returns[plan.history :, panel.codes.index(policy.cash_class)]
    turnover = np.sum([step.turnover for step in steps], axis=0).tolist()
    performances = tuple(
        performance(wealth[:, i], dates, cash, panel.periods_per_year, turnover[i]) for i in range(len(names))
    )
    return Backtest(names, panel.codes, dates, wealth, tuple(steps), performances)
