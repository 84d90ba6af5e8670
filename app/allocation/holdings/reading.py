"""Holdings, and the trades that follow from them, in the shape of the API. Writes nothing."""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.allocation.engine.defaults import default_document
from app.allocation.engine.drift import Drift, measure
from app.allocation.engine.rebalancing import Outcome, Rebalancing, rebalance
from app.allocation.engine.rounding import UNITS
from app.allocation.holdings.schemas import RebalanceQuery
from app.allocation.holdings.service import Standing, Target, Told, columns, money, ordered, standings, units_of
from app.allocation.records import share
from app.allocation.rendering import names_of
from app.allocation.versions.store import Executor, InForce, in_force
from app.customers.reading import refuse_missing
from app.errors import Problem, invalid, not_found


async def read_holdings(executor: Executor, customer_id: UUID, language: str | None) -> tuple[dict[str, Any], str]:
    """What a customer holds, measured now, and the tag of that; 404 if nothing was told, 410 as for customers."""
    standing, told = await _standing(executor, customer_id)
    rules = await in_force(executor)
    spoken = language or _own(standing)
    target = standing.target
    codes = _codes(rules, told, target)
    drift = measure(*columns([(told.amounts, {} if target is None else target.weights)], codes), rules.policy.upkeep)
    total, breached = int(drift.total[0]), np.flatnonzero(drift.breached[0]).tolist() if target else []
    shown = {
        "customer_id": customer_id,
        "as_of": told.as_of,
        "received_at": standing.received_at,
        "source": told.source,
        "currency": rules.published.currency,
        "total": money(total),
        "positions": _positions(told, target, drift, codes, _names(rules, codes, spoken)),
        "drift": share(float(drift.drift[0])) if target else None,
        "breached": [codes[i] for i in breached],
        "against": _against(standing, target),
        "version": standing.version,
        "language": spoken,
    }
    # What is shown follows from the holdings, their target, and the rules in force.
    recommended = [str(one.id) for one in (target, standing.latest) if one is not None]
    versions = (rules.versions.policy_digest[:12], rules.versions.assumptions_digest[:12])
    return shown, ".".join((str(standing.version), *recommended, *versions, spoken))


async def propose_trades(connection: AsyncConnection, customer_id: UUID, query: RebalanceQuery) -> dict[str, Any]:
    """Trades that bring a customer back to the target.

    404 if nothing was told of the holdings, 410 as for customers, 409 without a portfolio to trade towards, 422 if more
    is to be paid out than is held.
    """
    standing, told = await _standing(connection, customer_id)
    target = _wanted(standing, query.against)
    new_money = units_of(query.new_money)
    if new_money + sum(told.amounts.values()) < 0:
        raise invalid("new_money", "more_than_held", "Must not be more than is held.")
    rules = await in_force(connection)
    codes = _codes(rules, told, target)
    minimum = rules.policy.upkeep.minimum_trade if query.minimum_trade is None else float(query.minimum_trade)
    found = rebalance(
        *columns([(told.amounts, target.weights)], codes), np.array([new_money]), rules.policy.upkeep, minimum
    )
    spoken = query.language or _own(standing)
    names = _names(rules, codes, spoken)
    trades = found.trades[0].tolist()
    return {
        "customer_id": customer_id,
        "as_of": told.as_of,
        "against": _against(standing, target),
        "currency": rules.published.currency,
        "new_money": money(new_money),
        "minimum_trade": share(minimum),
        "total": money(int(found.before.total[0])),
        "total_after": money(int(found.after.total[0])),
        "drift": share(float(found.before.drift[0])),
        "drift_after": share(float(found.after.drift[0])),
        "bought": money(sum(amount for amount in trades if amount > 0)),
        "sold": money(-sum(amount for amount in trades if amount < 0)),
        "trades": _trades(trades, codes, names),
        "positions": _after(told, target, found, codes, names),
        "reason": _reason(found, codes, names, minimum, spoken),
        "language": spoken,
    }


async def _standing(executor: Executor, customer_id: UUID) -> tuple[Standing, Told]:
    standing = (await standings(executor, [customer_id])).get(customer_id)
    if standing is None:
        connection = await executor.connection() if isinstance(executor, AsyncSession) else executor
        await refuse_missing(connection, customer_id)
        raise not_found("customer")
    if standing.told is None:
        raise not_found("record of what this customer holds")
    return standing, standing.told


