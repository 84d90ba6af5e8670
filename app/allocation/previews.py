"""Portfolios for people who are only described: what if, and the model portfolio of each class. Writes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.allocation.engine.policy import POINTS_PER_CLASS, RISK_CLASSES
from app.allocation.inputs import Inputs
from app.allocation.records import (
    Sources,
    basis_of,
    class_of,
    compute,
    level_of,
    limit_of,
    records_of,
    share,
    status_of,
    weights_of,
)
from app.allocation.rendering import advice, names_of
from app.allocation.versions.store import InForce

_LONG = 100.0  # years: so that no rule about horizons binds


def preview(rules: InForce, inputs: Sequence[Inputs], language: str, now: datetime) -> list[dict[str, Any]]:
    """What would be recommended to these people now, in the shape of the API."""
    computed = compute(rules.policy, rules.assumptions, inputs)
    result, rows = computed.result, range(len(inputs))
    records = records_of(computed, rows, [Sources()] * len(inputs), rules.versions, now)
    names = names_of(rules.published, language)
    return [
        advice(
            {
                "basis": basis_of(result, i),
                "status": status_of(result, i),
                "weights": weights_of(result.codes, result.weights[i]),
                "expected_return": share(result.expected_return[i]),
                "volatility": share(result.volatility[i]),
                "annual_cost": share(result.annual_cost[i]),
                "risk_class": class_of(result, i),
                "risk_level": level_of(result.risk_level[i]),
                "limit_code": limit_of(result, i),
                "record": records[i],
            },
            names,
            language,
        )
        for i in rows
    ]


def model_portfolios(rules: InForce, person: Inputs, language: str, now: datetime) -> list[dict[str, Any]]:
    """The portfolio at the ceiling of each class C1 to C5, for people of this kind, segment, stage and age."""
    beyond_caps = replace(person, horizon_years=_LONG, liquidity_need=0.0, has_valid_profile=True)
    scores = [float(place * POINTS_PER_CLASS) for place in range(1, len(RISK_CLASSES) + 1)]
    people = [replace(beyond_caps, tolerance=score, capacity=score) for score in scores]
    return preview(rules, people, language, now)
