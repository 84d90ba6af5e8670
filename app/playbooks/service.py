"""Playbooks in the database, and the reaction that plans actions when customers change stage."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import orjson
from sqlalchemy import Table, Uuid, any_, bindparam, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app import jobs
from app.clock import new_id
from app.customers.models import Customer
from app.errors import not_found
from app.events import StagesChanged
from app.playbooks.definition import Playbook, parse
from app.playbooks.gate import in_interval
from app.playbooks.models import Action, PlaybookPin, PlaybookRow
from app.playbooks.plan import CustomerFacts, PlannedAction, following, plan
from app.playbooks.texts import LANGUAGES, Reader, render_all

SWEEP = "actions"
"""Name of the sweep that performs due actions; see performing.py."""

_SHIPPED = Path(__file__).parent / "data" / "playbook.json"
_parsed: dict[str, Playbook] = {}  # by digest of the body, so that it holds for any database


def shipped_document() -> dict[str, Any]:
    """The default playbook that ships, as JSON value."""
    document: dict[str, Any] = orjson.loads(_SHIPPED.read_bytes())
    return document


async def ensure_default_playbook(session: AsyncSession, now: datetime) -> None:
    """Store the shipped playbook as published version 1, if no playbook is stored. Safe to repeat and to race."""
    if (await session.execute(select(PlaybookRow.version).limit(1))).first() is not None:
        return
    body = shipped_document()
    playbook = parse(body)
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    await session.execute(
        insert(PlaybookRow)
        .values(
            version=playbook.version, name=playbook.name, status="published", body=body, digest=digest, published_at=now
        )
        .on_conflict_do_nothing()
    )


async def load_playbooks(
    session: AsyncSession, versions: Collection[int], now: datetime
) -> tuple[Playbook, dict[int, Playbook]]:
    """The newest published playbook, and by version those of `versions`; one statement for what was read before.

    A database without any playbook gets the shipped one; it is read as if it had always been there.
    """
    newest = select(func.max(PlaybookRow.version)).where(PlaybookRow.status == "published").scalar_subquery()
    wanted = select(PlaybookRow.version, PlaybookRow.digest, newest.label("newest")).where(
        or_(PlaybookRow.version.in_(versions), PlaybookRow.version == newest)
    )
    rows = (await session.execute(wanted)).all()
    if not rows:
        await ensure_default_playbook(session, now)
        rows = (await session.execute(wanted)).all()
    unread = [row.version for row in rows if row.digest not in _parsed]
    if unread:
        found = select(PlaybookRow.digest, PlaybookRow.body).where(PlaybookRow.version.in_(unread))
        for digest, body in await session.execute(found):
            _parsed[digest] = parse(body)
    books = {row.version: _parsed[row.digest] for row in rows}
    return books[rows[0].newest], books


async def read_playbook(connection: AsyncConnection, version: int) -> dict[str, Any]:
    """One version in the API's shape: every field present, every duration by tier. 404 if unknown."""
    row = (await connection.execute(select(PlaybookRow.__table__).where(PlaybookRow.version == version))).first()
    if row is None:
        raise not_found("playbook version")
    summary = {name: getattr(row, name) for name in ("version", "name", "status", "published_at")}
    return {**summary, "actions": [_described(action) for action in row.body["actions"]]}


def _described(action: Mapping[str, Any]) -> dict[str, Any]:
    optional: dict[str, Any] = {
        "date": None,
        "signals": [],
        "every": None,
        "condition": None,
        "channel": None,
        "owner": "adviser",
    }
    full = {**optional, **action}
    full["action_class"] = full.pop("class")
    for name in ("offset", "every"):
        if isinstance(full[name], str):
            full[name] = dict.fromkeys("ABC", full[name])
    return full


async def plan_actions(session: AsyncSession, event: StagesChanged) -> None:
    """What follows from stage changes: the actions of the stages left end, those of the stages entered begin.

    Runs in the transaction of the change, whose customers are locked, with the same number of statements for one
    change and for thousands. Repeating an event plans nothing twice.
    """
    changes = event.changes
    if not changes:
        return
    customers, pins = await _standing(session, [change.customer_id for change in changes])
    newest, books = await load_playbooks(session, {version for _, version in pins.values()}, event.at)
    pinned = {interval_id: books[version] for interval_id, version in pins.values()}
    planned = plan(newest, pinned, changes, customers, event.at)
    await _cancel_left(session, event)
    await insert_actions(session, planned, customers, {**books, newest.version: newest}, event.at)
    last = {c.customer_id: c.interval_id for c in changes if c.customer_id in customers}
    await _pin(session, last, newest.version)
    if any(action.due_at <= event.at for action in planned):
        await jobs.wake(session, SWEEP)


