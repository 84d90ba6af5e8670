"""From the engine's arrays to what is kept of a recommendation: keys to compare by, and the record that defends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from app.allocation.engine.assumptions import RISK_LEVELS, AssumptionSet
from app.allocation.engine.correlation import Array
from app.allocation.engine.people import People
from app.allocation.engine.policy import RISK_CLASSES, SCORES, Policy, risk_class_of
from app.allocation.engine.portfolios import FrontierCache
from app.allocation.engine.profile import Limit
from app.allocation.engine.reasons import reasons_for
from app.allocation.engine.recommend import Basis, Recommendations, Status, Step, one_step, recommend
from app.allocation.engine.risk import value_at_risk
from app.allocation.engine.rounding import UNITS
from app.allocation.inputs import Inputs, people_from
from app.allocation.versions.store import Versions

NO_PORTFOLIO = "none"
_INPUT_FIELDS = tuple(f.name for f in fields(Inputs))
_VERSION_FIELDS = tuple(f.name for f in fields(Versions))

_BASES = tuple(basis.name.lower() for basis in Basis)
_STATUSES = tuple(status.name.lower() for status in Status)
_LIMITS = tuple(limit.name.lower() for limit in Limit)

FRONTIERS = FrontierCache()  # one for the process: frontiers cost milliseconds, portfolios from them nothing


@dataclass(frozen=True, slots=True)
class Computed:
    """What the engine says of n customers, with what it was told."""

    policy: Policy
    assumptions: AssumptionSet
    inputs: Sequence[Inputs]
    people: People
    result: Recommendations


@dataclass(frozen=True, slots=True)
class ProfileSource:
    """The completed questionnaire that a recommendation rests on."""

    id: UUID
    questionnaire_version: str
    questionnaire_digest: str
    completed_at: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the inputs of one recommendation come from; nothing is known of somebody who is only described."""

    customer_version: int | None = None
    profile: ProfileSource | None = None
    circumstances: Mapping[str, str] = field(default_factory=dict)


def compute(policy: Policy, assumptions: AssumptionSet, inputs: Sequence[Inputs]) -> Computed:
    """Recommendations for these customers, in their order: the only way to the engine, also for computing again."""
    people = people_from(inputs)
    return Computed(policy, assumptions, inputs, people, recommend(policy, assumptions, people, FRONTIERS))


def inputs_of_record(record: Mapping[str, Any]) -> Inputs:
    """The inputs that a record was computed from."""
    kept = dict(record["inputs"])
    return Inputs(**{**kept, "excluded": tuple(kept["excluded"])})


def portfolio_keys(result: Recommendations) -> list[str]:
    """A text for each customer that names the weights: equal exactly if the weights are equal."""
    row = result.signature.astype(np.int64) * SCORES + result.score
    _, first, place = np.unique(row, return_index=True, return_inverse=True)
    # Portfolios of different signatures are often the same: a name is made once for each.
    units = np.rint(np.nan_to_num(result.weights[first]) * UNITS).astype(np.int16)
    whole = units.view(f"V{units.itemsize * units.shape[1]}")[:, 0]
    distinct, its_name = np.unique(whole, return_inverse=True)
    named = [_name_of(result.codes, row / UNITS) for row in distinct.view(np.int16).reshape(-1, units.shape[1])]
    names = [named[i] for i in its_name.tolist()]
    return [names[i] for i in place.tolist()]


def _name_of(codes: Sequence[str], weights: Array) -> str:
    held = weights_of(codes, weights)
    return " ".join(f"{code}:{weight}" for code, weight in held.items()) if held else NO_PORTFOLIO


def shares_of(portfolio: str | None) -> dict[str, float]:
    """The shares that a key of `portfolio_keys` names; none where there is no portfolio."""
    if portfolio is None or portfolio == NO_PORTFOLIO:
        return {}
    return {code: float(weight) for code, weight in (part.split(":") for part in portfolio.split(" "))}


def standing_keys(result: Recommendations) -> list[str]:
    """A text for each customer that names basis, class, level and binding limit."""
    parts = np.column_stack((result.basis, result.risk_class, result.risk_level, result.limit)).astype(np.int64)
    _, first, place = np.unique(parts @ np.array([1 << 24, 1 << 16, 1 << 8, 1]), return_index=True, return_inverse=True)
    names = [
        f"{basis_of(result, i)} {class_of(result, i)} {level_of(result.risk_level[i])} {limit_of(result, i)}"
        for i in first.tolist()
    ]
    return [names[i] for i in place.tolist()]


def basis_of(result: Recommendations, i: int) -> str:
    """advised or indicative."""
    return _BASES[int(result.basis[i])]


def status_of(result: Recommendations, i: int) -> str:
    """ok or no_suitable_portfolio."""
    return _STATUSES[int(result.status[i])]


def class_of(result: Recommendations, i: int) -> str:
    """C1 to C5."""
    return RISK_CLASSES[result.risk_class[i] - 1]


def level_of(level: int) -> str | None:
    """R1 to R5, None without a portfolio."""
    return RISK_LEVELS[level - 1] if level else None


def limit_of(result: Recommendations, i: int) -> str:
    """The code of what keeps the portfolio from taking more risk."""
    return _LIMITS[int(result.limit[i])]


