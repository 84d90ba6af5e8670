"""Signals in, stages out. Every function takes a set of customers and issues a fixed number of statements.

`record_signals` stores and evaluates; `evaluate` is the one way in which rules move anybody. How lives begin and how
people move them by hand: lives.py.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.customers.service import lock, set_profile
from app.events import StageChange
from app.lifecycle.ingest import Incoming, store_new
from app.lifecycle.loading import Loaded, load, midnight
from app.lifecycle.models import LifecycleState
from app.lifecycle.parking import Offered, park
from app.lifecycle.policies import current_policy
from app.lifecycle.rules import Decision, decide
from app.lifecycle.saving import Step, Verdict, save_steps, save_verdicts
from app.lifecycle.signals import OWN_SOURCE, judge

_MAX_STEPS = 50
"""Due moments that one catch-up may work through; more would mean that a rule makes itself due for ever."""


class Outcome(NamedTuple):
    """What became of a signal: accepted, duplicate, parked, or rejected with code and reason."""

    status: str
    code: str | None = None
    detail: str | None = None
    customer_id: UUID | None = None


async def record_signals(
    session: AsyncSession, offered: Sequence[Offered], now: datetime, zone: ZoneInfo
) -> tuple[list[Outcome], list[StageChange]]:
    """Store signals and evaluate the customers they belong to; one outcome per signal, in order."""
    owners = await _owners(session, offered)
    outcomes: list[Outcome] = []
    accepted: list[tuple[int, Incoming]] = []
    for i, signal in enumerate(offered):
        owner = owners.get(signal.customer_id or signal.external_id)
        refused = judge(signal.type, signal.payload, signal.occurred_at, now)
        if signal.source == OWN_SOURCE:
            refused = ("reserved_source", f"source: {OWN_SOURCE} is reserved for the service itself")
        if refused is None and owner is None and signal.external_id is None:
            refused = ("unknown_customer", "customer.id: there is no such customer")
        if refused is not None:
            outcomes.append(Outcome("rejected", *refused))
        elif owner is None:
            outcomes.append(Outcome("parked", "unknown_customer", "customer.external_id: kept for 72 hours"))
        else:
            outcomes.append(Outcome("accepted", customer_id=owner))
            accepted.append((i, _incoming(signal, owner)))
    stored, gone, changes = await _take(session, [incoming for _, incoming in accepted], now, zone)
    for i, incoming in accepted:
        if incoming in gone:  # erased between the look-up and the lock
            outcomes[i] = Outcome("rejected", "unknown_customer", "customer: there is no such customer")
        elif incoming not in stored:
            outcomes[i] = Outcome("duplicate", customer_id=incoming.customer_id)
    await park(session, [s for s, o in zip(offered, outcomes, strict=True) if o.status == "parked"], now)
    return outcomes, changes


def _incoming(signal: Offered, owner: UUID) -> Incoming:
    return Incoming(
        owner, signal.source, signal.source_event_id, signal.type, signal.occurred_at.astimezone(UTC), signal.payload
    )


class _Identities:
    """Membership by identity: two equal signals in one batch are one stored and one duplicate."""

    def __init__(self, items: Sequence[Incoming]) -> None:
        self._ids = {id(item) for item in items}

    def __contains__(self, item: Incoming) -> bool:
        return id(item) in self._ids


async def record_internal(
    session: AsyncSession, facts: Mapping[UUID, tuple[str, dict[str, Any]]], now: datetime, zone: ZoneInfo
) -> None:
    """Record what the service itself knows as signals of the source `stagefolio`: customer -> (type, payload)."""
    signals = [
        Incoming(customer_id, OWN_SOURCE, str(new_id()), kind, now, payload)
        for customer_id, (kind, payload) in facts.items()
    ]
    await _take(session, signals, now, zone)


async def _take(
    session: AsyncSession, signals: Sequence[Incoming], now: datetime, zone: ZoneInfo
) -> tuple[_Identities, _Identities, list[StageChange]]:
    """Lock, catch up, store, evaluate: the order that makes a late sweep and a busy one give the same stages."""
    if not signals:
        return _Identities([]), _Identities([]), []
    ids = await lock(session, list({s.customer_id for s in signals}))
    changes = await catch_up(session, ids, now, zone)
    there = set(ids)
    new, winners = await store_new(session, [s for s in signals if s.customer_id in there], now, zone)
    profiles: dict[UUID, dict[str, Any]] = {}
    # The earliest signal dates what follows: dated later, a stage would begin after signals of this very batch, and
    # they would count as those of the stage before.
    earliest: dict[UUID, datetime] = {}
    for signal, effect in sorted(new, key=lambda pair: pair[0].occurred_at):
        earliest.setdefault(signal.customer_id, min(signal.occurred_at, now))
        for name, value in effect.profile.items():
            if (signal.customer_id, name, signal.source_event_id) in winners:
                profiles.setdefault(signal.customer_id, {})[name] = value
    if profiles:
        await set_profile(session, profiles, now)
    changes += await evaluate(session, list(earliest), now, zone, effective=earliest)
    gone = _Identities([s for s in signals if s.customer_id not in there])
    return _Identities([signal for signal, _ in new]), gone, changes


async def _owners(session: AsyncSession, offered: Sequence[Offered]) -> dict[UUID | str | None, UUID]:
    rows = await session.execute(
        text(
            "SELECT id::text AS name, id FROM customers WHERE id = ANY(:ids) UNION ALL"
            " SELECT external_id, customer_id FROM customer_external_ids WHERE external_id = ANY(:externals)"
        ),
        {
            "ids": list({s.customer_id for s in offered if s.customer_id}),
            "externals": list({s.external_id for s in offered if s.external_id}),
        },
    )
    found: dict[UUID | str | None, UUID] = {}
    for row in rows:
        found[row.name] = row.id
        found[row.id] = row.id
    return found


async def catch_up(
    session: AsyncSession, customer_ids: Sequence[UUID], now: datetime, zone: ZoneInfo
) -> list[StageChange]:
    """Evaluate locked customers at every moment due until `now`, as if each had been looked at in time."""
    changes: list[StageChange] = []
    for _ in range(_MAX_STEPS):
        due = await session.execute(
            select(LifecycleState.customer_id, LifecycleState.next_evaluation_at).where(
                LifecycleState.customer_id.in_(customer_ids), LifecycleState.next_evaluation_at <= now
            )
        )
        moments: dict[UUID, datetime] = {row[0]: row[1] for row in due if row[1] is not None}
        if not moments:
            return changes
        changes += await evaluate(session, list(moments), now, zone, at=moments)
    return changes


async def evaluate(
    session: AsyncSession,
    customer_ids: Sequence[UUID],
    now: datetime,
    zone: ZoneInfo,
    *,
    at: Mapping[UUID, datetime] | None = None,
    effective: Mapping[UUID, datetime] | None = None,
) -> list[StageChange]:
    """Judge locked customers by the current policy, each at its moment in `at` (default `now`); returns who moved.

    At most one step each. `effective` tells when the cause of a step happened, if that was before the moment.
    """
    if not customer_ids:
        return []
    policy = await current_policy(session)
    loaded = await load(session, customer_ids, at or now, zone)
    decisions = decide([one.subject for one in loaded], policy)
    verdicts = [_verdict(one, d, zone) for one, d in zip(loaded, decisions, strict=True) if d.rule is None]
    kept = {one.row.id: one.row for one in loaded}
    await save_verdicts(session, [v for v in verdicts if _differs(v, kept[v.customer_id])], now)
    steps = [
        _step(one, d, (effective or {}).get(one.row.id, one.at))
        for one, d in zip(loaded, decisions, strict=True)
        if d.rule is not None
    ]
    return await save_steps(session, steps, policy.version, now)


def _verdict(one: Loaded, decision: Decision, zone: ZoneInfo) -> Verdict:
    moment = midnight(decision.look_again_day, zone)
    if decision.look_again_at is not None:
        moment = min(moment, datetime.fromtimestamp(decision.look_again_at, UTC))
    if one.unbound_at is not None:
        moment = min(moment, one.unbound_at)
    return Verdict(one.row.id, decision.score, decision.score_reasons, decision.confirming, moment)


def _differs(verdict: Verdict, row: Any) -> bool:
    return (verdict.score, list(verdict.reasons), verdict.next_evaluation_at) != (
        row.attrition_score,
        row.score_reasons,
        row.next_evaluation_at,
    ) or dict(verdict.confirming) != orjson.loads(row.confirming)


def _step(one: Loaded, decision: Decision, effective_at: datetime) -> Step:
    assert decision.rule is not None
    assert decision.to is not None
    return Step(
        loaded=one,
        to=decision.to,
        kind="automatic",
        rule_id=decision.rule.id,
        reason=None,
        actor=f"rule:{decision.rule.id}",
        facts=decision.facts,
        entry=decision.entry,
        effective_at=effective_at,
        new_cycle=decision.rule.new_cycle,
    )
