"""The sweeps: time acts, since silence sends no signals and nobody would ever decline; what was parked is recorded."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import StageChange
from app.jobs import Worker, sweep
from app.lifecycle.parking import REPLAYED_AT_ONCE, found_since, prune_parked
from app.lifecycle.service import catch_up
from app.lifecycle.unparking import replay

BATCH = 500


async def claim_due(session: AsyncSession, now: datetime, limit: int) -> list[UUID]:
    """Lock up to `limit` customers whose evaluation is due, skipping those that somebody else is working on."""
    # In the order of the index, to its last column: at midnight many are due at once, and must not be sorted each time.
    rows = await session.execute(
        text(
            "SELECT s.customer_id FROM lifecycle_state s JOIN customers c ON c.id = s.customer_id"
            " WHERE s.next_evaluation_at <= :now AND c.merged_into IS NULL"
            " ORDER BY s.next_evaluation_at, s.customer_id LIMIT :limit FOR NO KEY UPDATE OF c SKIP LOCKED"
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
        found = await found_since(session, now, BATCH)
        replayed = await replay(session, found, now, worker.settings.tz, limit=REPLAYED_AT_ONCE)
    return len(replayed.signals) == REPLAYED_AT_ONCE


@sweep("prune_parked")
async def forget_parked(worker: Worker) -> bool:
    """Delete parked signals that expired long ago."""
    async with worker.database.transaction() as session:
        return await prune_parked(session, worker.clock(), BATCH) == BATCH
