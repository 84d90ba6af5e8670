"""Who may work on an operation: one run at a time, over all processes.

A run claims the row: it writes its own `run_id` and a lease, which it renews while it lives. When a worker is killed the
lease ends and another run may claim the row. A worker that was only stalled finds another `run_id` at its next write,
which is refused together with the transaction that it belongs to: no piece of work is committed twice.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.clock import new_id
from app.operations.service import OPEN, TABLE, Ending, end

LEASE = timedelta(seconds=25)
"""How long after its last sign of life a run is taken for dead."""

MOST_ATTEMPTS = 5
"""Starts without progress after which an operation is given up."""

_GAVE_UP = {"code": "gave_up", "detail": f"Started {MOST_ATTEMPTS} times without any progress.", "errors": []}


@dataclass(frozen=True, slots=True)
class Claim:
    """An operation as a run finds it. `attempt` is the number of this start since the last progress."""

    id: UUID
    run_id: UUID
    kind: str
    params: dict[str, Any]
    state: dict[str, Any]
    done: int
    total: int | None
    actor: str
    attempt: int


def due(now: datetime) -> list[ColumnElement[bool]]:
    """Not ended, and not waiting for a moment to come; the wait is over when a cancel was asked for."""
    waited = or_(TABLE.c.next_run_at.is_(None), TABLE.c.next_run_at <= now, TABLE.c.cancel_requested_at.is_not(None))
    return [TABLE.c.status.in_(OPEN), waited]


def _free() -> ColumnElement[bool]:
    return or_(TABLE.c.lease_until.is_(None), TABLE.c.lease_until <= func.clock_timestamp())


def lease_end(seconds: float = LEASE.total_seconds()) -> ColumnElement[datetime]:
    """The moment in so many seconds by the database's clock, the only one that all workers share."""
    return func.clock_timestamp() + timedelta(seconds=seconds)


async def startable(connection: AsyncConnection, kinds: Collection[str], now: datetime, most: int) -> list[UUID]:
    """The oldest operations of `kinds` that wait for a worker, `most` of them."""
    found = await connection.execute(
        select(TABLE.c.id).where(*due(now), _free(), TABLE.c.kind.in_(kinds)).order_by(TABLE.c.id).limit(most)
    )
    return list(found.scalars())


async def claim(session: AsyncSession, operation_id: UUID, kinds: Collection[str], now: datetime) -> Claim | None:
    """Take an operation for a new run. None if it is not due, another has it, or all that was left was to end it."""
    found = await session.execute(
        select(*TABLE.c)
        .where(TABLE.c.id == operation_id, *due(now), _free(), TABLE.c.kind.in_(kinds))
        .with_for_update(key_share=True, skip_locked=True)
    )
    row = found.first()
    if row is None:
        return None
    if row.cancel_requested_at is not None:
        await end(session, operation_id, Ending("cancelled"), now)
        return None
    if row.attempts >= MOST_ATTEMPTS:
        await end(session, operation_id, Ending("failed", error=_GAVE_UP), now)
        return None
    run_id, attempt = new_id(), row.attempts + 1
    await session.execute(
        update(TABLE)
        .where(TABLE.c.id == operation_id)
        .values(
            status="running",
            attempts=attempt,
            started_at=row.started_at or now,
            updated_at=now,
            next_run_at=None,
            run_id=run_id,
            lease_until=lease_end(),
        )
    )
    return Claim(row.id, run_id, row.kind, row.params, row.state, row.done, row.total, row.actor, attempt)


async def renew(connection: AsyncConnection, operation_id: UUID, run_id: UUID) -> bool:
    """A sign of life; False if the operation belongs to another run or has ended."""
    renewed = await connection.execute(
        update(TABLE)
        .where(TABLE.c.id == operation_id, TABLE.c.run_id == run_id)
        .values(lease_until=lease_end())
        .returning(TABLE.c.id)
    )
    return renewed.first() is not None


async def release(session: AsyncSession, operation_id: UUID, run_id: UUID, now: datetime, **values: Any) -> None:
    """Give an operation that has not ended back, with `values` on its row; nothing if it belongs to another run."""
    await session.execute(
        update(TABLE)
        .where(TABLE.c.id == operation_id, TABLE.c.run_id == run_id)
        .values({"run_id": None, "lease_until": None, "updated_at": now, **values})
    )


async def due_kind(connection: AsyncConnection, operation_id: UUID, now: datetime) -> str | None:
    """The kind of an operation that somebody works on or should; None if it has ended or waits for its moment."""
    kind: str | None = await connection.scalar(select(TABLE.c.kind).where(TABLE.c.id == operation_id, *due(now)))
    return kind
