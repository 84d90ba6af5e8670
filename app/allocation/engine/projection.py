"""What wealth may grow to: quantiles year by year, with payments in and out, and the probability of every goal.

One year's growth is lognormal as in `risk`, after costs, independent from year to year, and the portfolio is brought back
to its weights all the time; so a month's growth is lognormal, too, with a twelfth of the parameters. Payments are due at
the beginning of a month, yearly ones at the beginning of the year; then the month's growth follows. Years are reported
at their end, before the payments of the next. Wealth never falls below zero: what cannot be paid in full is paid in part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.correlation import Array
from app.allocation.engine.risk import lognormal_parameters

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PATHS = 10_000
MONTHS = 12
_ROUNDING = 1e-9  # relative: what floating point may lack of an amount that is reached or paid exactly
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Flow:
    """Payments of `amount` (zero or more, as of today): every month, or once a year, from the first year to the last,
    both counted from 1. Year y pays amount * (1 + growth) ** (y - 1) each time."""

    amount: float
    monthly: bool
    first_year: int
    last_year: int
    growth: float = 0.0


@dataclass(frozen=True)
class Goal:
    """To have `amount` after `month` whole months, before the payments due then; `pays` takes it out, or what there is.

    Goals of one month are looked at in the order given, each after those before it were paid.
    """

    amount: float
    month: int
    pays: bool = False


@dataclass(frozen=True)
class Plan:
    """What is projected: money, the portfolio's figures for one year (arithmetic mean before costs), payments, goals.

    All amounts but the flows' are nominal. No goal lies beyond the years.
    """

    initial: float
    years: int
    expected_return: float
    volatility: float
    annual_cost: float
    contributions: tuple[Flow, ...] = ()
    withdrawals: tuple[Flow, ...] = ()
    goals: tuple[Goal, ...] = ()

    @property
    def months(self) -> int:
        """How many months are projected."""
        return self.years * MONTHS

    @property
    def moves(self) -> bool:
        """Whether anything is paid in or out, so that no closed form exists."""
        payments = any(flow.amount > 0 for flow in (*self.contributions, *self.withdrawals))
        return payments or any(goal.pays and goal.amount > 0 for goal in self.goals)


@dataclass(frozen=True, eq=False)
class Wealth:
    """`fan` (years + 1, 5): the quantiles `QUANTILES` of nominal wealth, from now to the end of the last year.
    `ran_out` (years + 1,): the probability that by then something could not be paid in full.

    For g goals: `reached` (g,) the probability of each, `at_goals` (g, 5) the quantiles when it is due, before it is
    paid. `simulated` is false where these are closed forms.
    """

    fan: Array
    ran_out: Array
    reached: Array
    at_goals: Array
    simulated: bool


@dataclass(frozen=True, eq=False)
class Market:
    """Growth by month on many paths, in antithetic pairs: path i of the first half of month k grows by
    `drift` * `chance[k, i]`, its partner by `drift` / `chance[k, i]`. `chance` is (months, paths / 2)."""

    drift: float
    chance: Array

    def grow(self, month: int, wealth: Array) -> None:
        """Multiply (2, paths / 2) by the growth of this month, in place."""
        wealth *= self.drift
        wealth[0] *= self.chance[month]
        wealth[1] /= self.chance[month]


def payments(flows: Sequence[Flow], months: int) -> Array:
    """(months,) what the flows pay at the beginning of each month."""
    due = np.zeros(months)
    for flow in flows:
        amounts = flow.amount * (1 + flow.growth) ** np.arange(flow.first_year - 1, flow.last_year)
        place = slice((flow.first_year - 1) * MONTHS, flow.last_year * MONTHS, 1 if flow.monthly else MONTHS)
        due[place] += np.repeat(amounts, MONTHS) if flow.monthly else amounts
    return due


def sample_market(plan: Plan, seed: int, paths: int = PATHS) -> Market:
    """The months of the plan on `paths` (an even number) paths; the same for the same seed, whatever is paid."""
    mean, deviation = _parameters(plan)
    normal = np.random.default_rng(seed).standard_normal((plan.months, paths // 2))
    normal *= deviation / np.sqrt(MONTHS)
    return Market(float(np.exp(mean / MONTHS)), np.exp(normal, out=normal))


def closed_form(plan: Plan) -> Wealth:
    """Wealth without payments: exactly lognormal after any time.

    Raises:
        ValueError: if the plan pays anything in or out.
    """
    if plan.moves:
        raise ValueError("a plan with payments has no closed form")
    mean, deviation = _parameters(plan)
    normal = np.array([_NORMAL.inv_cdf(quantile) for quantile in QUANTILES])

    def quantiles(times: Array) -> Array:
        found: Array = plan.initial * np.exp(mean * times[:, None] + deviation * np.sqrt(times)[:, None] * normal)
        return found

    times = np.array([goal.month for goal in plan.goals]) / MONTHS
    return Wealth(
        fan=quantiles(np.arange(plan.years + 1.0)),
        ran_out=np.zeros(plan.years + 1),
        reached=np.array([_reached(plan, goal, mean, deviation) for goal in plan.goals]),
        at_goals=quantiles(times),
        simulated=False,
    )


def simulated(plan: Plan, market: Market) -> Wealth:
    """Wealth on the paths of a market: with every payment, each year's quantiles and every goal's probability."""
    paid_in, paid_out = (payments(flows, plan.months) for flows in (plan.contributions, plan.withdrawals))
    wealth = np.full((2, market.chance.shape[1]), plan.initial, dtype=np.float64)
    broke = np.zeros(wealth.shape, dtype=np.bool_)
    yearly, at_goals = np.empty((plan.years + 1, wealth.size)), np.empty((len(plan.goals), wealth.size))
    ran_out = np.zeros(plan.years + 1)
    for month in range(plan.months + 1):
        for place, goal in enumerate(plan.goals):
            if goal.month == month:
                at_goals[place] = wealth.ravel()
                if goal.pays:
                    wealth -= goal.amount
                    _floor(wealth, broke, goal.amount)
        if month % MONTHS == 0:
            yearly[month // MONTHS] = wealth.ravel()
            ran_out[month // MONTHS] = broke.mean()
        if month < plan.months:
            wealth += paid_in[month] - paid_out[month]
            if paid_out[month] > 0:
                _floor(wealth, broke, paid_out[month])
            market.grow(month, wealth)
    needed = np.array([goal.amount for goal in plan.goals]) * (1 - _ROUNDING)
    return Wealth(
        fan=_quantiles(yearly),
        ran_out=ran_out,
        reached=(at_goals >= needed[:, None]).mean(axis=1),
        at_goals=_quantiles(at_goals),
        simulated=True,
    )


def _parameters(plan: Plan) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm of one year's growth after costs."""
    mean, deviation = lognormal_parameters(np.array(plan.expected_return - plan.annual_cost), np.array(plan.volatility))
    return float(mean), float(deviation)


def _reached(plan: Plan, goal: Goal, mean: float, deviation: float) -> float:
    """The probability of at least the goal's amount, without payments."""
    if goal.amount <= 0:
        return 1.0
    years = goal.month / MONTHS
    ratio, spread = plan.initial * math.exp(mean * years) / goal.amount, deviation * math.sqrt(years)
    if spread == 0 or ratio == 0:
        return float(ratio >= 1 - _ROUNDING)
    return _NORMAL.cdf(math.log(ratio) / spread)


def _floor(wealth: Array, broke: NDArray[np.bool_], paid: float) -> None:
    """Nobody pays more than there is; who should have is remembered."""
    broke |= wealth < -_ROUNDING * paid
    np.maximum(wealth, 0.0, out=wealth)


def _quantiles(sample: Array) -> Array:
    """(n, 5) of (n, paths); `sample` is reordered."""
    if not len(sample):
        return np.empty((0, len(QUANTILES)))
    found: Array = np.quantile(sample, QUANTILES, axis=1, overwrite_input=True)
    return found.T
