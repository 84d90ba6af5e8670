"""The model portfolios C1 to C5 as figures, for people of one kind. Pure."""

from typing import Any

import numpy as np

from app.allocation.engine.policy import POINTS_PER_CLASS, RISK_CLASSES
from app.allocation.inputs import Inputs
from app.allocation.preview_schemas import ModelPortfolioQuery
from app.allocation.records import Computed, class_of, compute, level_of, limit_of, share, status_of, weights_of
from app.allocation.versions.store import InForce, Versions

_LONG = 100.0  # years: so that no rule about horizons binds


def models(rules: InForce, query: ModelPortfolioQuery) -> Computed:
    """Five customers who differ in their score alone: one at the ceiling of each class.

    Raises:
        InvalidDocument: if the assumptions lack the class that the policy takes for cash.
    """
    scores = [float(place * POINTS_PER_CLASS) for place in range(1, len(RISK_CLASSES) + 1)]
    people = [
        Inputs(
            kind=query.kind,
            segment=query.segment or ("small_business" if query.kind == "business" else "mass"),
            stage=query.stage,
            age=query.age,
            tolerance=score,
            capacity=score,
            horizon_years=_LONG,
            liquidity_need=0.0,
            has_valid_profile=True,
        )
        for score in scores
    ]
    return compute(rules.policy, rules.assumptions, people)


def shown_models(computed: Computed) -> list[dict[str, Any]]:
    """The portfolios in the shape of the API."""
    result = computed.result
    return [
        {
            "risk_class": class_of(result, i),
            "status": status_of(result, i),
            "weights": weights_of(result.codes, result.weights[i]),
            "expected_return": share(result.expected_return[i]),
            "volatility": share(result.volatility[i]),
            "annual_cost": share(result.annual_cost[i]),
            "risk_level": level_of(result.risk_level[i]),
            "limit": limit_of(result, i),
        }
        for i in range(len(result))
    ]


def shown_versions(versions: Versions) -> dict[str, Any]:
    """Which documents these are."""
    return {
        "assumption_version": versions.assumptions,
        "views_version": versions.views,
        "policy_version": versions.policy,
    }


def turnover(before: dict[str, str], after: dict[str, str]) -> str | None:
    """Half the sum of absolute differences of two portfolios, by asset class; None where one of them is none."""
    if not before or not after:
        return None
    codes = sorted({*before, *after})
    moved = np.array([float(after.get(code, 0)) - float(before.get(code, 0)) for code in codes])
    return share(float(np.abs(moved).sum() / 2))
