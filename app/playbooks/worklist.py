"""What people do with actions: list them, complete a task, cancel one, read the inbox."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.customers.models import Customer
from app.customers.service import lock
from app.deps import require_match
from app.errors import Problem, not_found
from app.events import ActionOutcome, ActionsFinished, publish
from app.pagination import decode_cursor, encode_cursor
from app.playbooks.models import Action, Message, PlaybookPin
from app.playbooks.schemas import ActionQuery, CustomerActionQuery, MessageQuery
from app.playbooks.service import FACT_COLUMNS, facts_of, load_playbooks
from app.playbooks.storing import plan_following, planned_of

_API_NAMES = {"status": "state", "class": "action_class"}
_COLUMNS = tuple(
    column.label(_API_NAMES.get(column.name, column.name))
    for column in Action.__table__.c
    if column.name != "survives_exit"
)
_OPEN = ("planned", "claimed")


async def read_action(connection: AsyncConnection, action_id: UUID) -> dict[str, Any]:
    """One action in the API's shape; 404 if unknown."""
    row = (await connection.execute(select(*_COLUMNS).where(Action.id == action_id))).mappings().first()
    if row is None:
        raise not_found("action")
    return dict(row)


async def page_of_actions(
    connection: AsyncConnection, query: CustomerActionQuery, customer_id: UUID | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of actions, of one customer or of all, and the cursor of the next page."""
    wanted: list[ColumnElement[bool]] = []
    if customer_id is not None:
        wanted.append(Action.customer_id == customer_id)
    if query.state:
        wanted.append(Action.status.in_(query.state))
    if isinstance(query, ActionQuery):
        wanted += _narrowed(query)
    descending = query.sort.startswith("-")
    key = tuple_(Action.due_at, Action.id)
    fingerprint = query.fingerprint(f"actions/{customer_id or ''}")
    if query.cursor is not None:
        after = tuple_(*decode_cursor(fingerprint, query.cursor, (datetime, UUID)))
        wanted.append(key < after if descending else key > after)
    order = (Action.due_at.desc(), Action.id.desc()) if descending else (Action.due_at, Action.id)
    rows = await connection.execute(select(*_COLUMNS).where(*wanted).order_by(*order).limit(query.limit + 1))
    items = [dict(row) for row in rows.mappings()]
    if len(items) <= query.limit:
        return items, None
    last = items[query.limit - 1]
    return items[: query.limit], encode_cursor(fingerprint, last["due_at"], last["id"])


def _narrowed(query: ActionQuery) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.kind:
        wanted.append(Action.kind.in_(query.kind))
    if query.stage:
        wanted.append(Action.stage.in_(query.stage))
    if query.owner is not None:
        wanted.append(Action.owner == query.owner)
    if query.due_until is not None:
        wanted.append(Action.due_at <= query.due_until)
    return wanted


async def page_of_messages(
    connection: AsyncConnection, customer_id: UUID, query: MessageQuery
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of a customer's inbox, newest first, and the cursor of the next page."""
    wanted: list[ColumnElement[bool]] = [Message.customer_id == customer_id]
    if query.unread is not None:
        wanted.append(Message.read_at.is_(None) if query.unread else Message.read_at.is_not(None))
    fingerprint = query.fingerprint(f"messages/{customer_id}")
    if query.cursor is not None:
        before = tuple_(*decode_cursor(fingerprint, query.cursor, (datetime, UUID)))
        wanted.append(tuple_(Message.created_at, Message.id) < before)
    newest = (Message.created_at.desc(), Message.id.desc())
    found = select(*Message.__table__.c).where(*wanted).order_by(*newest).limit(query.limit + 1)
    items = [dict(row) for row in (await connection.execute(found)).mappings()]
    if len(items) <= query.limit:
        return items, None
    last = items[query.limit - 1]
    return items[: query.limit], encode_cursor(fingerprint, last["created_at"], last["id"])


async def complete(
    session: AsyncSession,
    action_id: UUID,
    if_match: str | None,
    now: datetime,
    *,
    outcome: str,
    note: str | None,
    by: str,
) -> None:
    """Close a task with its outcome, due or not yet; a series goes on. 409 unless it is an open task."""
    action = await _lock_open(session, action_id, if_match)
    if action.kind != "task":
        raise Problem("conflict", "Only tasks are completed by hand.")
    await _complete(session, [action], now, outcome, note, by)


async def complete_listed(
    session: AsyncSession, due_before: datetime, now: datetime, *, outcome: str, by: str, limit: int
) -> int:
    """Complete up to `limit` tasks on anybody's list that were due before `due_before`; returns how many."""
    listed = (Action.kind == "task", Action.status == "claimed", Action.due_at < due_before)
    whose = await session.scalars(select(Action.customer_id).where(*listed).order_by(Action.due_at).limit(limit))
    locked = await lock(session, list(set(whose)))
    if not locked:
        return 0
    found = select(Action).where(Action.customer_id.in_(locked), *listed).order_by(Action.due_at, Action.id)
    actions = (await session.scalars(found.limit(limit).with_for_update())).all()
    await _complete(session, actions, now, outcome, None, by)
    return len(actions)


async def _complete(
    session: AsyncSession, actions: Sequence[Action], now: datetime, outcome: str, note: str | None, by: str
) -> None:
    for action in actions:
        action.outcome, action.note = outcome, note
        action.claimed_at = action.claimed_at or now
    await _finish(session, actions, "done", now, by)
    ended = (ActionOutcome(a.customer_id, a.id, a.key, a.kind, "done", None, a.channel) for a in actions)
    publish(session, ActionsFinished(now, tuple(ended)))


async def cancel(
    session: AsyncSession, action_id: UUID, if_match: str | None, now: datetime, *, reason: str, by: str
) -> None:
    """Call off one occurrence; a series goes on. 409 unless it is planned, or a task on its owner's list."""
    action = await _lock_open(session, action_id, if_match)
    action.reason = reason
    await _finish(session, [action], "cancelled", now, by)


async def _lock_open(session: AsyncSession, action_id: UUID, if_match: str | None) -> Action:
    """The action, locked after its customer; 404, 409, 412 or 428 if it is not there to be changed."""
    customer_id = await session.scalar(select(Action.customer_id).where(Action.id == action_id))
    if customer_id is None or not await lock(session, [customer_id]):
        raise not_found("action")
    action = await session.get(Action, action_id, with_for_update=True)
    if action is None:
        raise not_found("action")
    require_match(if_match, action.version)
    if action.status not in _OPEN:
        raise Problem("action_not_open", f"The action is {action.status}.")
    return action


async def _finish(session: AsyncSession, actions: Sequence[Action], status: str, now: datetime, by: str) -> None:
    """End occurrences whose customers are locked, and plan what follows in their series."""
    for action in actions:
        action.status, action.finished_at, action.finished_by = status, now, by
        action.version += 1
    await session.flush()
    found = await session.execute(
        select(*FACT_COLUMNS, PlaybookPin.interval_id)
        .outerjoin(PlaybookPin, PlaybookPin.customer_id == Customer.id)
        .where(Customer.id.in_({action.customer_id for action in actions}))
    )
    customers = {row.id: row for row in found}
    _, books = await load_playbooks(session, {action.playbook_version for action in actions}, now)
    finished = [(planned_of(action), customers[action.customer_id].interval_id) for action in actions]
    await plan_following(session, finished, {i: facts_of(row) for i, row in customers.items()}, books, now)


async def mark_read(session: AsyncSession, message_id: UUID, now: datetime) -> dict[str, Any]:
    """Note when a message was first read; repeating changes nothing. 404 if unknown."""
    message = await session.get(Message, message_id, with_for_update=True)
    if message is None:
        raise not_found("message")
    message.read_at = message.read_at or now
    await session.flush()
    return {column.name: getattr(message, column.name) for column in Message.__table__.c}