async def _standing(
    session: AsyncSession, customer_ids: Sequence[UUID]
) -> tuple[dict[UUID, CustomerFacts], dict[UUID, tuple[UUID, int]]]:
    """Facts of the customers that exist, and for those who stand in an interval: which, and its playbook version."""
    rows = await session.execute(
        select(*FACT_COLUMNS, PlaybookPin.interval_id, PlaybookPin.playbook_version)
        .outerjoin(PlaybookPin, PlaybookPin.customer_id == Customer.id)
        .where(Customer.id == any_(bindparam(None, list(customer_ids), ARRAY(Uuid))))
    )
    customers, pins = {}, {}
    for row in rows:
        customers[row.id] = facts_of(row)
        if row.interval_id is not None:
            pins[row.id] = (row.interval_id, row.playbook_version)
    return customers, pins


PLANNED_COLUMNS = tuple(getattr(Action, field.name).label(field.name) for field in fields(PlannedAction))


def planned_of(row: Any) -> PlannedAction:
    """The planned action in a stored one, or in a row that has `PLANNED_COLUMNS`."""
    return PlannedAction(**{field.name: getattr(row, field.name) for field in fields(PlannedAction)})


FACT_COLUMNS = (Customer.id, Customer.full_name, Customer.kind, Customer.segment, Customer.tier, Customer.owner)


def facts_of(row: Any) -> CustomerFacts:
    """The facts in a row that has `FACT_COLUMNS`."""
    return CustomerFacts(row.full_name, row.kind, row.segment, row.tier, row.owner)


async def _cancel_left(session: AsyncSession, event: StagesChanged) -> None:
    left = [(c.customer_id, c.left_interval_id) for c in event.changes if c.left_interval_id is not None]
    await session.execute(
        text(
            "UPDATE actions SET status = 'cancelled', reason = 'left_stage', finished_at = :now, version = version + 1 "
            "FROM unnest(CAST(:customers AS uuid[]), CAST(:intervals AS uuid[])) AS departed(customer, interval) "
            "WHERE customer_id = departed.customer AND interval_id = departed.interval "
            "AND status = 'planned' AND NOT survives_exit"
        ),
        {"now": event.at, "customers": [c for c, _ in left], "intervals": [i for _, i in left]},
    )


async def _pin(session: AsyncSession, intervals: Mapping[UUID, UUID], version: int) -> None:
    await session.execute(
        text(
            "INSERT INTO playbook_pins (customer_id, interval_id, playbook_version) "
            "SELECT customer, interval, :version "
            "FROM unnest(CAST(:customers AS uuid[]), CAST(:intervals AS uuid[])) AS entered(customer, interval) "
            "ON CONFLICT (customer_id) DO UPDATE SET interval_id = excluded.interval_id, "
            "playbook_version = excluded.playbook_version"
        ),
        {"version": version, "customers": list(intervals), "intervals": list(intervals.values())},
    )


async def bulk_insert(session: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, in one statement however many; rows that are there already stay."""
    columns = [table.c[name] for name in rows[0]]
    arrays = (func.unnest(bindparam(c.name, type_=ARRAY(c.type))) for c in columns)
    await session.execute(
        insert(table).from_select([c.name for c in columns], select(*arrays)).on_conflict_do_nothing(),
        {c.name: [row[c.name] for row in rows] for c in columns},
    )


async def insert_actions(
    session: AsyncSession,
    planned: Sequence[PlannedAction],
    customers: Mapping[UUID, CustomerFacts],
    books: Mapping[int, Playbook],
    now: datetime,
) -> None:
    """Store planned actions; those whose customer, scope, key and occurrence are known already are left as they are."""
    if not planned:
        return
    rows = []
    for action in planned:
        definition = books[action.playbook_version].find(action.key)
        row = {field.name: getattr(action, field.name) for field in fields(action)}
        row["class"] = row.pop("action_class")
        content = None
        if action.kind == "task":
            facts = customers[action.customer_id]
            reader = Reader(facts.name, facts.tier, facts.owner, action.stage, action.cause)
            content = render_all(definition.content, LANGUAGES, reader)
        rows.append({"id": new_id(), **row, "content": content, "created_at": now})
    await bulk_insert(session, cast("Table", Action.__table__), rows)


async def plan_following(
    session: AsyncSession,
    finished: Sequence[tuple[PlannedAction, UUID | None]],
    customers: Mapping[UUID, CustomerFacts],
    books: Mapping[int, Playbook],
    now: datetime,
) -> None:
    """Plan what comes after finished occurrences. Beside each: its customer's present interval, if known."""
    planned = [
        action
        for done, interval_id in finished
        if in_interval(done.interval_id, interval_id)
        and (action := following(done, books[done.playbook_version].find(done.key), customers[done.customer_id], now))
    ]
    await insert_actions(session, planned, customers, books, now)
