"""Moves of many customers by hand, as long-running work: piece by piece, each customer exactly once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.models import Customer
from app.customers.service import lock
from app.db import settle
from app.errors import invalid
from app.lifecycle.batch_schemas import BatchFilter, BatchTransitionCreate
from app.lifecycle.by_hand import Blocked, Move, Moved, move
from app.lifecycle.service import catch_up
from app.operations.models import OperationItem
from app.operations.running import Item, Work, handles
from app.operations.service import begin

KIND = "batch_transitions"
PIECE = 500
"""Customers moved in one transaction."""
MOST_FILTERED = 100_000
"""Customers that a filter may match: the set is fixed, and kept, when the work begins."""
MISSING = "unknown_customer"


async def chosen(session: AsyncSession, asked: BatchTransitionCreate) -> list[UUID]:
    """The customers asked for, each once: in the order given, or those who match the filter now, in id order.

    422 if the filter matches more than MOST_FILTERED. Merged duplicates match no filter.
    """
    if asked.customer_ids is not None:
        return list(dict.fromkeys(asked.customer_ids))
    assert asked.filter is not None
    found = await session.scalars(_matching(asked.filter).order_by(Customer.id).limit(MOST_FILTERED + 1))
    ids = list(found)
    if len(ids) > MOST_FILTERED:
        raise invalid("/filter", "too_many", f"More than {MOST_FILTERED:,} customers match; narrow it down.")
    return ids


def _matching(criteria: BatchFilter) -> Any:
    found = select(Customer.id).where(Customer.merged_into.is_(None))
    for name in ("stage", "segment", "tier"):
        wanted: Sequence[str] = getattr(criteria, name)
        if wanted:
            found = found.where(getattr(Customer, name).in_(wanted))
    if criteria.owner is not None:
        found = found.where(Customer.owner == criteria.owner)
    if criteria.tag is not None:
        found = found.where(Customer.tags.contains([criteria.tag]))
    return found


async def begin_batch(session: AsyncSession, asked: BatchTransitionCreate, actor: str, now: datetime) -> UUID:
    """Store the operation with the set of customers as it is now."""
    ids = await chosen(session, asked)
    params = asked.model_dump(mode="json", exclude={"customer_ids"})
    params["customers"] = len(ids)
    # The set is written once and its place is the progress: rewritten with every piece, it would cost more than moving.
    return await begin(session, KIND, params, actor, now, total=len(ids), state={"customers": ids})


@handles(KIND)
async def move_batch(work: Work) -> dict[str, Any]:
    """Move the customers of `state`, from the place that `done` names; the result counts moved, blocked and missing."""
    ids = [UUID(customer_id) for customer_id in work.state["customers"]]
    while work.done < len(ids):
        piece = ids[work.done : work.done + PIECE]
        async with work.worker.database.transaction() as session:
            items = await _move_piece(session, work, piece)
            await settle(session)
            await work.add_items(session, items)
            await work.save(session, done=work.done + len(piece))
    async with work.worker.database.read() as connection:
        found = await connection.execute(
            select(OperationItem.outcome, func.count().label("customers"))
            .where(OperationItem.operation_id == work.id)
            .group_by(OperationItem.outcome)
        )
        counts = {row.outcome: row.customers for row in found}
    moved, blocked = counts.get("moved", 0), counts.get("blocked", 0)
    # Items go with customers who are erased, so those are counted as missing too.
    return {"moved": moved, "blocked": blocked, "missing": len(ids) - moved - blocked}


async def _move_piece(session: AsyncSession, work: Work, ids: Sequence[UUID]) -> list[Item]:
    now, zone = work.worker.clock(), work.worker.settings.tz
    there = await lock(session, ids)
    await catch_up(session, there, now, zone)
    moves = [Move(customer_id, work.params["to"], work.params["reason"]) for customer_id in there]
    answers = await move(session, moves, work.actor, now, zone, playbook_mode=work.params["playbook_mode"])
    by_customer = {answer.customer_id: answer for answer in answers}
    return [_item(work.done + n, customer_id, by_customer.get(customer_id)) for n, customer_id in enumerate(ids)]


def _item(ordinal: int, customer_id: UUID, answer: Moved | Blocked | None) -> Item:
    match answer:
        case Moved(change=change):
            step = {"transition_id": change.transition_id, "sequence": change.sequence}
            data = {**step, "from": change.from_stage, "to": change.to_stage}
            return Item(ordinal, customer_id, "moved", None, data)
        case Blocked(blockers=blockers):
            return Item(ordinal, customer_id, "blocked", str(blockers[0]["code"]), {"blockers": blockers})
    return Item(ordinal, None, "missing", MISSING, {"customer_id": customer_id})
