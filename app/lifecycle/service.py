"""Signals in, stages out. Every function takes a set of customers and issues a fixed number of statements.

`record_signals` stores and evaluates; `evaluate` is the one way in which rules move anybody. How lives begin and how
people move them by hand: lives.py.
"""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.customers.service import lock, set_profile
from app.events import StageChange
from app.lifecycle.core.edges import BACK
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.rules import Decision, decide
from app.lifecycle.core.signals import OWN_SOURCE, judge, unsettles
from app.lifecycle.core.standing import Stride, next_look
from app.lifecycle.correcting import correct, in_doubt
from app.lifecycle.ingest import Incoming, store_new
from app.lifecycle.inputs import note_inputs, note_moments
from app.lifecycle.loading import Loaded, load
from app.lifecycle.models import LifecycleState
from app.lifecycle.parking import Offered, Owner, lock_owners, park, unpark
from app.lifecycle.policies import policies_of
from app.lifecycle.retracting import retract, unretractable
from app.lifecycle.saving import Step, Verdict, save_steps, save_verdicts
from app.lifecycle.telling import tell_others

_MAX_STEPS = 2000
"""Due moments that one catch-up may work through; more would mean that a rule makes itself due for ever."""

_DUE = text("""
SELECT customer_id, next_evaluation_at, evaluated_at, next_evaluation_at <= greatest(:now, evaluated_at) AS is_due
FROM lifecycle_state
WHERE customer_id = ANY(:ids) AND (next_evaluation_at <= greatest(:now, evaluated_at) OR evaluated_at > :now)
""")


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
    owners, there = await lock_owners(session, offered)
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
            outcomes.append(Outcome("accepted", customer_id=owner.customer_id))
            accepted.append((i, _incoming(signal, owner)))
    taken = await _take(session, there, [incoming for _, incoming in accepted], now, zone)
    for i, incoming in accepted:
        if id(incoming) in taken.refused:
            outcomes[i] = Outcome("rejected", *taken.refused[id(incoming)])
        elif id(incoming) not in taken.stored:
            outcomes[i] = Outcome("duplicate", customer_id=incoming.customer_id)
    stored = [incoming for _, incoming in accepted if id(incoming) not in taken.refused]
    await unpark(session, [(s.source, s.source_event_id) for s in stored])
    await park(session, [s for s, o in zip(offered, outcomes, strict=True) if o.status == "parked"], now)
    return outcomes, taken.changes


def _incoming(signal: Offered, owner: Owner) -> Incoming:
    at = signal.occurred_at.astimezone(UTC)
    origin = owner.origin_id
    return Incoming(owner.customer_id, signal.source, signal.source_event_id, signal.type, at, signal.payload, origin)


class _Taken(NamedTuple):
    """What became of signals, by identity: two equal ones in a batch are one stored and one duplicate."""

    stored: set[int]
    refused: Mapping[int, tuple[str, str]]
    changes: list[StageChange]


async def record_internal(
    session: AsyncSession, facts: Mapping[UUID, tuple[str, dict[str, Any]]], now: datetime, zone: ZoneInfo
) -> None:
    """Record what the service itself knows as signals of the source `stagefolio`: customer -> (type, payload)."""
    signals = [
        Incoming(customer_id, OWN_SOURCE, str(new_id()), kind, now, payload)
        for customer_id, (kind, payload) in facts.items()
    ]
    await _take(session, set(await lock(session, list(facts))), signals, now, zone)


