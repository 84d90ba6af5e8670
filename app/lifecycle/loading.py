"""Loads what `decide` needs for a set of customers, in four statements however many they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.lifecycle.core.ledger import BALANCE_PAST, Known, Totals, first_day_needed
from app.lifecycle.core.rules import Subject
from app.lifecycle.core.standing import Former, Standing, former_of, local_day, state_of, subject_of

Executor = AsyncSession | AsyncConnection

_EPOCH = "DATE '2000-01-01'"

_HEADS = text(f"""
SELECT c.id, c.version, c.stage, c.stage_entered_at, c.cycle, s.last_trial_ended_at, c.holds <> '{{}}' AS held, 'deceased' = ANY(c.holds) AS deceased, c.pin::text AS pin,
       c.pin ->> 'until' AS pinned_until,
       c.relationship, c.merged_into, s.scope_id, s.changed_at, s.former_at, s.evaluated_at,
       s.interval_id, s.transition_sequence, s.policy_version, s.stage_before, s.entered_by, s.last_automatic_at,
       s.entry::text AS entry, s.recent::text AS recent, s.confirming::text AS confirming, s.attrition_score,
       s.score_reasons, s.next_evaluation_at,
       (c.stage_entered_at AT TIME ZONE :zone)::date - {_EPOCH} AS entered_day,
       t.inflow AS inflow, t.outflow AS outflow, t.trades,
       t.first_funded_on - {_EPOCH} AS first_funded_day, f.inflow AS first_funded,
       t.last_active_on - {_EPOCH} AS last_active_day, t.since_on - {_EPOCH} AS since_day
FROM customers c
JOIN lifecycle_state s ON s.customer_id = c.id
LEFT JOIN customer_totals t ON t.customer_id = c.id
LEFT JOIN customer_day f ON f.customer_id = c.id AND f.day = t.first_funded_on
WHERE c.id = ANY(:ids) ORDER BY c.id
""")

_DAYS = text(f"""
SELECT customer_id, array_agg(day - {_EPOCH}), array_agg(inflow),
       array_agg(outflow), array_agg(deposits), array_agg(trades), array_agg(logins),
       array_agg(activity)
FROM customer_day WHERE customer_id = ANY(:ids) AND day > {_EPOCH} + CAST(:since AS integer) GROUP BY customer_id
""")

_ACCOUNTS = text(f"""
SELECT a.customer_id, b.balance AS base, h.days, h.balances
FROM customer_accounts a
LEFT JOIN LATERAL (
    SELECT balance FROM account_day d WHERE d.customer_id = a.customer_id AND d.account = a.account
      AND d.day <= {_EPOCH} + CAST(:since AS integer) ORDER BY d.day DESC LIMIT 1
) b ON true
LEFT JOIN LATERAL (
    SELECT array_agg(day - {_EPOCH}) AS days, array_agg(balance) AS balances FROM account_day d
    WHERE d.customer_id = a.customer_id AND d.account = a.account AND d.day > {_EPOCH} + CAST(:since AS integer)
) h ON true
WHERE a.customer_id = ANY(:ids)
""")

_MARKS = text(f"""
SELECT customer_id,
       json_object_agg(name, json_build_array(day - {_EPOCH}, extract(epoch FROM occurred_at)::float8, value))::text
FROM customer_fact WHERE customer_id = ANY(:ids) GROUP BY customer_id
""")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A subject with where it stands, the moment it is judged at, and the row it came from."""

    subject: Subject
    standing: Standing
    at: datetime
    row: Any


async def formers_of(executor: Executor, customer_ids: Sequence[UUID]) -> dict[UUID, Former]:
    """What stands again if the last step is corrected, of those whose can be."""
    if not customer_ids:
        return {}
    rows = await executor.execute(
        text(
            "SELECT customer_id, former::text FROM lifecycle_state WHERE customer_id = ANY(:ids) AND former IS NOT NULL"
        ),
        {"ids": list(customer_ids)},
    )
    found = {row[0]: former_of(orjson.loads(row[1])) for row in rows}
    return {customer_id: former for customer_id, former in found.items() if former is not None}


async def load(
    executor: Executor, customer_ids: Sequence[UUID], at: Mapping[UUID, datetime] | datetime, zone: ZoneInfo
) -> list[Loaded]:
    """The customers that exist, in id order, each as known at its moment."""
    ids = list(customer_ids)
    moments = at if isinstance(at, Mapping) else dict.fromkeys(ids, at)
    first_day = min((local_day(moment, zone) for moment in set(moments.values())), default=0)
    heads = (await executor.execute(_HEADS, {"ids": ids, "zone": zone.key})).all()
    standings = {row.id: _standing(row) for row in heads}
    states = {customer_id: state_of(standing, zone) for customer_id, standing in standings.items()}
    needed = [first_day_needed(state, local_day(moments[i], zone)) for i, state in states.items()]
    days = await executor.execute(_DAYS, {"ids": ids, "since": min(needed, default=0) - 1})
    by_day = {row[0]: row[1:] for row in days}
    accounts: dict[UUID, list[tuple[int | None, Sequence[int], Sequence[int]]]] = {}
    for row in await executor.execute(_ACCOUNTS, {"ids": ids, "since": first_day - BALANCE_PAST}):
        accounts.setdefault(row.customer_id, []).append((row.base, row.days or (), row.balances or ()))
    marks = {row[0]: orjson.loads(row[1]) for row in await executor.execute(_MARKS, {"ids": ids})}
    found = []
    for row in heads:
        at, standing = moments[row.id], standings[row.id]
        today = local_day(at, zone)
        held = (by_day.get(row.id, ()), accounts.get(row.id, ()), marks.get(row.id, {}))
        known = Known(today, at.timestamp(), states[row.id], _totals(row), *held)
        found.append(Loaded(subject_of(standing, known, at, zone), standing, at, row))
    return found


def _standing(row: Any) -> Standing:
    return Standing(
        stage=row.stage,
        entered_at=row.stage_entered_at,
        changed_at=row.changed_at,
        policy_version=row.policy_version,
        cycle=row.cycle,
        stage_before=row.stage_before,
        entered_by=row.entered_by,
        last_trial_ended_at=row.last_trial_ended_at,
        last_automatic_at=row.last_automatic_at,
        entry=orjson.loads(row.entry),
        recent=orjson.loads(row.recent),
        confirming=orjson.loads(row.confirming),
        pinned_until=None if row.pinned_until is None else datetime.fromisoformat(row.pinned_until),
    )


def _totals(row: Any) -> Totals:
    return Totals(
        inflow=row.inflow or 0,
        outflow=row.outflow or 0,
        trades=row.trades or 0,
        first_funded_day=row.first_funded_day,
        first_funded=row.first_funded or 0,
        last_active_day=row.last_active_day,
        since_day=row.since_day,
    )
