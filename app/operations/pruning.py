"""Forgets long-running work that ended long ago, with what came of each customer in it."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from app.jobs import Worker, sweep
from app.operations.models import Operation

KEPT_FOR = timedelta(days=90)
"""How long an operation can be read after its end."""
LOOKED_FOR_EVERY = timedelta(hours=1)
AT_ONCE = 20
"""Operations deleted in one transaction: each may have 50,000 items."""

_next_look: dict[int, datetime] = {}  # by identity of the database of this process


@sweep("prune_operations")
async def prune_operations(worker: Worker) -> bool:
    """One piece; more follow at once while there are any, and then none for an hour."""
    now = worker.clock()
    if now < _next_look.get(id(worker.database), now):
        return False
    old = (
        select(Operation.id).where(Operation.finished_at < now - KEPT_FOR).order_by(Operation.created_at).limit(AT_ONCE)
    )
    async with worker.database.transaction() as session:
        gone = await session.execute(delete(Operation).where(Operation.id.in_(old)).returning(Operation.id))
        more = len(gone.all()) == AT_ONCE
    if not more:
        _next_look[id(worker.database)] = now + LOOKED_FOR_EVERY
    return more
