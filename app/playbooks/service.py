"""Playbooks in the database, and the reaction that plans actions when customers change stage."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Uuid, any_, bindparam, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app import jobs
from app.customers.models import Customer
from app.errors import not_found
from app.events import CustomersMerged, RulesFrozen, StagesChanged
from app.playbooks.definition import Playbook, parse
from app.playbooks.models import PlaybookPin, PlaybookRow
from app.playbooks.plan import CustomerFacts, plan, plan_freezes
from app.playbooks.resuming import resume
from app.playbooks.storing import call_off_left, insert_actions, resume_actions, stays_of

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
    """What follows from stage changes: the actions of the stages left end, those of the stages entered begin or go on.

    Runs in the transaction of the change, whose customers are locked, with the same number of statements for one
    change and for thousands. Repeating an event plans nothing twice.
    """
    changes, now = event.changes, event.at
    if not changes:
        return
    customers, pins = await _standing(session, [change.customer_id for change in changes])
    await call_off_left(session, changes, now)
    stays = await stays_of(session, changes)
    versions = {version for _, version in pins.values()}
    versions |= {last.action.playbook_version for stay in stays.values() for last in stay}
    newest, books = await load_playbooks(session, versions, now)
    pinned = {scope_id: books[version] for scope_id, version in pins.values()}
    planned = plan(newest, pinned, changes, customers, now)
    resumed = [
        resume(c, stays[c.scope_id], books, customers[c.customer_id], now)
        for c in changes
        if c.resumes and c.customer_id in customers
    ]
    await resume_actions(session, resumed, now)
    planned += [action for one in resumed for action in one.following]
    await insert_actions(session, planned, customers, {**books, newest.version: newest}, now)
    entered = {c.customer_id: c.scope_id for c in changes if c.customer_id in customers}
    # All actions of a stay are of the version that it began with; one that never planned anything has none to keep.
    begun_with = {scope_id: stay[0].action.playbook_version for scope_id, stay in stays.items() if stay}
    await _pin(session, [(i, scope_id, begun_with.get(scope_id, newest.version)) for i, scope_id in entered.items()])
    due = [*(action.due_at for action in planned), *(due_at for one in resumed for _, due_at in one.again)]
    if any(due_at <= now for due_at in due):
        await jobs.wake(session, SWEEP)


async def plan_freeze_reviews(session: AsyncSession, event: RulesFrozen, zone: ZoneInfo) -> None:
    """What follows when the rules are switched off for customers: the actions that the playbook has for that.

    Once for every freeze, however often its event is repeated; with a fixed number of statements.
    """
    rows = await session.execute(
        select(*FACT_COLUMNS, Customer.stage).where(
            Customer.id == any_(bindparam(None, [customer_id for customer_id, *_ in event.items], ARRAY(Uuid)))
        )
    )
    customers = {row.id: (facts_of(row), row.stage) for row in rows}
    newest, _ = await load_playbooks(session, (), event.at)
    planned = plan_freezes(newest, event.items, customers, event.at, zone)
    facts = {customer_id: known for customer_id, (known, _) in customers.items()}
    await insert_actions(session, planned, facts, {newest.version: newest}, event.at)
    if any(action.due_at <= event.at for action in planned):
        await jobs.wake(session, SWEEP)


async def cancel_merged(session: AsyncSession, event: CustomersMerged) -> None:
    """End what was planned for merged duplicates, open tasks too: their customers have actions of their own."""
    await session.execute(
        text(
            "UPDATE actions SET status = 'cancelled', reason = 'merged', finished_at = :now, version = version + 1 "
            "WHERE customer_id = ANY(:duplicates) AND status IN ('planned', 'claimed')"
        ),
        {"now": event.at, "duplicates": [merge.duplicate_id for merge in event.merges]},
    )


async def _standing(
    session: AsyncSession, customer_ids: Sequence[UUID]
) -> tuple[dict[UUID, CustomerFacts], dict[UUID, tuple[UUID, int]]]:
    """Facts of the customers that exist, and for those whose stay has a playbook: its scope, and the version."""
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


FACT_COLUMNS = (Customer.id, Customer.full_name, Customer.kind, Customer.segment, Customer.tier, Customer.owner)


def facts_of(row: Any) -> CustomerFacts:
    """The facts in a row that has `FACT_COLUMNS`."""
    return CustomerFacts(row.full_name, row.kind, row.segment, row.tier, row.owner)


async def _pin(session: AsyncSession, stays: Sequence[tuple[UUID, UUID, int]]) -> None:
    """Note where customers stand now: (customer, scope, version of the playbook)."""
    await session.execute(
        text(
            "INSERT INTO playbook_pins (customer_id, interval_id, playbook_version) "
            "SELECT customer, scope, version "
            "FROM unnest(CAST(:customers AS uuid[]), CAST(:scopes AS uuid[]), CAST(:versions AS int[])) "
            "AS entered(customer, scope, version) "
            "ON CONFLICT (customer_id) DO UPDATE SET interval_id = excluded.interval_id, "
            "playbook_version = excluded.playbook_version"
        ),
        {
            "customers": [customer_id for customer_id, _, _ in stays],
            "scopes": [scope_id for _, scope_id, _ in stays],
            "versions": [version for _, _, version in stays],
        },
    )
