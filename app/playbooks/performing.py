"""Doing what is due: claim a batch, judge each action at the gate, perform, record. One transaction a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, Uuid, any_, bindparam, case, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.clock import new_id
from app.customers.models import Customer
from app.events import ActionOutcome, ActionsFinished, publish
from app.playbooks.definition import Playbook, condition_holds
from app.playbooks.gate import Due, Verdict, judge
from app.playbooks.models import Action, Message, PlaybookPin
from app.playbooks.plan import PlannedAction, condition_facts, owner_of
from app.playbooks.service import FACT_COLUMNS, SWEEP, facts_of, load_playbooks
from app.playbooks.storing import PLANNED_COLUMNS, bulk_insert, plan_following, planned_of
from app.playbooks.texts import LANGUAGES, Reader, language_of, render_all

BATCH = 500
_WINDOW = 8  # batches of due actions looked at, so that workers beside each other find customers that are not locked


@jobs.sweep(SWEEP)
async def run_due_actions(worker: jobs.Worker) -> bool:
    """One batch of due actions; True if the batch was full."""
    async with worker.database.transaction() as session:
        return await run_due(session, worker.clock(), BATCH) >= BATCH


async def run_due(session: AsyncSession, now: datetime, limit: int = BATCH) -> int:
    """Do up to `limit` actions that are due at `now`; returns how many were settled, 0 when none is left.

    Customers are locked first, in id order; those that somebody else holds are left for the next call. Nothing leaves
    the system here: messages are rows of the inbox, and what others perform goes out as events with the commit.
    """
    customers = await _lock_customers(session, now, limit)
    rows = await _due_actions(session, list(customers), now, limit)
    if not rows:
        return 0
    _, books = await load_playbooks(session, {row.playbook_version for row in rows}, now)
    settled = [_settle(row, customers[row.customer_id], books[row.playbook_version], now) for row in rows]
    await _record(session, settled, now)
    delivered = [s.message for s in settled if s.message is not None]
    if delivered:
        await bulk_insert(session, cast("Table", Message.__table__), delivered)
    finished = [(s.action, s.current_interval_id) for s in settled if s.status != "claimed"]
    facts = {customer_id: facts_of(row) for customer_id, row in customers.items()}
    await plan_following(session, finished, facts, books, now)
    outcomes = tuple(s.public for s in settled if s.public is not None)
    if outcomes:
        publish(session, ActionsFinished(now, outcomes))
    return len(settled)


async def _lock_customers(session: AsyncSession, now: datetime, limit: int) -> dict[UUID, Row[Any]]:
    due = (
        select(Action.customer_id)
        .where(Action.status == "planned", Action.due_at <= now)
        .order_by(Action.due_at)
        .limit(_WINDOW * limit)
        .subquery()
    )
    rows = await session.execute(
        select(*FACT_COLUMNS, Customer.language, Customer.stage, Customer.holds, Customer.consents)
        .where(Customer.id.in_(select(due.c.customer_id)))
        .order_by(Customer.id)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
    )
    return {row.id: row for row in rows}


async def _due_actions(
    session: AsyncSession, customer_ids: Sequence[UUID], now: datetime, limit: int
) -> Sequence[Row[Any]]:
    if not customer_ids:
        return []
    found = await session.execute(
        select(Action.id, *PLANNED_COLUMNS, PlaybookPin.interval_id.label("current_interval_id"))
        .outerjoin(PlaybookPin, PlaybookPin.customer_id == Action.customer_id)
        .where(
            Action.customer_id == any_(bindparam(None, list(customer_ids), ARRAY(Uuid))),
            Action.status == "planned",
            Action.due_at <= now,
        )
        .order_by(Action.due_at, Action.id)
        .limit(limit)
        .with_for_update(of=Action)
    )
    return found.all()


@dataclass(frozen=True, slots=True)
class _Settled:
    """What became of one due action, ready to be recorded."""

    id: UUID
    action: PlannedAction
    current_interval_id: UUID | None
    status: str
    reason: str | None
    owner: str | None
    content: dict[str, Any] | None
    message: dict[str, Any] | None = None
    public: ActionOutcome | None = None


def _settle(row: Row[Any], customer: Row[Any], book: Playbook, now: datetime) -> _Settled:
    """Judge one action and prepare what it leaves behind. `row` has PLANNED_COLUMNS, `customer` its locked row."""
    action = planned_of(row)
    definition = book.find(action.key)
    facts = facts_of(customer)
    stage = customer.stage if action.stage == "any" else action.stage
    applies = condition_holds(definition.condition, condition_facts(facts, stage, action.cause))
    verdict = judge(_due(row, customer, applies), now)
    language = language_of(customer.language)
    reader = Reader(facts.name, facts.tier, facts.owner, stage, action.cause)
    content, message = None, None
    if verdict.step in ("list", "deliver"):
        content = render_all(definition.content, LANGUAGES if verdict.step == "list" else (language,), reader)
    status, reason = _status(verdict, content)
    if status == "done" and content is not None:
        message = _message(row, language, content[language], now)
    return _Settled(
        id=row.id,
        action=action,
        current_interval_id=row.current_interval_id,
        status=status,
        reason=reason,
        owner=owner_of(definition, facts.owner),
        content=content,
        message=message,
        public=_public(row, verdict, status, reason),
    )


def _due(row: Row[Any], customer: Row[Any], applies: bool) -> Due:
    return Due(
        key=row.key,
        kind=row.kind,
        action_class=row.action_class,
        channel=row.channel,
        interval_id=row.interval_id,
        survives_exit=row.survives_exit,
        expires_at=row.expires_at,
        current_interval_id=row.current_interval_id,
        holds=customer.holds,
        consents=customer.consents,
        condition_holds=applies,
    )


def _status(verdict: Verdict, content: Mapping[str, Any] | None) -> tuple[str, str | None]:
    if verdict.step in ("skip", "hand_over"):
        return "skipped", verdict.reason
    if content is None:
        return "failed", "render_failed"
    return ("claimed" if verdict.step == "list" else "done"), None


def _message(row: Row[Any], language: str, text: Mapping[str, str], now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "customer_id": row.customer_id,
        "action_id": row.id,
        "subject": text["subject"],
        "body": text["body"],
        "language": language,
        "created_at": now,
    }


def _public(row: Row[Any], verdict: Verdict, status: str, reason: str | None) -> ActionOutcome | None:
    """What the world hears: due for another provider, done, or skipped; nothing of tasks put on a list."""
    told = {"done": "done", "skipped": "due" if verdict.step == "hand_over" else "skipped"}.get(status)
    if told is None:
        return None
    return ActionOutcome(row.customer_id, row.id, row.key, row.kind, told, reason, row.channel)


async def _record(session: AsyncSession, settled: Sequence[_Settled], now: datetime) -> None:
    names = ("id", "status", "reason", "owner", "content")
    kinds = [Action.__table__.c[name].type for name in names]
    given = select(
        *(
            func.unnest(bindparam(f"new_{name}", type_=ARRAY(kind))).label(name)
            for name, kind in zip(names, kinds, strict=True)
        )
    ).subquery("given")
    table = cast("Table", Action.__table__)
    claimed = given.c.status == "claimed"
    await session.execute(
        update(table)
        .where(table.c.id == given.c.id)
        .values(
            status=given.c.status,
            reason=given.c.reason,
            owner=given.c.owner,
            content=func.coalesce(given.c.content, table.c.content),
            claimed_at=now,
            finished_at=case((claimed, None), else_=now),
            version=table.c.version + 1,
        ),
        {f"new_{name}": [getattr(s, name) for s in settled] for name in names},
    )
