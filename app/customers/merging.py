"""Merging duplicates into the customer they belong to, and undoing that; every function takes a set.

A merge moves the external ids and, by a reaction, the signals; each keeps the name of the duplicate that it came with,
so that undoing the merge gives it back. The profile of the duplicate stays with it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.clock import new_id
from app.customers.models import CustomerMerge
from app.customers.reading import refuse_missing
from app.db import settle
from app.errors import Problem, invalid, not_found
from app.events import CustomersMerged, CustomersUnmerged, Merge, MergesAhead, publish

_POSITIONS = ("position", "undone_position")
_COLUMNS = tuple(column for column in CustomerMerge.__table__.c if column.name not in _POSITIONS)

_TAKE = text(
    "SELECT id, version, kind, holds, merged_into FROM customers WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE"
)

# One position for the set: what is merged together is judged together.
_NOTE = text("""
INSERT INTO customer_merges (id, customer_id, duplicate_id, position, merged_at, actor, reason)
SELECT i, c, d, (SELECT nextval('lifecycle_positions')), :now, :actor, r
FROM unnest(CAST(:ids AS uuid[]), CAST(:customers AS uuid[]), CAST(:duplicates AS uuid[]), CAST(:reasons AS text[]))
     AS v(i, c, d, r)
""")
_NOTE_UNDONE = text("""
UPDATE customer_merges SET undone_at = :now, undone_position = (SELECT nextval('lifecycle_positions')),
       undone_by = :actor, undone_reason = :reason
