"""Reading long-running work in the API's shape."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.errors import not_found
from app.operations.models import Operation, OperationItem
from app.operations.schemas import OperationItemQuery, OperationQuery, OperationRead
from app.pagination import decode_cursor, encode_cursor

_COLUMNS = tuple(c for c in Operation.__table__.c if c.name in {*OperationRead.model_fields, "done", "total"})
_ITEM_COLUMNS = tuple(c for c in OperationItem.__table__.c if c.name != "operation_id")
_ONE = select(*_COLUMNS)
_FARTHEST = 2**62  # a cursor is opaque but not sealed: what does not fit a bigint must not reach the database


def _shape(row: RowMapping) -> dict[str, Any]:
    operation: dict[str, Any] = dict(row)
    done, total = operation.pop("done"), operation.pop("total")
    share = None if total is None else min(done / total, 1.0) if total else 1.0
    return operation | {"progress": {"done": done, "total": total, "share": share}}


async def read_operation(connection: AsyncConnection | AsyncSession, operation_id: UUID) -> dict[str, Any]:
    """One operation in the API's shape; 404 if there is none."""
    row = (await connection.execute(_ONE.where(Operation.id == operation_id))).mappings().first()
    if row is None:
        raise not_found("operation")
    return _shape(row)


async def page_of_operations(
    connection: AsyncConnection, query: OperationQuery
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of operations, newest first, and the cursor of the next."""
    found = _ONE
    if query.kind:
        found = found.where(Operation.kind.in_(query.kind))
    if query.status:
        found = found.where(Operation.status.in_(query.status))
    fingerprint = query.fingerprint("operations")
    if query.cursor is not None:
        before = decode_cursor(fingerprint, query.cursor, (datetime, UUID))
        found = found.where(tuple_(Operation.created_at, Operation.id) < tuple_(*before))
    found = found.order_by(Operation.created_at.desc(), Operation.id.desc()).limit(query.limit + 1)
    rows = (await connection.execute(found)).mappings().all()
    items = [_shape(row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return items, None
    return items, encode_cursor(fingerprint, items[-1]["created_at"], items[-1]["id"])


async def page_of_items(
    connection: AsyncConnection, operation_id: UUID, query: OperationItemQuery
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of an operation's items by ordinal, and the cursor of the next; 404 if there is no such operation."""
    await read_operation(connection, operation_id)
    found = select(*_ITEM_COLUMNS).where(OperationItem.operation_id == operation_id)
    if query.outcome:
        found = found.where(OperationItem.outcome.in_(query.outcome))
    fingerprint = query.fingerprint(f"operations/{operation_id}/items")
    if query.cursor is not None:
        [after] = decode_cursor(fingerprint, query.cursor, (int,))
        found = found.where(OperationItem.ordinal > max(-_FARTHEST, min(after, _FARTHEST)))
    rows = (await connection.execute(found.order_by(OperationItem.ordinal).limit(query.limit + 1))).mappings().all()
    items = [dict(row) for row in rows[: query.limit]]
    return items, encode_cursor(fingerprint, items[-1]["ordinal"]) if len(rows) > query.limit else None
