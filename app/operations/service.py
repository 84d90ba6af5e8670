"""Beginning, cancelling and ending long-running work."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

import orjson
from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.clock import new_id
from app.errors import Problem, not_found
from app.events import OperationsFinished, publish
from app.operations.models import Operation

JOB = "operation"
OPEN = ("queued", "running")
ITEM_SCOPES = {"simulation": "lifecycle:read", "batch_transitions": "lifecycle:read"}
"""What a key must hold, beside `operations:read`, to read the items of a kind; of others only keys that may do all."""
TABLE = cast("Table", Operation.__table__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an operation ended: with a result, with an error `{code, detail, errors}`, or with neither."""

    status: Literal["succeeded", "failed", "cancelled"]
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


def as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """`value` as it will be read back: times, ids and decimals as text."""
    plain: dict[str, Any] = orjson.loads(orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z))
    return plain


async def begin(
    session: AsyncSession,
    kind: str,
    params: Mapping[str, Any],
    actor: str,
    now: datetime,
    *,
    total: int | None = None,
    state: Mapping[str, Any] | None = None,
) -> UUID:
    """Store an operation and its job in the running transaction; a worker starts it after the commit.

    `params` are shown to whoever reads the operation: what is large or needs no reader goes into `state`. `total` is
    the number of pieces of work, if it is known.
    """
    operation_id = new_id()
    values = {
        "id": operation_id,
        "kind": kind,
        "params": as_json(params),
        "state": as_json(state or {}),
        "total": total,
        "actor": actor,
        "created_at": now,
        "updated_at": now,
    }
    await session.execute(insert(TABLE).values(**values))
    await jobs.enqueue(session, JOB, [str(operation_id)])
    return operation_id


async def cancel(session: AsyncSession, operation_id: UUID, now: datetime) -> None:
    """Ask for the end of an operation. What nobody works on ends at once, the rest at its next `Work.save`.

    404 if there is none, 409 `operation_finished` if it has ended.
    """
    found = await session.execute(
        select(Operation.status, Operation.lease_until)
        .where(Operation.id == operation_id)
        .with_for_update(key_share=True)
    )
    row = found.first()
    if row is None:
        raise not_found("operation")
    if row.status not in OPEN:
        raise Problem("operation_finished", f"It has ended before: {row.status}.")
    asked = func.coalesce(TABLE.c.cancel_requested_at, now)
    await session.execute(
        update(TABLE).where(TABLE.c.id == operation_id).values(cancel_requested_at=asked, updated_at=now)
    )
    if row.lease_until is None:
        await end(session, operation_id, Ending("cancelled"), now)


async def end(
    session: AsyncSession, operation_id: UUID, ending: Ending, now: datetime, *, run_id: UUID | None = None
) -> None:
    """Store how an operation ended and tell of it. With `run_id`, only if that run has not been replaced by another."""
    mine = [] if run_id is None else [TABLE.c.run_id == run_id]
    kind = await session.scalar(
        update(TABLE)
        .where(TABLE.c.id == operation_id, TABLE.c.status.in_(OPEN), *mine)
        .values(
            status=ending.status,
            result=ending.result,
            error=ending.error,
            finished_at=now,
            updated_at=now,
            next_run_at=None,
            run_id=None,
            lease_until=None,
        )
        .returning(TABLE.c.kind)
    )
    if kind is not None:
        publish(session, OperationsFinished(now, ((operation_id, kind, ending.status),)))
