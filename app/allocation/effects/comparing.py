"""What publishing a version would do: expected returns and model portfolios, before and after. Pure."""

from collections.abc import Mapping
from typing import Any

from app.allocation.effects.modelling import models, shown_models, shown_versions, turnover
from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.preview_schemas import ModelPortfolioQuery
from app.allocation.records import share
from app.allocation.rendering import names_of
from app.allocation.versions.store import InForce


def effect(before: InForce, after: InForce, query: ModelPortfolioQuery) -> dict[str, Any]:
    """Everything that changes, in the shape of the API.

    Raises:
        InvalidDocument: if the assumptions and the policy afterwards cannot be used together.
    """
    portfolios = zip(shown_models(models(before, query)), shown_models(models(after, query)), strict=True)
    return {
        "before": shown_versions(before.versions),
        "after": shown_versions(after.versions),
        "asset_classes": _classes(before, after, query.language),
        "portfolios": [
            {
                "risk_class": now["risk_class"],
                "before": now,
                "after": then,
                "turnover": turnover(now["weights"], then["weights"]),
            }
            for now, then in portfolios
        ],
    }


def _classes(before: InForce, after: InForce, language: str) -> list[dict[str, Any]]:
    names = names_of(before.published, language) | names_of(after.published, language)
    codes = dict.fromkeys((*after.published.codes, *before.published.codes))
    now, then = _figures(before), _figures(after)
    return [
        {
            "asset_class": code,
            "name": names[code],
            **{name: _change(now[name].get(code), then[name].get(code)) for name in now},
        }
        for code in codes
    ]


def _figures(rules: InForce) -> dict[str, Mapping[str, float]]:
    """Figures by name and asset class."""
    published, used = rules.published.expected_returns, rules.assumptions.expected_returns
    return {
        "prior": _by_code(rules.published, published.tolist()),
        "by_views": _by_code(rules.published, (used - published).tolist()),
        "expected_return": _by_code(rules.published, used.tolist()),
        "volatility": _by_code(rules.published, rules.published.volatilities.tolist()),
    }


def _by_code(assumptions: AssumptionSet, values: list[float]) -> dict[str, float]:
    return dict(zip(assumptions.codes, values, strict=True))


def _change(before: float | None, after: float | None) -> dict[str, str | None]:
    return {
        "before": None if before is None else share(before),
        "after": None if after is None else share(after),
        "change": None if before is None or after is None else share(after - before),
    }