WHERE id = ANY(:ids)
""")

_BELONG = text("""
UPDATE customers c SET merged_into = v.into_id, version = c.version + 1, updated_at = :now
FROM unnest(CAST(:ids AS uuid[]), CAST(:into AS uuid[])) AS v(id, into_id) WHERE c.id = v.id
""")

_MOVE_IDS = text("""
UPDATE customer_external_ids e SET customer_id = v.customer_id, origin_id = coalesce(e.origin_id, v.duplicate_id)
FROM unnest(CAST(:customers AS uuid[]), CAST(:duplicates AS uuid[])) AS v(customer_id, duplicate_id)
WHERE e.customer_id = v.duplicate_id
""")
_GIVE_IDS_BACK = text("""
UPDATE customer_external_ids e SET customer_id = v.duplicate_id, origin_id = NULL
FROM unnest(CAST(:customers AS uuid[]), CAST(:duplicates AS uuid[])) AS v(customer_id, duplicate_id)
WHERE e.customer_id = v.customer_id AND e.origin_id = v.duplicate_id
""")


class Wanted(NamedTuple):
    """A wish: `duplicate_id` is the same person as `customer_id`, which is the one to keep."""

    customer_id: UUID
    duplicate_id: UUID
    reason: str


async def take(session: AsyncSession, customer_ids: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    """Lock customers in id order, merged ones too; 404 or 410 unless all exist. Rows have what a merge depends on."""
    rows = {row.id: row for row in await session.execute(_TAKE, {"ids": list(customer_ids)})}
    for customer_id in customer_ids:
        if customer_id not in rows:
            await refuse_missing(await session.connection(), customer_id)
    return rows


async def merge(session: AsyncSession, wanted: Sequence[Wanted], now: datetime, *, actor: str) -> list[UUID]:
    """Merge duplicates; returns the ids of the merges, in order.

    All or none: 409 with blockers if one cannot be. Raises the versions of all customers concerned.
    """
    if any(one.customer_id == one.duplicate_id for one in wanted):
        raise invalid("/duplicate_id", "self", "A customer cannot be merged with itself.")
    ids = sorted({i for one in wanted for i in (one.customer_id, one.duplicate_id)})
    rows = await take(session, ids)
    holders = await session.scalars(
        text("SELECT DISTINCT merged_into FROM customers WHERE merged_into = ANY(:ids)"), {"ids": ids}
    )
    blockers = list(_blockers(wanted, rows, set(holders)))
    if blockers:
        raise Problem("merge_not_allowed", "See blockers for what stands in the way.", blockers=blockers)
    publish(session, MergesAhead(now, tuple(ids)))
    await settle(session)
    merges = tuple(Merge(new_id(), one.customer_id, one.duplicate_id) for one in wanted)
    await session.execute(
        _NOTE,
        {
            "now": now,
            "actor": actor,
            "ids": [m.merge_id for m in merges],
            "reasons": [one.reason for one in wanted],
            **pairs_of(merges),
        },
    )
    await _regroup(session, dict.fromkeys(ids) | {m.duplicate_id: m.customer_id for m in merges}, now)
    await session.execute(_MOVE_IDS, pairs_of(merges))
    publish(session, CustomersMerged(now, merges))
    return [m.merge_id for m in merges]


def _blockers(
    wanted: Sequence[Wanted], rows: Mapping[UUID, Row[Any]], holders: set[UUID]
) -> Iterator[dict[str, object]]:
    """What stands in the way; `holders` are those that duplicates were merged into."""
    going = Counter(one.duplicate_id for one in wanted)
    staying = {one.customer_id for one in wanted}
    for one in wanted:
        customer, duplicate = rows[one.customer_id], rows[one.duplicate_id]
        who = {"customer_id": str(one.customer_id), "duplicate_id": str(one.duplicate_id)}
        if duplicate.merged_into is not None or going[one.duplicate_id] > 1:
            yield {"code": "already_merged", **who}
        if customer.merged_into is not None or one.customer_id in going:
            yield {"code": "is_merged", **who}
        if one.duplicate_id in holders | staying:
            yield {"code": "has_duplicates", **who}
        if duplicate.kind != customer.kind:
            yield {"code": "different_kind", **who}
        for hold in sorted(set(duplicate.holds) - set(customer.holds)):
            yield {"code": "hold", "hold": hold, **who}


def pairs_of(merges: Sequence[Merge]) -> dict[str, list[UUID]]:
    """The parameters `customers` and `duplicates` of a statement."""
    return {"customers": [m.customer_id for m in merges], "duplicates": [m.duplicate_id for m in merges]}


async def _regroup(session: AsyncSession, into: Mapping[UUID, UUID | None], now: datetime) -> None:
    await session.execute(_BELONG, {"now": now, "ids": list(into), "into": list(into.values())})


async def find_merge(session: AsyncSession, customer_id: UUID, merge_id: UUID) -> Merge:
    """The merge into that customer; 404 or 410 if there is none."""
    found = await session.execute(
        select(CustomerMerge.duplicate_id).where(CustomerMerge.id == merge_id, CustomerMerge.customer_id == customer_id)
    )
    row = found.first()
    if row is None:
        await refuse_missing(await session.connection(), customer_id)
        raise not_found("merge")
    return Merge(merge_id, customer_id, row.duplicate_id)


async def undo(session: AsyncSession, merges: Sequence[Merge], now: datetime, *, actor: str, reason: str) -> None:
    """Give every duplicate back what came with it, and what was sent for it since. 409 if one is undone already.

    Raises the versions of all customers concerned.
    """
    ids = sorted({i for m in merges for i in (m.customer_id, m.duplicate_id)})
    await take(session, ids)
    wanted = [m.merge_id for m in merges]
    is_open = (CustomerMerge.id.in_(wanted), CustomerMerge.undone_at.is_(None))
    if len((await session.scalars(select(CustomerMerge.id).where(*is_open))).all()) < len(set(wanted)):
        raise Problem("merge_undone", "The duplicate is a customer of its own again.")
    publish(session, MergesAhead(now, tuple(ids)))
    await settle(session)
    await session.execute(_NOTE_UNDONE, {"now": now, "actor": actor, "reason": reason, "ids": wanted})
    await _regroup(session, dict.fromkeys(ids), now)
    await session.execute(_GIVE_IDS_BACK, pairs_of(merges))
    publish(session, CustomersUnmerged(now, tuple(merges)))


async def read_merge(connection: AsyncConnection, merge_id: UUID) -> dict[str, Any]:
    """One merge in the API's shape."""
    return dict((await connection.execute(select(*_COLUMNS).where(CustomerMerge.id == merge_id))).mappings().one())


async def list_merges(connection: AsyncConnection, customer_id: UUID) -> list[dict[str, Any]]:
    """Merges that a customer was part of, newest first, undone ones too; 404 or 410 if there is no such customer."""
    await refuse_missing(connection, customer_id)
    concerned = or_(CustomerMerge.customer_id == customer_id, CustomerMerge.duplicate_id == customer_id)
    order = (CustomerMerge.merged_at.desc(), CustomerMerge.id.desc())
    rows = await connection.execute(select(*_COLUMNS).where(concerned).order_by(*order))
    return [dict(row) for row in rows.mappings()]
