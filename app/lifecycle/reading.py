"""Reads about the lifecycle: explanation, history, signals."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from app.customers.models import EventCounter
from app.customers.reading import refuse_missing
from app.lifecycle.core.standing import frozen_until, local_day
from app.lifecycle.explaining.answers import next_answer, rule_answer, score_answer, why_answer
from app.lifecycle.explaining.explain import explain
from app.lifecycle.explaining.wording import Voice
from app.lifecycle.loading import Loaded, load
from app.lifecycle.models import Signal, Transition
from app.lifecycle.policies import policies_of
from app.lifecycle.schemas import SignalQuery
from app.lifecycle.time_in_stage import by_stage, overdue_days, stays_of
from app.pagination import PageQuery, decode_cursor, encode_cursor

DAILY = timedelta(days=1)
"""At most one automatic step in this time, except by rules that are urgent or always apply."""

_LAST_STEP = text("""
SELECT t.sequence, t.from_stage, t.to_stage, t.kind, t.rule_id, t.policy_version, t.reason, t.actor, t.facts,
       t.effective_at, t.decided_at, t.corrects_sequence,
       c.rule_id AS corrected_rule, c.from_stage AS corrected_from, c.to_stage AS corrected_to, c.effective_at AS corrected_at
FROM transitions t LEFT JOIN transitions c ON c.customer_id = t.customer_id AND c.sequence = t.corrects_sequence
WHERE t.customer_id = :customer_id ORDER BY t.sequence DESC LIMIT 1
""").columns(facts=JSONB)


async def explain_customer(
    connection: AsyncConnection, customer_id: UUID, now: datetime, voice: Voice
) -> dict[str, Any]:
    """The answer to why here, what next, what blocks it, computed now from the facts as they are now."""
    await refuse_missing(connection, customer_id)
    policies = await policies_of(connection)
    [one] = await load(connection, [customer_id], now, voice.zone)
    counter = await connection.execute(select(EventCounter.sequence).where(EventCounter.customer_id == customer_id))
    step = (await connection.execute(_LAST_STEP, {"customer_id": customer_id})).first()
    stays = await stays_of(connection, customer_id, now, voice.zone)
    row = one.row
    policy = policies[row.policy_version]
    found = explain(one.subject, policy)
    days = local_day(now, voice.zone) - row.entered_day
    target = policy.target_days.get(row.stage)
    late = overdue_days(days, target)
    held = held_back(one, now, voice.zone)
    return {
        "stage": row.stage,
        "entered_at": row.stage_entered_at,
        "days_in_stage": days,
        "target_days": target,
        "overdue": late > 0,
        "overdue_days": late,
        "stage_before": row.stage_before,
        "entered_by": row.entered_by,
        "why": why_answer(step, row, policies, voice),
        "next": next_answer(found, one.subject, held, voice),
        **score_answer(found, voice),
        "held_back": [{"code": code, "until": until} for code, until in held],
        "next_evaluation_at": row.next_evaluation_at,
        "transition_sequence": row.transition_sequence,
        "event_sequence": counter.scalar() or 0,
        "policy_name": policy.name,
        "policy_version": policy.version,
        "rules": [rule_answer(rule, held, voice) for rule in found.rules],
        "stages": by_stage(stays, row.stage, late, policy.target_days),
    }


def held_back(one: Loaded, now: datetime, zone: ZoneInfo) -> list[tuple[str, datetime | None]]:
    """What keeps the rules from acting, even one that holds, with its end: None where no time ends it."""
    row = one.row
    found: list[tuple[str, datetime | None]] = [("hold", None)] if row.held else []
    pinned = datetime.fromisoformat(row.pinned_until) if row.pinned_until is not None else None
    if pinned is not None and pinned > now:
        found.append(("pin", pinned))
    thawed = frozen_until(one.standing, local_day(now, zone), zone)
    if thawed is not None and thawed > now:
        found.append(("returns", thawed))
    if row.last_automatic_at is not None and row.last_automatic_at + DAILY > now:
        found.append(("daily_limit", row.last_automatic_at + DAILY))
    return found


async def list_transitions(
    connection: AsyncConnection, customer_id: UUID, query: PageQuery
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of a customer's transitions, newest first."""
    await refuse_missing(connection, customer_id)
    columns = (c for c in Transition.__table__.c if c.name != "position")
    found = select(*columns).where(Transition.customer_id == customer_id)
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


async def list_intervals(
    connection: AsyncConnection, customer_id: UUID, now: datetime, zone: ZoneInfo
) -> list[dict[str, Any]]:
    """Every stay of a customer, oldest first, with its length in local days."""
    await refuse_missing(connection, customer_id)
    return await stays_of(connection, customer_id, now, zone)


async def list_signals(
    connection: AsyncConnection, customer_id: UUID, query: SignalQuery
) -> tuple[list[Mapping[str, Any]], str | None]:
    """A page of a customer's signals, latest occurrence first."""
    await refuse_missing(connection, customer_id)
    table = Signal.__table__
    found = select(*(c for c in table.c if c.name not in ("customer_id", "origin_id", "position"))).where(
        table.c.customer_id == customer_id
    )
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
