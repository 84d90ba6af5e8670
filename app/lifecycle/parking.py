"""Signals as they are sent, and those that wait for their customer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.models import ExternalId
from app.lifecycle.models import ParkedSignal

PARKED_FOR = timedelta(hours=72)


class Offered(NamedTuple):
    """A signal as it was sent: of a customer by id or by external id."""

    customer_id: UUID | None
    external_id: str | None
    source: str
    source_event_id: str
    type: str
    occurred_at: datetime
    payload: dict[str, Any]


async def park(session: AsyncSession, signals: Sequence[Offered], now: datetime) -> None:
    """Keep signals of external ids that nobody has yet; a repetition changes nothing."""
    if signals:
        # Sorted, so that two batches that park the same signals wait for each other and never deadlock.
        signals = sorted(signals, key=lambda s: (s.source, s.source_event_id))
        await session.execute(
            text(
                "INSERT INTO parked_signals (source, source_event_id, external_id, type, occurred_at, payload, expires_at)"
                " SELECT s, e, x, t, o, p::jsonb, :until FROM unnest(CAST(:sources AS text[]), CAST(:events AS text[]),"
                " CAST(:externals AS text[]), CAST(:types AS text[]), CAST(:times AS timestamptz[]),"
                " CAST(:payloads AS text[])) AS v(s, e, x, t, o, p) ON CONFLICT DO NOTHING"
            ),
            {
                "until": now + PARKED_FOR,
                "sources": [s.source for s in signals],
                "events": [s.source_event_id for s in signals],
                "externals": [s.external_id for s in signals],
                "types": [s.type for s in signals],
                "times": [s.occurred_at for s in signals],
                "payloads": [orjson.dumps(s.payload).decode() for s in signals],
            },
        )


async def unpark(session: AsyncSession, external_ids: Sequence[str], now: datetime) -> list[Offered]:
    """Take the signals that waited for these external ids, less than PARKED_FOR."""
    if not external_ids:
        return []
    rows = await session.scalars(
        delete(ParkedSignal)
        .where(ParkedSignal.external_id.in_(external_ids), ParkedSignal.expires_at > now)
        .returning(ParkedSignal)
    )
    return [Offered(None, r.external_id, r.source, r.source_event_id, r.type, r.occurred_at, r.payload) for r in rows]


async def found_since(session: AsyncSession, now: datetime, limit: int) -> list[str]:
    """External ids that signals wait for although somebody has them by now: an edit, or a race with the creation."""
    rows = await session.scalars(
        select(ParkedSignal.external_id)
        .distinct()
        .join(ExternalId, ExternalId.external_id == ParkedSignal.external_id)
        .where(ParkedSignal.expires_at > now)
        .limit(limit)
    )
    return list(rows)
