"""Reminding of risk profiles that end soon."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.reviews.service import PROFILE_ENDS, Found, open_reviews
from app.allocation.versions.store import in_force
from app.jobs import Worker, sweep

REMINDED_AT_ONCE = 1000

# The index has only those of whom nobody was reminded: most profiles that end soon were announced long ago.
_ENDING = text(
    "SELECT c.id FROM recommendation_current r JOIN customers c ON c.id = r.customer_id"
    " WHERE r.reminded_of IS DISTINCT FROM r.profile_until AND r.profile_until > :now AND r.profile_until <= :until"
    " AND c.merged_into IS NULL"
    " ORDER BY r.profile_until, r.customer_id LIMIT :limit FOR NO KEY UPDATE OF c SKIP LOCKED"
)
# Asked again under the lock: another worker may have reminded of them since they were found.
_NOTE = text(
    "UPDATE recommendation_current SET reminded_of = profile_until WHERE customer_id = ANY(:ids)"
    " AND reminded_of IS DISTINCT FROM profile_until AND profile_until > :now AND profile_until <= :until"
    " RETURNING customer_id, profile_until"
)


async def remind_due(session: AsyncSession, now: datetime, limit: int = REMINDED_AT_ONCE) -> int:
    """Open a review for customers whose risk profile ends within the days of the policy in force, once for each profile.

    Returns how many were looked at.
    """
    warning_days = (await in_force(session)).policy.profile_warning_days
    window = {"now": now, "until": now + timedelta(days=warning_days)}
    ids = list(await session.scalars(_ENDING, {**window, "limit": limit}))
    if ids:
        rows = await session.execute(_NOTE, {**window, "ids": ids})
        found = [Found(row.customer_id, PROFILE_ENDS, {"valid_until": row.profile_until}) for row in rows]
        await open_reviews(session, found, now)
    return len(ids)


@sweep("remind_of_profiles")
async def run(worker: Worker) -> bool:
    """One batch in one transaction."""
    async with worker.database.transaction() as session:
        return await remind_due(session, worker.clock()) == REMINDED_AT_ONCE
