"""Actions as rows: planned, called off and planned again, each for a set of customers in one statement."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, Uuid, and_, bindparam, false, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, Insert, distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.events import StageChange
from app.playbooks.definition import Playbook
from app.playbooks.gate import in_interval
from app.playbooks.models import Action
from app.playbooks.plan import CORRECTION, CustomerFacts, PlannedAction, following
from app.playbooks.resuming import Latest, Resumption
from app.playbooks.texts import LANGUAGES, Reader, render_all

LEFT_STAGE = "left_stage"
CORRECTED = "corrected"
"""Reason of what a correction called off: unlike what was left, it may begin again when its cause comes to be right."""

PLANNED_COLUMNS = tuple(getattr(Action, field.name).label(field.name) for field in fields(PlannedAction))


def planned_of(row: Any) -> PlannedAction:
    """The planned action in a stored one, or in a row that has `PLANNED_COLUMNS`."""
    return PlannedAction(**{field.name: getattr(row, field.name) for field in fields(PlannedAction)})


async def bulk_insert(session: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, in one statement however many; rows that are there already stay."""
    await session.execute(_inserting(table, rows[0]).on_conflict_do_nothing(), _arrays(rows))


def _inserting(table: Table, names: Iterable[str]) -> Insert:
    columns = [table.c[name] for name in names]
    arrays = (func.unnest(bindparam(c.name, type_=ARRAY(c.type))) for c in columns)
    return insert(table).from_select([c.name for c in columns], select(*arrays))


def _arrays(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


async def insert_actions(
    session: AsyncSession,
    planned: Iterable[PlannedAction],
    customers: Mapping[UUID, CustomerFacts],
    books: Mapping[int, Playbook],
    now: datetime,
) -> None:
    """Store planned actions; those whose customer, scope, key and occurrence are known already are left as they are.

    Except for those that a correction had called off: their time has come after all.
    """
    rows: dict[tuple[UUID, str, str, str], dict[str, Any]] = {}
    for action in planned:
        row = {field.name: getattr(action, field.name) for field in fields(action)}
        row["class"] = row.pop("action_class")
        row["content"] = _content(action, customers[action.customer_id], books[action.playbook_version])
        known = (action.customer_id, action.scope, action.key, action.occurrence)
        rows.setdefault(known, {"id": new_id(), **row, "created_at": now})
    if not rows:
        return
    table = cast("Table", Action.__table__)
    values = list(rows.values())
    statement = _inserting(table, values[0])
    changed = {name: statement.excluded[name] for name in values[0] if name != "id"}
    ended = {"status": "planned", "reason": None, "finished_at": None, "version": table.c.version + 1}
    again = statement.on_conflict_do_update(
        index_elements=["customer_id", "scope", "key", "occurrence"],
        set_=changed | ended,
        where=and_(table.c.status == "cancelled", table.c.reason == CORRECTED, table.c.finished_by.is_(None)),
    )
    await session.execute(again, _arrays(values))


def _content(action: PlannedAction, facts: CustomerFacts, book: Playbook) -> dict[str, Any] | None:
    """The texts of a task, for whoever looks ahead; other texts are written when the action is due."""
    if action.kind != "task":
        return None
    reader = Reader(facts.name, facts.tier, facts.owner, action.stage, action.cause)
    return render_all(book.find(action.key).content, LANGUAGES, reader)


async def plan_following(
    session: AsyncSession,
    finished: Sequence[tuple[PlannedAction, UUID | None]],
    customers: Mapping[UUID, CustomerFacts],
    books: Mapping[int, Playbook],
    now: datetime,
) -> None:
    """Plan what comes after finished occurrences. Beside each: the scope of its customer's present stay, if known."""
    planned = [
        action
        for done, interval_id in finished
        if in_interval(done.interval_id, interval_id)
        and (action := following(done, books[done.playbook_version].find(done.key), customers[done.customer_id], now))
    ]
    await insert_actions(session, planned, customers, books, now)


async def call_off_left(session: AsyncSession, changes: Sequence[StageChange], now: datetime) -> None:
    """Cancel what ends with the stages left. What a correction takes back leaves nothing, unless it had been resumed."""
    left = [c for c in changes if c.left_scope_id is not None]
    await session.execute(
        text(
            "UPDATE actions SET status = 'cancelled', finished_at = :now, version = version + 1,"
            " reason = CASE WHEN survives_exit THEN :corrected ELSE :left END"
            " FROM unnest(CAST(:customers AS uuid[]), CAST(:scopes AS uuid[]), CAST(:wrong AS boolean[]))"
            " AS departed(customer, scope, was_wrong)"
            " WHERE customer_id = departed.customer AND interval_id = departed.scope"
            " AND status = 'planned' AND (was_wrong OR NOT survives_exit)"
        ),
        {
            "now": now,
            "left": LEFT_STAGE,
            "corrected": CORRECTED,
            "customers": [c.customer_id for c in left],
            "scopes": [c.left_scope_id for c in left],
            "wrong": [c.kind == CORRECTION and c.left_scope_id == c.left_interval_id for c in left],
        },
    )


async def stays_of(session: AsyncSession, changes: Sequence[StageChange]) -> dict[UUID, list[Latest]]:
    """By scope, the last occurrence of every action in the stays that `changes` resume."""
    resumed = [c for c in changes if c.resumes]
    if not resumed:
        return {}
    wanted = select(
        func.unnest(bindparam("customers", [c.customer_id for c in resumed], ARRAY(Uuid))).label("customer"),
        func.unnest(bindparam("scopes", [c.scope_id for c in resumed], ARRAY(Uuid))).label("scope"),
    ).subquery()
    by_left_stage = and_(Action.status == "cancelled", Action.reason == LEFT_STAGE, Action.finished_by.is_(None))
    called_off = func.coalesce(by_left_stage, false()).label("called_off")
    key = (Action.customer_id, Action.scope, Action.key)
    rows = await session.execute(
        select(Action.id, *PLANNED_COLUMNS, Action.status, called_off)
        .join(wanted, and_(Action.customer_id == wanted.c.customer, Action.interval_id == wanted.c.scope))
        .ext(distinct_on(*key))
        .order_by(*key, func.length(Action.occurrence).desc(), Action.occurrence.desc())
    )
    found: dict[UUID, list[Latest]] = {c.scope_id: [] for c in resumed}
    for row in rows:
        found[row.interval_id].append(Latest(row.id, planned_of(row), row.status, row.called_off))
    return found


async def resume_actions(session: AsyncSession, resumptions: Sequence[Resumption], now: datetime) -> None:
    """Plan again, and call off, what is stored; what follows anew is the caller's to insert."""
    if not resumptions:
        return
    again = [pair for one in resumptions for pair in one.again]
    await session.execute(
        text(
            "UPDATE actions SET status = 'planned', reason = NULL, finished_at = NULL, due_at = due,"
            " version = version + 1"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:due AS timestamptz[])) AS called_off(action, due)"
            " WHERE id = action"
        ),
        {"ids": [action for action, _ in again], "due": [due for _, due in again]},
    )
    await session.execute(
        text(
            "UPDATE actions SET status = 'cancelled', reason = :reason, finished_at = :now, version = version + 1"
            " WHERE id = ANY(CAST(:ids AS uuid[]))"
        ),
        {"now": now, "reason": CORRECTED, "ids": [action for one in resumptions for action in one.undone]},
    )
