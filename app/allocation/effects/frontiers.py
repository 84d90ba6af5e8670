"""Frontiers to plot: their points, the limits that shape them, and the model portfolios on them. Pure."""

from typing import Any

from app.allocation.effects.modelling import models, shown_models, shown_versions
from app.allocation.effects.schemas import FrontierQuery
from app.allocation.engine.constraints import Constraints
from app.allocation.engine.correlation import Array
from app.allocation.engine.curve import points
from app.allocation.engine.frontier import Frontier
from app.allocation.records import share
from app.allocation.rendering import names_of
from app.allocation.versions.store import InForce

_NOTHING = 5e-7  # of a weight: it would be shown as 0.000000


def frontiers(rules: InForce, query: FrontierQuery) -> dict[str, Any]:
    """One frontier for each set of limits that C1 to C5 live under, in the shape of the API.

    Raises:
        InvalidDocument: if the assumptions lack the class that the policy takes for cash.
    """
    computed = models(rules, query)
    result, shown = computed.result, shown_models(computed)
    by_limits: dict[Constraints, list[int]] = {}
    for i, place in enumerate(result.signature.tolist()):
        by_limits.setdefault(result.portfolios[place].constraints, []).append(i)
    assumptions, names = rules.assumptions, names_of(rules.published, query.language)
    figures = zip(names.items(), assumptions.volatilities.tolist(), assumptions.expected_returns.tolist(), strict=True)
    return {
        "versions": shown_versions(rules.versions),
        "asset_classes": [
            {"asset_class": code, "name": name, "volatility": share(risk), "expected_return": share(earned)}
            for (code, name), risk, earned in figures
        ],
        "items": [
            {
                "risk_classes": [shown[i]["risk_class"] for i in rows],
                "constraints": limits_of(constraints),
                "conflict": list(result.portfolios[result.signature[rows[0]]].conflict),
                "points": _points(result.portfolios[result.signature[rows[0]]].frontier, constraints, query.points),
                "portfolios": [shown[i] for i in rows],
            }
            for constraints, rows in by_limits.items()
        ],
    }


def limits_of(constraints: Constraints) -> list[dict[str, Any]]:
    """The limits that say something, under the names that conflicts use."""
    found: list[tuple[str, float, list[str]]] = []
    for code, low, high in zip(constraints.codes, constraints.lower, constraints.upper, strict=True):
        found += [(f"{code}.minimum", low, [code])] if low > 0 else []
        found += [(f"{code}.maximum", high, [code])] if high < 1 else []
    for group in constraints.groups:
        members = [constraints.codes[member] for member in group.members]
        found += [(f"{group.name}.minimum", group.minimum, members)] if group.minimum > 0 else []
        found += [(f"{group.name}.maximum", group.maximum, members)] if group.maximum < 1 else []
    return [{"name": name, "limit": share(limit), "asset_classes": codes} for name, limit, codes in found]


def _points(frontier: Frontier | None, constraints: Constraints, count: int) -> list[dict[str, Any]]:
    if frontier is None:
        return []
    curve = points(frontier, count)
    columns = (curve.volatility.tolist(), curve.expected_return.tolist(), curve.weights, curve.is_corner.tolist())
    return [
        {
            "volatility": share(risk),
            "expected_return": share(earned),
            "weights": _weights(constraints.codes, weights),
            "is_corner": is_corner,
        }
        for risk, earned, weights, is_corner in zip(*columns, strict=True)
    ]


def _weights(codes: tuple[str, ...], weights: Array) -> dict[str, str | None]:
    return {code: share(weight) for code, weight in zip(codes, weights.tolist(), strict=True) if weight > _NOTHING}