async def _take(
    session: AsyncSession, there: AbstractSet[UUID], signals: Sequence[Incoming], now: datetime, zone: ZoneInfo
) -> _Taken:
    """Catch up, store, correct, evaluate: the order that makes a late sweep and a busy one give the same stages.

    `there`: the customers that exist, locked.
    """
    if not signals:
        return _Taken(set(), {}, [])
    ahead, changes = await _caught_up(session, sorted(there & {s.customer_id for s in signals}), now, zone)
    gone = ("unknown_customer", "customer: there is no such customer")  # erased between the look-up and the lock
    refused = {id(s): gone for s in signals if s.customer_id not in there}
    refused |= await unretractable(session, [s for s in signals if id(s) not in refused])
    new, winners = await store_new(session, [s for s in signals if id(s) not in refused], now, zone)
    # The earliest signal dates what follows: dated later, a stage would begin after signals of this very batch, and
    # they would count as those of the stage before.
    earliest: dict[UUID, datetime] = {}
    profiles: dict[UUID, dict[str, Any]] = {}
    for signal, effect in sorted(new, key=lambda pair: pair[0].occurred_at):
        earliest.setdefault(signal.customer_id, min(signal.occurred_at, now))
        for name, value in effect.profile.items():
            if (signal.customer_id, name, signal.source, signal.source_event_id) in winners:
                profiles.setdefault(signal.customer_id, {})[name] = value
    await note_moments(session, {i: ahead[i] for i in earliest if i in ahead})
    profiles |= await retract(session, [signal for signal, _ in new], now, zone)
    await tell_others(session, [signal for signal, _ in new], now)
    if profiles:
        await set_profile(session, profiles, now)
    moments = {i: ahead.get(i, now) for i in earliest}
    unsettled = {signal.customer_id for signal, _ in new if unsettles(signal.type, signal.payload)}
    changes += await evaluate(session, list(earliest), now, zone, at=moments, effective=earliest, unsettled=unsettled)
    return _Taken({id(signal) for signal, _ in new}, refused, changes)


async def catch_up(
    session: AsyncSession, customer_ids: Sequence[UUID], now: datetime, zone: ZoneInfo
) -> list[StageChange]:
    """Evaluate locked customers at every moment due until `now`, as if each had been looked at in time."""
    return (await _caught_up(session, customer_ids, now, zone))[1]


async def _caught_up(
    session: AsyncSession, customer_ids: Sequence[UUID], now: datetime, zone: ZoneInfo
) -> tuple[dict[UUID, datetime], list[StageChange]]:
    """The same; with it, who was judged at a later moment than `now` already, and at which.

    A request reads its clock before it waits for the lock, so a sweep may have gone past it. Time does not go back for a
    customer: what comes next is judged at that moment.
    """
    changes: list[StageChange] = []
    for _ in range(_MAX_STEPS):
        found = await session.execute(_DUE, {"ids": list(customer_ids), "now": now})
        rows = found.all()
        due = {row.customer_id: row.next_evaluation_at for row in rows if row.is_due}
        if not due:
            return {row.customer_id: row.evaluated_at for row in rows}, changes
        changes += await evaluate(session, list(due), now, zone, at=due)
    raise RuntimeError(f"evaluations were still due after {_MAX_STEPS} rounds")


async def evaluate(
    session: AsyncSession,
    customer_ids: Sequence[UUID],
    now: datetime,
    zone: ZoneInfo,
    *,
    at: Mapping[UUID, datetime] | None = None,
    effective: Mapping[UUID, datetime] | None = None,
    playbook_mode: str = "full",
    unsettled: Collection[UUID] = (),
) -> list[StageChange]:
    """Judge locked customers, each by the policy that applies to it, at its moment in `at`; returns who moved.

    At most one step each, and none for merged duplicates. `at` defaults to `now`; `effective` tells when the earliest
    of what came occurred, if anything did: it dates what follows. First the last step is taken back where its cause is
    gone; of whom is `unsettled` that is looked at in any case.
    """
    if not customer_ids:
        return []
    policies = await policies_of(session)
    moments, since = at or dict.fromkeys(customer_ids, now), effective or {}
    loaded = [one for one in await load(session, customer_ids, moments, zone) if one.row.merged_into is None]
    changes: list[StageChange] = []
    doubted = _doubted(loaded, since, unsettled, zone)
    while doubted:
        taken_back = await correct(session, doubted, now, zone)
        changes += taken_back
        # The step before that one may have had the same cause.
        again = await load(session, [c.customer_id for c in taken_back], moments, zone) if taken_back else []
        loaded = list({one.row.id: one for one in (*loaded, *again)}.values())
        doubted = _doubted(again, since, unsettled, zone)
    pairs = list(zip(loaded, _decide(loaded, policies), strict=True))
    verdicts = [(one, _verdict(one, d, zone)) for one, d in pairs if d.rule is None]
    await save_verdicts(session, [verdict for one, verdict in verdicts if _differs(verdict, one.row)])
    steps = [_step(one, d, since.get(one.row.id, one.at), playbook_mode) for one, d in pairs if d.rule is not None]
    changes += await save_steps(session, steps, now, zone)
    await _follow_relationships(session, pairs, now)
    return changes