def _own(standing: Standing) -> str:
    return "zh" if standing.language.startswith("zh") else "en"


def _wanted(standing: Standing, against: str | None) -> Target:
    """The portfolio to trade towards; 409 without one."""
    if against == "accepted":
        found, lacking = standing.accepted, "No portfolio has been accepted."
    elif against == "recommended":
        found, lacking = standing.latest, "There is no suitable portfolio for this customer."
    else:
        found, lacking = standing.target, "There is no portfolio, accepted or proposed, to trade towards."
    if found is None:
        raise Problem("no_recommendation", lacking)
    return found


def _codes(rules: InForce, told: Told, target: Target | None) -> list[str]:
    """Classes held or wanted, at least one: without any there is no array."""
    wanted = set(told.amounts) | (set(target.weights) if target else set())
    return ordered(wanted, rules) or [rules.published.codes[0]]


def _names(rules: InForce, codes: Sequence[str], language: str) -> dict[str, str]:
    known = names_of(rules.published, language)
    return {code: known.get(code, code) for code in codes}


def _against(standing: Standing, target: Target | None) -> dict[str, Any] | None:
    if target is None:
        return None
    latest = standing.latest
    newer = latest.id if latest is not None and latest.state == "proposed" and latest.id != target.id else None
    return {"recommendation_id": target.id, "state": target.state, "basis": target.basis, "newer_id": newer}


def _positions(
    told: Told, target: Target | None, drift: Drift, codes: Sequence[str], names: dict[str, str]
) -> list[dict[str, Any]]:
    shown = []
    for i, code in enumerate(codes):
        if code not in told.amounts and (target is None or code not in target.weights):
            continue
        measured = target is not None
        difference = drift.actual[0, i] - drift.target[0, i]
        shown.append(
            {
                "asset_class": code,
                "name": names[code],
                "amount": money(told.amounts.get(code, 0)),
                "actual": share(float(drift.actual[0, i])),
                "target": _thousandths(target.weights.get(code, 0)) if target is not None else None,
                "difference": share(float(difference)) if measured else None,
                "band": share(float(drift.band[0, i])) if measured else None,
                "breached": measured and bool(drift.breached[0, i]),
            }
        )
    return shown


def _thousandths(weight: int) -> str:
    return f"{weight / UNITS:.3f}"


def _trades(trades: Sequence[int], codes: Sequence[str], names: dict[str, str]) -> list[dict[str, Any]]:
    order = sorted((i for i, amount in enumerate(trades) if amount), key=lambda i: (trades[i] > 0, -abs(trades[i])))
    return [
        {
            "asset_class": codes[i],
            "name": names[codes[i]],
            "side": "buy" if trades[i] > 0 else "sell",
            "amount": money(abs(trades[i])),
        }
        for i in order
    ]


def _after(
    told: Told, target: Target, found: Rebalancing, codes: Sequence[str], names: dict[str, str]
) -> list[dict[str, Any]]:
    return [
        {
            "asset_class": code,
            "name": names[code],
            "amount": money(told.amounts.get(code, 0) + int(found.trades[0, i])),
            "weight": share(float(found.after.actual[0, i])),
            "target": _thousandths(target.weights.get(code, 0)),
            "breached": bool(found.after.breached[0, i]),
        }
        for i, code in enumerate(codes)
    ]


def _reason(
    found: Rebalancing, codes: Sequence[str], names: dict[str, str], minimum: float, language: str
) -> dict[str, Any]:
    outcome = Outcome(found.outcome[0])
    params: dict[str, Any] = {}
    if outcome in {Outcome.BELOW_MINIMUM, Outcome.REBALANCE}:
        params["asset_classes"] = [codes[i] for i in np.flatnonzero(found.ahead.breached[0]).tolist()]
    if outcome is Outcome.BELOW_MINIMUM:
        params["minimum"] = round(minimum * 100, 2)
    code = outcome.name.lower()
    classes = ("、" if language == "zh" else ", ").join(names[one] for one in params.get("asset_classes", ()))
    text = _texts()[code][language].format(classes=classes, minimum=f"{minimum * 100:g}")
    return {"code": code, "params": params, "text": text}


@cache
def _texts() -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = default_document("rebalancing")
    return texts
