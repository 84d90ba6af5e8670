"""Reads about the lifecycle: explanation, history, signals."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.customers.models import EventCounter
from app.customers.reading import refuse_missing
from app.lifecycle.explain import Condition, RuleStatus, explain
from app.lifecycle.loading import Loaded, load, local_day, midnight
from app.lifecycle.models import Signal, StageInterval, Transition
from app.lifecycle.policies import current_policy
from app.lifecycle.schemas import SignalQuery
from app.pagination import PageQuery, decode_cursor, encode_cursor

DAILY = timedelta(days=1)
"""At most one automatic step in this time, except by rules that are urgent or always apply."""


async def explain_customer(
    connection: AsyncConnection, customer_id: UUID, now: datetime, zone: ZoneInfo, language: str
) -> dict[str, Any]:
    """The answer to why here, what next, what blocks it, computed now from the facts as they are now."""
    await refuse_missing(connection, customer_id)
    policy = await current_policy(connection)
    [one] = await load(connection, [customer_id], now, zone)
    counter = await connection.execute(select(EventCounter.sequence).where(EventCounter.customer_id == customer_id))
    score, reasons, rules = explain(one.subject, policy)
    row = one.row
    return {
        "stage": row.stage,
        "entered_at": row.stage_entered_at,
        "days_in_stage": local_day(now, zone) - row.entered_day,
        "target_days": policy.target_days.get(row.stage),
        "stage_before": row.stage_before,
        "entered_by": row.entered_by,
        "attrition_score": score,
        "score_reasons": reasons,
        "held_back": _held_back(one, now),
        "next_evaluation_at": row.next_evaluation_at,
        "transition_sequence": row.transition_sequence,
        "event_sequence": counter.scalar() or 0,
        "policy_name": policy.name,
        "policy_version": policy.version,
        "rules": [_rule(rule, zone, language) for rule in rules],
    }


def _held_back(one: Loaded, now: datetime) -> list[dict[str, Any]]:
    """What keeps the rules from acting, even one that holds: `until` is None where no time ends it."""
    row = one.row
    found: list[tuple[str, datetime | None]] = [("hold", None)] if row.held else []
    pinned = datetime.fromisoformat(row.pinned_until) if row.pinned_until is not None else None
    if pinned is not None and pinned > now:
        found.append(("pin", pinned))
    if one.frozen_until is not None and one.frozen_until > now:
        found.append(("returns", one.frozen_until))
    if row.last_automatic_at is not None and row.last_automatic_at + DAILY > now:
        found.append(("daily_limit", row.last_automatic_at + DAILY))
    return [{"code": code, "until": until} for code, until in found]


def _rule(rule: RuleStatus, zone: ZoneInfo, language: str) -> dict[str, Any]:
    return {
        "id": rule.id,
        "to": rule.to,
        "holds": rule.holds,
        "blocked_by": rule.blocked_by,
        "confirmed_at": None if rule.confirmed_at is None else datetime.fromtimestamp(rule.confirmed_at, UTC),
        "flips_at": None if rule.flips_day is None else midnight(rule.flips_day, zone),
        "conditions": [_condition(condition, zone, language) for condition in rule.conditions],
    }


def _condition(condition: Condition, zone: ZoneInfo, language: str) -> dict[str, Any]:
    return {
        "fact": condition.fact,
        "label": condition.label_zh if language.startswith("zh") else condition.label_en,
        "op": condition.op,
        "threshold": condition.threshold,
        "actual": condition.actual,
        "holds": condition.holds,
        "distance": condition.distance,
        "flips_at": None if condition.flips_day is None else midnight(condition.flips_day, zone),
    }


async def list_transitions(
    connection: AsyncConnection, customer_id: UUID, query: PageQuery
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of a customer's transitions, newest first."""
    await refuse_missing(connection, customer_id)
    found = select(Transition.__table__).where(Transition.customer_id == customer_id)
    fingerprint = query.fingerprint(f"transitions {customer_id}")
    if query.cursor is not None:
        [before] = decode_cursor(fingerprint, query.cursor, (int,))
        found = found.where(Transition.sequence < before)
    rows = (
        (await connection.execute(found.order_by(Transition.sequence.desc()).limit(query.limit + 1))).mappings().all()
    )
    items = [dict(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit
    return items, encode_cursor(fingerprint, items[-1]["sequence"]) if more else None


async def list_intervals(connection: AsyncConnection, customer_id: UUID, now: datetime) -> list[dict[str, Any]]:
    """Every stay of a customer, oldest first, with its length in whole days."""
    await refuse_missing(connection, customer_id)
    table = StageInterval.__table__
    rows = await connection.execute(
        select(table).where(table.c.customer_id == customer_id).order_by(table.c.entered_at, table.c.id)
    )
    return [{**row, "days": ((row["exited_at"] or now) - row["entered_at"]).days} for row in rows.mappings()]


async def list_signals(
    connection: AsyncConnection, customer_id: UUID, query: SignalQuery
) -> tuple[list[Mapping[str, Any]], str | None]:
    """A page of a customer's signals, latest occurrence first."""
    await refuse_missing(connection, customer_id)
    table = Signal.__table__
    found = select(*(c for c in table.c if c.name != "customer_id")).where(table.c.customer_id == customer_id)
    if query.type is not None:
        found = found.where(table.c.type == query.type)
    fingerprint = query.fingerprint(f"signals {customer_id}")
    key = tuple_(table.c.occurred_at, table.c.id)
    if query.cursor is not None:
        found = found.where(key < tuple_(*map(literal, decode_cursor(fingerprint, query.cursor, (datetime, UUID)))))
    rows = await connection.execute(
        found.order_by(table.c.occurred_at.desc(), table.c.id.desc()).limit(query.limit + 1)
    )
    items = list(rows.mappings())
    page = items[: query.limit]
    more = len(items) > query.limit
    return [dict(i) for i in page], encode_cursor(
        fingerprint, page[-1]["occurred_at"], page[-1]["id"]
    ) if more else None
