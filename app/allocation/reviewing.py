"""Computing again what is due: profiles that have ended, periods that are over, withdrawals that come close."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.service import recommend
from app.jobs import Worker, sweep

REVIEWED_AT_ONCE = 1000

_DUE = text(
    "SELECT c.id FROM customers c JOIN recommendation_current r ON r.customer_id = c.id"
    " WHERE r.review_at <= :now AND c.merged_into IS NULL"
    " ORDER BY r.review_at, c.id LIMIT :limit FOR NO KEY UPDATE OF c SKIP LOCKED"
)


async def review_due(session: AsyncSession, now: datetime, limit: int = REVIEWED_AT_ONCE) -> int:
    """Recommend to customers who are due; returns how many were looked at."""
    ids = list(await session.scalars(_DUE, {"now": now, "limit": limit}))
    await recommend(session, ids, now)
    return len(ids)


@sweep("review_recommendations")
async def run(worker: Worker) -> bool:
    """One batch in one transaction."""
    async with worker.database.transaction() as session:
        return await review_due(session, worker.clock()) == REVIEWED_AT_ONCE
