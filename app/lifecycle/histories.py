"""Loads lives for a replay: every input of every decision, in the order in which it was taken or in which it occurred."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.lifecycle.core.book import Noted
from app.lifecycle.core.replay import Input, Life
from app.lifecycle.core.signals import OWN_SOURCE, RETRACTION
from app.lifecycle.inputs import signals_of

_BEGINNINGS = text("""
SELECT c.id, i.stage, i.entered_at, s.policy_version, s.next_evaluation_at, s.transition_sequence
FROM customers c JOIN lifecycle_state s ON s.customer_id = c.id
JOIN LATERAL (SELECT stage, entered_at FROM stage_intervals WHERE customer_id = c.id
              ORDER BY entered_at, (exited_at IS NULL), exited_at, id LIMIT 1) i ON true
WHERE c.id = ANY(:ids) ORDER BY c.id
""")

_ACTS = text("""
SELECT customer_id, position, evaluated_at AS at, 'hand' AS kind, to_stage AS target, NULL::jsonb AS data
FROM transitions WHERE customer_id = ANY(:ids) AND kind = 'manual'
UNION ALL SELECT customer_id, position, at, kind, NULL, data FROM lifecycle_inputs WHERE customer_id = ANY(:ids)
""")

_MERGES = text("""
SELECT customer_id, duplicate_id, position, merged_at, undone_position, undone_at
FROM customer_merges WHERE customer_id = ANY(:ids) OR duplicate_id = ANY(:ids)
""")

_HOLDERS = text("SELECT merged_into FROM customers WHERE id = ANY(:ids) AND merged_into IS NOT NULL")


async def load_lives(
    connection: AsyncConnection, customer_ids: Sequence[UUID], now: datetime, *, as_occurred: bool = False
) -> list[Life]:
    """Lives of the customers that exist, in id order; inputs `as_received`, or with signals when they occurred.

    The statements must agree: give a snapshot where others write.
    """
    ids = list(customer_ids)
    merges = (await connection.execute(_MERGES, {"ids": ids})).all()
    beside = {m.customer_id for m in merges} | {m.duplicate_id for m in merges}
    # A duplicate of then may by now be merged into somebody else, who holds its signals.
    holders = await connection.execute(_HOLDERS, {"ids": sorted(beside)})
    signals = await signals_of(connection, sorted({*ids, *beside, *holders.scalars()}), retracted=True)
    by_origin = _by_origin([signal for found in signals.values() for signal in found])
    acts: dict[UUID, list[Any]] = {}
    for row in await connection.execute(_ACTS, {"ids": ids}):
        acts.setdefault(row.customer_id, []).append(row)
    lives = []
    for row in await connection.execute(_BEGINNINGS, {"ids": ids}):
        own = acts.get(row.id, [])
        if as_occurred:
            inputs = _as_occurred(_inputs(own), _remaining(row.id, by_origin, merges), row.entered_at)
        else:
            inputs = _at_their_moments([*_inputs(own), *_flow(row.id, by_origin, merges)], own)
        due = row.next_evaluation_at
        unseen_from = due if due is not None and due <= now and not as_occurred else None
        version = _first_version(row.policy_version, own)
        steps = row.transition_sequence
        lives.append(Life(row.id, row.stage, row.entered_at, version, tuple(inputs), unseen_from, steps))
    return lives


def _by_origin(signals: Sequence[Noted]) -> dict[str, list[Noted]]:
    """Signals by the customer that they were sent for; a retraction goes where its target is."""
    sent_for = {(s.source, s.source_event_id): s.origin for s in signals}
    found: dict[str, list[Noted]] = {}
    for signal in signals:
        target = (signal.source, signal.payload.get("source_event_id", "")) if signal.type == RETRACTION else None
        origin = sent_for.get(target, signal.origin) if target else signal.origin
        found.setdefault(origin, []).append(signal._replace(origin=origin, joined=0))
    return found


def _first_version(present: int, acts: Sequence[Any]) -> int:
    switches = sorted((act.position, act.data["from"]) for act in acts if act.kind == "policy")
    return switches[0][1] if switches else present


def _inputs(acts: Sequence[Any]) -> list[Input]:
    found = []
    for act in acts:
        if act.kind == "hand":
            found.append(Input(act.position, act.at, "hand", to=act.target))
        elif act.kind == "policy":
            found.append(Input(act.position, act.at, "policy", version=act.data["to"]))
        elif act.kind == "pin":
            until = act.data["until"]
            found.append(Input(act.position, act.at, "pin", until=until and datetime.fromisoformat(until)))
    return found


def _flow(customer_id: UUID, by_origin: Mapping[str, Sequence[Noted]], merges: Sequence[Any]) -> list[Input]:
    """Signals as they came to this customer: its own, and of its duplicates while they were merged."""
    own = by_origin.get(str(customer_id), ())
    away = [(m.position, m.undone_position) for m in merges if m.duplicate_id == customer_id]
    here = [s for s in own if _is_its_own(s) or not any(_between(s.position, *span) for span in away)]
    found = []
    for merge in merges:
        if merge.duplicate_id == customer_id:
            missed = [
                s for s in own if not _is_its_own(s) and _between(s.position, merge.position, merge.undone_position)
            ]
            found.append(Input(merge.position, merge.merged_at, "leave"))
            if merge.undone_position is not None:
                found.append(Input(merge.undone_position, merge.undone_at, "come_back", tuple(missed)))
        elif merge.customer_id == customer_id:
            origin = str(merge.duplicate_id)
            theirs = [s for s in by_origin.get(origin, ()) if not _is_its_own(s)]
            joined = tuple(s._replace(joined=merge.position) for s in theirs if s.position < merge.position)
            found.append(Input(merge.position, merge.merged_at, "join", joined))
            here += [s for s in theirs if _between(s.position, merge.position, merge.undone_position)]
            if merge.undone_position is not None:
                found.append(Input(merge.undone_position, merge.undone_at, "split", origin=origin))
    return found + _batches(here)


def _is_its_own(signal: Noted) -> bool:
    """Whether a signal tells of the record itself, and therefore stays with it when it is merged."""
    return signal.source == OWN_SOURCE and signal.type == "profile_changed"


def _between(position: int, first: int, last: int | None) -> bool:
    return position > first and (last is None or position < last)


def _batches(signals: Sequence[Noted]) -> list[Input]:
    found: dict[int, list[Noted]] = {}
    for signal in signals:
        found.setdefault(signal.position, []).append(signal)
    return [Input(position, batch[0].received_at, "signals", tuple(batch)) for position, batch in found.items()]


def _at_their_moments(inputs: Sequence[Input], acts: Sequence[Any]) -> list[Input]:
    """In the order of arrival; what was judged later than it was received, at that moment."""
    moments = {act.position: act.at for act in acts if act.kind == "moment"}
    ordered = sorted(inputs, key=lambda given: given.position)
    return [replace(i, at=moments[i.position]) if i.position in moments else i for i in ordered]


def _remaining(customer_id: UUID, by_origin: Mapping[str, Sequence[Noted]], merges: Sequence[Any]) -> list[Noted]:
    """The signals that are this customer's today: its own, and those of the duplicates that are merged into it."""
    theirs = [m.duplicate_id for m in merges if m.customer_id == customer_id and m.undone_position is None]
    joined = [s for origin in theirs for s in by_origin.get(str(origin), ()) if not _is_its_own(s)]
    return [*by_origin.get(str(customer_id), ()), *joined]


def _as_occurred(others: Sequence[Input], signals: Sequence[Noted], created_at: datetime) -> list[Input]:
    """Every signal when it occurred, as if it had come at once; retracted ones never did."""
    gone = {(s.source, s.payload["source_event_id"]) for s in signals if s.type == RETRACTION}
    kept = {
        (s.source, s.source_event_id): s
        for s in signals
        if s.type != RETRACTION and (s.source, s.source_event_id) not in gone
    }
    found: dict[datetime, list[Noted]] = {}
    for signal in sorted(kept.values(), key=lambda s: s.writer):
        found.setdefault(max(signal.occurred_at, created_at), []).append(signal)
    batches = [Input(0, at, "signals", tuple(batch)) for at, batch in found.items()]
    ordered = sorted([*batches, *others], key=lambda given: (given.at, given.kind != "signals", given.position))
    return [
        replace(
            given,
            position=place,
            signals=tuple(s._replace(position=place, received_at=given.at) for s in given.signals),
        )
        for place, given in enumerate(ordered, 1)
    ]
