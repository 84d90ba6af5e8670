"""What signals mean to others than the lifecycle: closures and life events."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import ClosuresTold, LifeEvent, LifeEventsTold, publish
from app.lifecycle.core.signals import RETRACTION
from app.lifecycle.ingest import Incoming

CLOSURE, LIFE_EVENT = "closure_requested", "life_event"

_CLOSING = text(
    """SELECT f.customer_id, f.occurred_at FROM customer_fact f
    WHERE f.customer_id = ANY(:ids) AND f.name = :closure
        AND f.occurred_at > coalesce((SELECT max(i.exited_at) FROM stage_intervals i
                                      WHERE i.customer_id = f.customer_id AND i.stage = 'decline'), '-infinity')"""
)


async def tell_others(session: AsyncSession, signals: Sequence[Incoming], now: datetime) -> None:
    """Publish what these signals, stored already, say of closures and life events."""
    events = tuple(
        LifeEvent(s.customer_id, kind if isinstance(kind := s.payload.get("kind"), str) else None, s.occurred_at)
        for s in signals
        if s.type == LIFE_EVENT
    )
    if events:
        publish(session, LifeEventsTold(now, events))
    doubted = sorted({s.customer_id for s in signals if s.type in {CLOSURE, RETRACTION}})
    if doubted:
        rows = await session.execute(_CLOSING, {"ids": doubted, "closure": CLOSURE})
        closing = {row.customer_id: row.occurred_at for row in rows}
        publish(session, ClosuresTold(now, {customer_id: closing.get(customer_id) for customer_id in doubted}))