def _doubted(
    loaded: Sequence[Loaded], since: Mapping[UUID, datetime], unsettled: Collection[UUID], zone: ZoneInfo
) -> list[Loaded]:
    return [o for o in loaded if in_doubt(o, since.get(o.row.id), unsettled=o.row.id in unsettled, zone=zone)]


async def _follow_relationships(session: AsyncSession, pairs: Sequence[tuple[Loaded, Decision]], now: datetime) -> None:
    """The relationship of a profile is what the facts say."""
    changed = {
        one.row.id: {"relationship": "closed" if d.closed else "open"}
        for one, d in pairs
        if d.closed != (one.row.relationship == "closed")
    }
    if changed:
        await set_profile(session, changed, now)


def _decide(loaded: Sequence[Loaded], policies: Mapping[int, Policy]) -> list[Decision]:
    """One decision per customer, in order; while a publication reaches them one by one, policies differ."""
    versions = {one.standing.policy_version for one in loaded}
    found: dict[UUID, Decision] = {}
    for version in versions:
        group = [one for one in loaded if one.standing.policy_version == version]
        decisions = decide([one.subject for one in group], policies[version])
        found |= {one.row.id: decision for one, decision in zip(group, decisions, strict=True)}
    return [found[one.row.id] for one in loaded]


def _verdict(one: Loaded, decision: Decision, zone: ZoneInfo) -> Verdict:
    moment = next_look(one.standing, decision, one.at, zone)
    return Verdict(one.row.id, decision.score, decision.score_reasons, decision.confirming, moment, one.at)


def _differs(verdict: Verdict, row: Any) -> bool:
    return (verdict.score, list(verdict.reasons), verdict.next_evaluation_at) != (
        row.attrition_score,
        row.score_reasons,
        row.next_evaluation_at,
    ) or dict(verdict.confirming) != orjson.loads(row.confirming)


def _step(one: Loaded, decision: Decision, effective_at: datetime, playbook_mode: str) -> Step:
    rule = decision.rule
    assert rule is not None
    assert decision.to is not None
    return Step(
        loaded=one,
        stride=Stride(decision.to, "automatic", rule.id, one.at, effective_at, decision.entry, rule.new_cycle),
        reason=None,
        actor=f"rule:{rule.id}",
        facts=decision.facts,
        policy_version=one.standing.policy_version,
        back=rule.to == BACK,
        playbook_mode=playbook_mode,
    )


async def switch_policy(
    session: AsyncSession, customer_ids: Sequence[UUID], version: int, now: datetime, zone: ZoneInfo, playbook_mode: str
) -> list[StageChange]:
    """Let published rules apply to locked customers from now on, and evaluate them; returns who moved.

    What was due before is decided by the former rules. A window of an unchanged condition keeps running.
    """
    ahead, changes = await _caught_up(session, customer_ids, now, zone)
    former = await session.execute(
        select(LifecycleState.customer_id, LifecycleState.policy_version).where(
            LifecycleState.customer_id.in_(customer_ids), LifecycleState.policy_version < version
        )
    )
    switched: dict[UUID, int] = {row.customer_id: row.policy_version for row in former}
    moments = {i: ahead.get(i, now) for i in switched}
    await note_inputs(session, "policy", {i: (moments[i], {"from": v, "to": version}) for i, v in switched.items()})
    await session.execute(
        update(LifecycleState).where(LifecycleState.customer_id.in_(switched)).values(policy_version=version)
    )
    changes += await evaluate(session, list(switched), now, zone, at=moments, playbook_mode=playbook_mode)
    return changes
