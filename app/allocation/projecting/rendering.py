"""Projections in words and in the shape of the API. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from app.allocation.engine import ENGINE_VERSION
from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.correlation import Array
from app.allocation.engine.defaults import default_document
from app.allocation.engine.goals import Needed, Projection, Reach
from app.allocation.engine.projection import MONTHS, PATHS, Plan, payments
from app.allocation.engine.risk import value_at_risk
from app.allocation.projecting.schemas import ProjectionTerms
from app.allocation.records import share
from app.allocation.rendering import names_of, shown_weights

About = tuple[tuple[str, dict[str, Any]], ...]
"""Warnings: codes with their parameters."""

_WORRYING = 0.05  # probability of running out that is warned of
_FAN = ("p5", "p25", "p50", "p75", "p95")


@dataclass(frozen=True, slots=True)
class Subject:
    """The portfolio that is projected: shares by class, figures for one year, where they come from, what to beware of."""

    weights: Mapping[str, str]
    expected_return: float
    volatility: float
    annual_cost: float
    assumption_version: int
    views_version: int | None
    warnings: About = ()


@dataclass(frozen=True, slots=True)
class Projected:
    """A projection with what it was asked with."""

    subject: Subject
    terms: ProjectionTerms
    plan: Plan
    answer: Projection
    assumptions: AssumptionSet
    language: str

    @property
    def inflation(self) -> float:
        """The rate of a year."""
        return float(self.terms.inflation)


def rendered(projected: Projected) -> dict[str, Any]:
    """Everything that every projection shows."""
    subject, plan, wealth, terms = projected.subject, projected.plan, projected.answer.wealth, projected.terms
    known = names_of(projected.assumptions, projected.language)
    names = {**known, **{code: code for code in subject.weights if code not in known}}
    at_risk, in_tail = _losses(plan)
    return {
        "weights": shown_weights(subject.weights, names),
        "currency": projected.assumptions.currency,
        "initial": _money(plan.initial),
        "years": plan.years,
        "inflation": share(projected.inflation),
        "target_probability": share(float(terms.target_probability)),
        "seed": terms.seed,
        "method": "simulation" if wealth.simulated else "closed_form",
        "paths": PATHS if wealth.simulated else None,
        "expected_return": share(subject.expected_return),
        "volatility": share(subject.volatility),
        "annual_cost": share(subject.annual_cost),
        "value_at_risk": share(at_risk),
        "conditional_value_at_risk": share(in_tail),
        "fan": _years(projected),
        "probability_of_running_out": share(wealth.ran_out[-1]),
        "goals": [_goal(projected, place) for place in range(len(plan.goals))],
        "warnings": _warnings(projected, at_risk, in_tail),
        "assumption_version": subject.assumption_version,
        "views_version": subject.views_version,
        "engine_version": ENGINE_VERSION,
        "language": projected.language,
    }


def _losses(plan: Plan) -> tuple[float, float]:
    """Value at risk and its conditional mean, as the recommendations show them."""
    net = np.array(plan.expected_return - plan.annual_cost)
    at_risk, in_tail = value_at_risk(net, np.array(plan.volatility))
    return float(at_risk), float(in_tail)


def _years(projected: Projected) -> list[dict[str, Any]]:
    plan, wealth = projected.plan, projected.answer.wealth
    paid_in = plan.initial + _by_year(payments(plan.contributions, plan.months))
    paid_out = _by_year(payments(plan.withdrawals, plan.months))
    for goal in plan.goals:
        if goal.pays:
            paid_out[-(-goal.month // MONTHS) :] += goal.amount
    return [
        {
            "year": year,
            "nominal": _fan(wealth.fan[year]),
            "real": _fan(wealth.fan[year] / (1 + projected.inflation) ** year),
            "paid_in": _money(paid_in[year]),
            "paid_out": _money(paid_out[year]),
            "probability_of_running_out": share(wealth.ran_out[year]),
        }
        for year in range(plan.years + 1)
    ]


def _by_year(monthly: Array) -> Array:
    """(years + 1,) what was paid by the end of each year, none of it by now."""
    return np.append(0.0, np.cumsum(monthly)[MONTHS - 1 :: MONTHS])


def _fan(quantiles: Array) -> dict[str, str]:
    return dict(zip(_FAN, map(_money, quantiles.tolist()), strict=True))


def _goal(projected: Projected, place: int) -> dict[str, Any]:
    asked, goal = projected.terms.goals[place], projected.plan.goals[place]
    wealth, target = projected.answer.wealth, float(projected.terms.target_probability)
    low, _, median, *_ = wealth.at_goals[place].tolist()
    shortfall = max(goal.amount - low, 0.0)
    return {
        "name": asked.name,
        "kind": asked.kind,
        "amount": _money(float(asked.amount)),
        "money": asked.money,
        "due_on": asked.due_on,
        "amount_then": _money(goal.amount),
        "probability": share(wealth.reached[place]),
        "likely": bool(wealth.reached[place] >= target),
        "median": _money(median),
        "shortfall": _money(shortfall),
        "shortfall_real": _money(shortfall / (1 + projected.inflation) ** (goal.month / MONTHS)),
        "required": _required(projected, projected.answer.needed[place]),
    }


def _required(projected: Projected, needed: Needed) -> dict[str, Any]:
    contribution = None if needed.contribution is None else _money(needed.contribution)
    if needed.reach is Reach.BY_CONTRIBUTION and needed.contribution is not None:
        # Rounded up, so that it is enough; a cent at least, since nothing is not.
        contribution = _money(max(math.ceil(needed.contribution * 100), 1) / 100)
    params = {
        "contribution": contribution,
        "currency": projected.assumptions.currency,
        "target": _percent(float(projected.terms.target_probability)),
    }
    status = needed.reach.value
    return {"status": status, "contribution": contribution, "text": _text(status, params, projected.language)}


def _warnings(projected: Projected, at_risk: float, in_tail: float) -> list[dict[str, Any]]:
    found: list[tuple[str, dict[str, Any]]] = list(projected.subject.warnings)
    wealth, target = projected.answer.wealth, float(projected.terms.target_probability)
    for asked, likely in zip(projected.terms.goals, wealth.reached.tolist(), strict=True):
        if likely < target:
            below = math.floor(likely * 1000 + 1e-9) / 10  # 79.96 % is not to read as the 80 % wanted
            params = {"goal": asked.name, "probability": below, "target": _percent(target)}
            found.append(("goal_unlikely", params))
    if wealth.ran_out[-1] >= _WORRYING:
        found.append(("may_run_out", {"years": projected.plan.years, "probability": _percent(wealth.ran_out[-1])}))
    if _percent(at_risk) > 0:
        losses = {"value_at_risk": _percent(at_risk), "conditional_value_at_risk": _percent(in_tail)}
        found.append(("may_lose", losses))
    found.append(("estimates", {}))
    return [{"code": code, "params": params, "text": _text(code, params, projected.language)} for code, params in found]


def _text(code: str, params: Mapping[str, Any], language: str) -> str:
    plain = {name: f"{value:g}" if isinstance(value, float) else value for name, value in params.items()}
    return _texts()[code][language].format(**plain)


@cache
def _texts() -> dict[str, dict[str, str]]:
    return {**default_document("warnings"), **default_document("projection")}


def _money(value: float) -> str:
    return f"{value:.2f}"


def _percent(value: float) -> float:
    return round(float(value) * 100, 1)
