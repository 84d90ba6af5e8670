"""What a goal still takes: the regular contribution that makes it likely enough."""

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from app.allocation.engine.correlation import Array
from app.allocation.engine.projection import (
    PATHS,
    Flow,
    Market,
    Plan,
    Wealth,
    closed_form,
    payments,
    sample_market,
    simulated,
)

TARGET = 0.8
ABSURD = 10.0  # times the amount of the goal, every month: nobody saves that


class Reach(Enum):
    """Whether a contribution makes a goal likely enough."""

    ALREADY = "already_reached"  # nothing more is needed
    BY_CONTRIBUTION = "by_contribution"
    NO_PAYMENT_LEFT = "no_payment_left"  # the goal is due before anything could be paid
    BEYOND_BOUND = "beyond_bound"  # even `ABSURD` times the goal every month is not enough


@dataclass(frozen=True)
class Needed:
    """The contribution of every month from now to the goal, beside those planned, rising like them by `growth` a year;
    None where none is enough."""

    reach: Reach
    contribution: float | None


@dataclass(frozen=True, eq=False)
class Projection:
    """Wealth by year and at the goals, and what each goal still takes."""

    wealth: Wealth
    needed: tuple[Needed, ...]


def project(plan: Plan, *, growth: float, seed: int, target: float = TARGET, paths: int = PATHS) -> Projection:
    """The whole answer for one plan: closed forms where nothing is paid in or out, else a simulation by `seed`.

    `growth` is by how much the contribution that a goal still takes rises every year; `target` the probability that is
    wanted of every goal.

    Raises:
        ValueError: if the target does not lie strictly between 0 and 1.
    """
    if not 0 < target < 1:
        raise ValueError("target must lie strictly between 0 and 1")
    if not plan.moves:
        wealth = closed_form(plan)
        if not len(wealth.reached) or wealth.reached.min() >= target:
            return Projection(wealth, (Needed(Reach.ALREADY, 0.0),) * len(plan.goals))
        market = sample_market(plan, seed, paths)
    else:
        market = sample_market(plan, seed, paths)
        wealth = simulated(plan, market)
    return Projection(
        wealth,
        tuple(
            Needed(Reach.ALREADY, 0.0) if likely >= target else needed(plan, place, market, growth, target)
            for place, likely in enumerate(wealth.reached.tolist())
        ),
    )


def needed(plan: Plan, place: int, market: Market, growth: float, target: float) -> Needed:
    """The smallest contribution with which the goal at `place` is reached on a share `target` of the paths.

    Exact on these paths: on each the smallest contribution is known in closed form, and of all paths that quantile is
    taken which covers `target` of them.
    """
    goal = plan.goals[place]
    if goal.month == 0:
        return Needed(Reach.NO_PAYMENT_LEFT, None)
    smallest = smallest_contributions(plan, place, market, growth).ravel()
    covered = math.ceil(target * smallest.size - 1e-9) - 1
    contribution = max(float(np.partition(smallest, covered)[covered]), 0.0)
    if contribution > ABSURD * goal.amount:
        return Needed(Reach.BEYOND_BOUND, None)
    return Needed(Reach.BY_CONTRIBUTION, contribution)


def smallest_contributions(plan: Plan, place: int, market: Market, growth: float) -> Array:
    """(2, paths / 2) the monthly contribution with which each path just reaches the goal at `place`; negative where
    there is some to spare.

    Wealth that is floored at zero equals the largest of the sums of all payments since some month, grown to the goal,
    the initial money belonging to the first month only. Each sum is linear in the contribution: the sum reaches the goal
    with the contribution `lack` / `unit`, and the path with the least of these.
    """
    goal = plan.goals[place]
    paid_in, paid_out = (payments(flows, plan.months) for flows in (plan.contributions, plan.withdrawals))
    units = payments([Flow(1.0, True, 1, plan.years, growth)], plan.months)
    grown = np.ones((2, market.chance.shape[1]))  # what 1 becomes until the goal
    lack, unit = grown * goal.amount, np.zeros_like(grown)
    smallest = np.full_like(grown, np.inf)
    floored = bool(paid_out[: goal.month].any()) or any(other.pays for other in plan.goals)
    taken = _taken_before(plan, place)
    lack += taken[goal.month]
    for month in reversed(range(goal.month)):
        market.grow(month, grown)
        lack -= (paid_in[month] - paid_out[month]) * grown
        unit += units[month] * grown
        if floored:
            np.minimum(smallest, lack / unit, out=smallest)
        if taken[month]:
            lack += taken[month] * grown
    return np.minimum(smallest, (lack - plan.initial * grown) / unit)


def _taken_before(plan: Plan, place: int) -> Array:
    """(months + 1,) what goals take out before the goal at `place` is looked at."""
    taken = np.zeros(plan.months + 1)
    for other, goal in enumerate(plan.goals):
        if goal.pays and (goal.month, other) < (plan.goals[place].month, place):
            taken[goal.month] += goal.amount
    return taken
