"""Risk figures from return series, on their own and put into an assumption document."""

import copy
from typing import Any

import numpy as np

from app.allocation.engine.estimation import Estimate, ReturnPanel, estimate
from app.allocation.engine.problems import InvalidDocument, Problem
from app.allocation.records import share

_HIGHEST_VOLATILITY = 2.0  # as in an assumption set
_PLACES = 6


def estimated(panel: ReturnPanel, *, shrink: bool, pointer: str = "/csv") -> Estimate:
    """The figures of a panel.

    Raises:
        InvalidDocument: if a volatility is so high that the returns must be percentages.
    """
    found = estimate(panel.returns, panel.periods_per_year, shrink=shrink)
    high = [code for code, vol in zip(panel.codes, found.volatilities, strict=True) if vol > _HIGHEST_VOLATILITY]
    if high:
        detail = "a volatility above 200 % a year: are these percentages? 0.012 is 1.2 %"
        raise InvalidDocument([Problem(pointer, "out_of_range", f"column {code}: {detail}") for code in high])
    return found


def shown(panel: ReturnPanel, found: Estimate, document: dict[str, Any] | None) -> dict[str, Any]:
    """The figures in the shape of the API."""
    columns = (panel.codes, found.volatilities, found.means, found.standard_errors)
    return {
        "asset_classes": [
            {
                "asset_class": code,
                "volatility": share(volatility),
                "mean_return": share(mean),
                "standard_error": share(error),
            }
            for code, volatility, mean, error in zip(*columns, strict=True)
        ],
        "correlation": rounded(found),
        "shrinkage": share(found.shrinkage),
        "observations": found.observations,
        "periods_per_year": panel.periods_per_year,
        "first_on": panel.dates[0].isoformat(),
        "last_on": panel.dates[-1].isoformat(),
        "document": document,
    }


def rounded(found: Estimate) -> list[list[float]]:
    """The correlations as a document holds them."""
    matrix: list[list[float]] = (np.round(found.correlation, _PLACES) + 0.0).tolist()
    return matrix


def missing_columns(document: dict[str, Any], panel: ReturnPanel, pointer: str = "/csv") -> None:
    """Refuse a panel that lacks a class of the document: its risk and that of the others must be of one period.

    Raises:
        InvalidDocument: with one problem for each class.
    """
    codes = [entry["code"] for entry in document["asset_classes"]]
    found = [
        Problem(pointer, "missing", f"no column for {code}, a class of the set")
        for code in codes
        if code not in panel.codes
    ]
    if found:
        raise InvalidDocument(found)


def with_risk(document: dict[str, Any], panel: ReturnPanel, found: Estimate) -> dict[str, Any]:
    """A copy of an assumption document with estimated volatilities and correlations, ready for a draft.

    Expected returns stay as published: a compound one is turned into an arithmetic one with the new volatility.
    """
    changed = copy.deepcopy(document)
    volatilities = dict(zip(panel.codes, found.volatilities.tolist(), strict=True))
    for entry in changed["asset_classes"]:
        entry["volatility"] = round(volatilities[entry["code"]], _PLACES)
    changed["correlation"] = rounded(found)
    shrunk = (
        f", shrunk towards equal correlations by {found.shrinkage:.3f} (Ledoit and Wolf)" if found.shrinkage else ""
    )
    changed["correlation_source"] = (
        f"volatilities and correlations: {found.observations} returns,"
        f" {panel.dates[0].isoformat()} to {panel.dates[-1].isoformat()}{shrunk}"
    )
    return changed
