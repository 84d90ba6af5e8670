"""The sweep that lets time act: silence sends no signals, so without it nobody would ever decline."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import StageChange
from app.jobs import Worker, sweep
from app.lifecycle.parking import found_since, unpark
from app.lifecycle.service import catch_up, record_signals

BATCH = 500


async def claim_due(session: AsyncSession, now: datetime, limit: int) -> list[UUID]:
    """Lock up to `limit` customers whose evaluation is due, skipping those that somebody else is working on."""
    rows = await session.execute(
        text(
            "SELECT c.id FROM customers c JOIN lifecycle_state s ON s.customer_id = c.id"
            " WHERE s.next_evaluation_at <= :now"
            " ORDER BY s.next_evaluation_at, c.id LIMIT :limit FOR NO KEY UPDATE OF c SKIP LOCKED"
        ),
        {"now": now, "limit": limit},
    )
    return list(rows.scalars())


async def evaluate_due(
    session: AsyncSession, now: datetime, zone: ZoneInfo, limit: int = BATCH
) -> tuple[int, list[StageChange]]:
    """Evaluate customers whose time has come, each at the moment it was due; returns how many, and who moved."""
    due = await claim_due(session, now, limit)
    return len(due), await catch_up(session, due, now, zone)


@sweep("evaluate_due")
async def run(worker: Worker) -> bool:
    """One batch in one transaction."""
    async with worker.database.transaction() as session:
        count, _ = await evaluate_due(session, worker.clock(), worker.settings.tz)
    return count == BATCH


@sweep("replay_parked")
async def replay_parked(worker: Worker) -> bool:
    """Record signals whose customer has appeared since they were parked."""
    now = worker.clock()
    async with worker.database.transaction() as session:
        waiting = await unpark(session, await found_since(session, now, BATCH), now)
        if waiting:
            await record_signals(session, waiting, now, worker.settings.tz)
    return False
