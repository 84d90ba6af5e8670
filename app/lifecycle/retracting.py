"""Takes back signals: what a retracted one added is gone, as if it had never been sent; the record of both stays."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.models import Customer
from app.lifecycle.core.book import Noted
from app.lifecycle.core.signals import OWN_SOURCE, RETRACTION, effects
from app.lifecycle.ingest import Incoming
from app.lifecycle.rebuilding import rebuild

_TARGETS = text("""
SELECT w.id, t.type, t.retracted_at, k.source IS NOT NULL AS is_known, o.source IS NOT NULL AS is_taken
FROM unnest(CAST(:places AS int[]), CAST(:customers AS uuid[]), CAST(:sources AS text[]), CAST(:targets AS text[]),
            CAST(:events AS text[])) AS w(id, customer_id, source, target, event)
LEFT JOIN signals t ON t.customer_id = w.customer_id AND t.source = w.source AND t.source_event_id = w.target
LEFT JOIN signal_keys k ON k.source = w.source AND k.source_event_id = w.event
LEFT JOIN signal_keys o ON o.source = w.source AND o.source_event_id = w.target
""")


async def unretractable(session: AsyncSession, signals: Sequence[Incoming]) -> dict[int, tuple[str, str]]:
    """Retractions that cannot be: identity of the signal -> (code, reason that names the field). Customers are locked."""
    wanted = [s for s in signals if s.type == RETRACTION]
    if not wanted:
        return {}
    rows = await session.execute(
        _TARGETS,
        {
            "places": list(range(len(wanted))),
            "customers": [s.customer_id for s in wanted],
            "sources": [s.source for s in wanted],
            "targets": [s.payload["source_event_id"] for s in wanted],
            "events": [s.source_event_id for s in wanted],
        },
    )
    found = {row.id: row for row in rows}
    beside = {(s.customer_id, s.source, s.source_event_id): s.type for s in signals}
    taken: set[tuple[UUID, str, str]] = set()
    seen: set[tuple[str, str]] = set()
    refused: dict[int, tuple[str, str]] = {}
    for place, signal in enumerate(wanted):
        row = found[place]
        target = (signal.customer_id, signal.source, signal.payload["source_event_id"])
        # Beside it in the batch, unless it is a duplicate there of somebody else's signal.
        kind = row.type or (None if row.is_taken else beside.get(target))
        reason = _refusal(kind, row.retracted_at is not None or target in taken)
        if row.is_known or (signal.source, signal.source_event_id) in seen:  # a duplicate: nothing happens twice
            continue
        seen.add((signal.source, signal.source_event_id))
        if reason is not None:
            refused[id(signal)] = reason
        else:
            taken.add(target)
    return refused


def _refusal(target: str | None, already: bool) -> tuple[str, str] | None:
    name = "payload.source_event_id"
    if target is None:
        return "unknown_signal", f"{name}: this source has sent no such signal for the customer"
    if target == RETRACTION:
        return "not_retractable", f"{name}: a retraction cannot be taken back; send the signal again under a new id"
    return ("already_retracted", f"{name}: that signal is taken back already") if already else None


async def retract(
    session: AsyncSession, new: Sequence[Incoming], now: datetime, zone: ZoneInfo
) -> dict[UUID, dict[str, Any]]:
    """Carry out the retractions among newly stored signals; returns profile fields that are different without them."""
    wanted = [s for s in new if s.type == RETRACTION]
    if not wanted:
        return {}
    rows = await session.execute(
        text(
            "UPDATE signals s SET retracted_at = :now FROM unnest(CAST(:customers AS uuid[]), CAST(:sources AS text[]),"
            " CAST(:targets AS text[])) AS w(customer_id, source, target) WHERE s.customer_id = w.customer_id"
            " AND s.source = w.source AND s.source_event_id = w.target AND s.retracted_at IS NULL"
            " RETURNING s.customer_id"
        ),
        {
            "now": now,
            "customers": [s.customer_id for s in wanted],
            "sources": [s.source for s in wanted],
            "targets": [s.payload["source_event_id"] for s in wanted],
        },
    )
    remaining = await rebuild(session, sorted(set(rows.scalars())), zone)
    return await changed_profiles(session, remaining)


async def changed_profiles(
    session: AsyncSession, signals: Mapping[UUID, Sequence[Noted]]
) -> dict[UUID, dict[str, Any]]:
    """Of each customer the profile fields that follow from signals, where the profile says something else."""
    rows = await session.execute(
        select(Customer.id, Customer.kyc_status, Customer.suitability_until).where(Customer.id.in_(signals))
    )
    found = {}
    for row in rows:
        said = profile_of(signals[row.id])
        found[row.id] = {name: value for name, value in said.items() if getattr(row, name) != value}
    return {customer_id: values for customer_id, values in found.items() if values}


def profile_of(signals: Sequence[Noted]) -> dict[str, Any]:
    """The profile fields that follow from signals, in order of position."""
    found: dict[str, Any] = {"kyc_status": "none", "suitability_until": None}
    held: dict[str, Noted] = {}
    for signal in signals:
        said = effects(signal.type, signal.payload, signal.occurred_at)
        values = dict(said.profile)
        if signal.type == "profile_changed" and "kyc_status" in signal.payload:
            values["kyc_status"] = signal.payload["kyc_status"]
        for name, value in values.items():
            if name not in held or signal.source == OWN_SOURCE or signal.writer > held[name].writer:
                held[name] = signal
                found[name] = value
    return found
