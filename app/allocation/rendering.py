"""Recommendations in words and in the shape of the API. Pure: rows, names and the time are arguments."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.defaults import default_document
from app.allocation.engine.reasons import Reason, render
from app.allocation.profiles import profile_state

Names = Mapping[str, str]


def names_of(assumptions: AssumptionSet, language: str) -> dict[str, str]:
    """The names of the asset classes in one language, in the order of the set."""
    return {c.code: c.names[language] for c in assumptions.asset_classes}


def shown_weights(weights: Mapping[str, str], names: Names) -> list[dict[str, str]]:
    """The classes held, in the order of the assumption set."""
    return [
        {"asset_class": code, "name": name, "weight": weights[code]} for code, name in names.items() if code in weights
    ]


def shown_portfolio(portfolio: Mapping[str, Any] | None, names: Names) -> dict[str, Any] | None:
    """A portfolio to compare with: its weights named, its figures as they are."""
    if portfolio is None:
        return None
    return {**portfolio, "weights": shown_weights(portfolio["weights"], names)}


def shown_reasons(reasons: Sequence[Mapping[str, Any]], language: str) -> list[dict[str, Any]]:
    """Each reason with its text."""
    return [{**reason, "text": render(Reason(reason["code"], reason["params"]), language)} for reason in reasons]


def shown_warnings(warnings: Sequence[Mapping[str, Any]], language: str) -> list[dict[str, Any]]:
    """Each warning with its text."""
    return [
        {**warning, "text": _warnings()[warning["code"]][language].format(**_plain(warning["params"]))}
        for warning in warnings
    ]


def advice(row: Mapping[str, Any], names: Names, language: str) -> dict[str, Any]:
    """What every recommendation shows, stored or only computed: `row` has its columns and its record."""
    record = row["record"]
    return {
        "basis": row["basis"],
        "status": row["status"],
        "weights": shown_weights(row["weights"], names),
        "expected_return": row["expected_return"],
        "volatility": row["volatility"],
        "annual_cost": row["annual_cost"],
        "value_at_risk": record["value_at_risk"],
        "conditional_value_at_risk": record["conditional_value_at_risk"],
        "score": record["score"],
        "risk_class": row["risk_class"],
        "risk_level": row["risk_level"],
        "limit": row["limit_code"],
        "safer": shown_portfolio(record["safer"], names),
        "bolder": shown_portfolio(record["bolder"], names),
        "reasons": shown_reasons(record["reasons"], language),
        "warnings": shown_warnings(record["warnings"], language),
        "policy_version": record["versions"]["policy"],
        "assumption_version": record["versions"]["assumptions"],
        "views_version": record["versions"].get("views"),
        "engine_version": record["versions"]["engine"],
        "language": language,
    }


def recommendation(row: Mapping[str, Any], names: Names, language: str, now: datetime) -> dict[str, Any]:
    """A stored recommendation. `profile_until` of the row, where it has one, says how long its profile still counts;
    `life_event_at`, since when it is open whether the answers still hold."""
    shown = advice(row, names, language)
    until, told_at = row["profile_until"], row.get("life_event_at")
    if told_at is not None:
        found = [{"code": "life_event", "params": {"date": told_at.date().isoformat()}}]
        shown["warnings"] = shown_warnings(found, language) + shown["warnings"]
    if until is not None and row["basis"] == "advised":
        # Records of before the policy could be replaced lack the figure; it was 30 days for all of them.
        found = _about_profile(until, now, row["record"].get("profile_warning_days", 30))
        shown["warnings"] = shown_warnings(found, language) + shown["warnings"]
    profile = row["record"]["profile"]
    return {
        "id": row["id"],
        "customer_id": row["customer_id"],
        "state": row["state"],
        **shown,
        "inputs": _inputs(row["record"]["inputs"]),
        "profile_id": None if profile is None else profile["id"],
        "profile_valid_until": until,
        "questionnaire_version": None if profile is None else profile["questionnaire_version"],
        "created_at": row["created_at"],
        "accepted_at": row["accepted_at"],
        "declined_at": row["declined_at"],
        "supersedes": row["supersedes"],
    }


def _about_profile(until: datetime, now: datetime, warning_days: int) -> list[dict[str, Any]]:
    code = {"due": "profile_expires", "expired": "profile_expired"}.get(profile_state(until, now, warning_days))
    return [{"code": code, "params": {"valid_until": until.date().isoformat()}}] if code else []


def _inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs of a record with shares as decimal strings, as everywhere in the API."""
    shares = {
        name: None if inputs[name] is None else f"{inputs[name]:.4f}"
        for name in ("liquidity_need", "announced_withdrawal", "minimum_cash")
    }
    return {**inputs, **shares}


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: f"{value:g}" if isinstance(value, float) else value for name, value in params.items()}


@cache
def _warnings() -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = default_document("warnings")
    return texts