def weights_of(codes: Sequence[str], weights: Array) -> dict[str, str]:
    """The classes that are held, with their shares as decimal strings; empty without a portfolio."""
    return {code: f"{weight:.3f}" for code, weight in zip(codes, weights.tolist(), strict=True) if weight > 0}


def share(value: float) -> str | None:
    """A share as decimal string with six places; None for NaN."""
    if value != value:  # noqa: PLR0124 - NaN differs from itself
        return None
    shown = f"{value:.6f}"
    return shown if shown != "-0.000000" else "0.000000"


def records_of(
    computed: Computed,
    rows: Sequence[int],
    sources: Sequence[Sources],
    versions: Versions,
    now: datetime,
) -> list[dict[str, Any]]:
    """The records of the chosen rows: JSON values that say everything the portfolio follows from, and what it means.

    Value at risk and its conditional mean are those of one year at 95 %, after the stated costs.
    """
    reasons = reasons_for(computed.policy, computed.assumptions, computed.people, computed.result, rows)
    one_of_each, place_of = alike(computed.result, rows)
    same = _of_portfolios(computed, one_of_each)
    shared = {
        "profile_warning_days": computed.policy.profile_warning_days,
        "versions": {name: getattr(versions, name) for name in _VERSION_FIELDS},
    }
    return [
        {
            "computed_at": now.isoformat(),
            "inputs": {name: getattr(computed.inputs[i], name) for name in _INPUT_FIELDS},
            "customer_version": source.customer_version,
            "profile": _profile(source.profile),
            "circumstances": dict(source.circumstances),
            "reasons": [{"code": reason.code, "params": dict(reason.params)} for reason in found],
            **shared,
            **same[place],
        }
        for i, source, found, place in zip(rows, sources, reasons, place_of, strict=True)
    ]


def alike(result: Recommendations, rows: Sequence[int]) -> tuple[list[int], list[int]]:
    """Rows of which each has another portfolio, score or basis, and for each chosen row the place of its like there."""
    chosen = np.asarray(rows, np.intp)
    key = (result.signature[chosen].astype(np.int64) * SCORES + result.score[chosen]) * len(Basis) + result.basis[
        chosen
    ]
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    return chosen[first].tolist(), place.tolist()


def _of_portfolios(computed: Computed, rows: Sequence[int]) -> list[dict[str, Any]]:
    """What a record says that follows from portfolio, score and basis alone."""
    result = computed.result
    safer, bolder = _steps(result.codes, one_step(result, rows, -1)), _steps(result.codes, one_step(result, rows, 1))
    net = result.expected_return[rows] - result.annual_cost[rows]
    losses = (np.round(loss, 6).tolist() for loss in value_at_risk(net, result.volatility[rows]))
    illiquid = result.weights[rows] @ np.array([not c.liquid for c in computed.assumptions.asset_classes])
    figures = zip(rows, *losses, illiquid.tolist(), safer, bolder, strict=True)
    return [
        {
            "score": int(result.score[i]),
            "value_at_risk": share(at_risk),
            "conditional_value_at_risk": share(in_tail),
            "safer": step_down,
            "bolder": step_up,
            "warnings": _warnings(result, i, at_risk, in_tail, share_illiquid),
        }
        for i, at_risk, in_tail, share_illiquid, step_down, step_up in figures
    ]


def _profile(profile: ProfileSource | None) -> dict[str, Any] | None:
    if profile is None:
        return None
    return {
        "id": str(profile.id),
        "questionnaire_version": profile.questionnaire_version,
        "questionnaire_digest": profile.questionnaire_digest,
        "completed_at": profile.completed_at.isoformat(),
        "valid_until": profile.valid_until.isoformat(),
    }


def _steps(codes: Sequence[str], step: Step) -> list[dict[str, Any] | None]:
    columns = (step.expected_return, step.volatility, step.annual_cost, risk_class_of(step.score), step.risk_level)
    figures = zip(step.differs.tolist(), step.weights, *(column.tolist() for column in columns), strict=True)
    return [
        {
            "weights": weights_of(codes, weights),
            "expected_return": share(expected_return),
            "volatility": share(volatility),
            "annual_cost": share(annual_cost),
            "risk_class": RISK_CLASSES[risk_class - 1],
            "risk_level": level_of(risk_level),
        }
        if differs
        else None
        for differs, weights, expected_return, volatility, annual_cost, risk_class, risk_level in figures
    ]


def _warnings(result: Recommendations, i: int, at_risk: float, in_tail: float, illiquid: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if result.basis[i] == Basis.INDICATIVE:
        found.append({"code": "indicative", "params": {}})
    if result.status[i] == Status.NO_SUITABLE_PORTFOLIO:
        return found
    if _percent(at_risk) > 0:
        losses = {"value_at_risk": _percent(at_risk), "conditional_value_at_risk": _percent(in_tail)}
        found.append({"code": "may_lose", "params": losses})
    if illiquid > 0:
        found.append({"code": "illiquid", "params": {"share": _percent(illiquid)}})
    found.append({"code": "not_guaranteed", "params": {}})
    return found


def _percent(value: float) -> float:
    return round(float(value) * 100, 1)
