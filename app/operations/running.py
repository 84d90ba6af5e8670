"""Running long work: what handlers are given, and the one way that every operation takes.

A handler does its work in pieces, each in a transaction of its own, and calls `Work.save` at the end of every piece:
progress commits with the work, or neither does. After a crash the handler is called again and goes on from `state`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import func, text, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app import jobs
from app.errors import CODES, Problem
from app.jobs import Worker
from app.operations import leasing
from app.operations.service import JOB, TABLE, Ending, as_json, end

log = logging.getLogger("app.operations")

AT_ONCE = 4
"""Operations that a worker process runs at once: they last long and must leave room for its other jobs."""

_RENEWED_EVERY = 5.0  # seconds
_ADD_ITEMS = text(
    """WITH there AS (SELECT id FROM customers WHERE id = ANY(CAST(:customers AS uuid[])) ORDER BY id FOR KEY SHARE)
    INSERT INTO operation_items (operation_id, ordinal, customer_id, outcome, code, data)
    SELECT :operation, item.ordinal, there.id, item.outcome, item.code,
           CASE WHEN item.customer_id IS NOT NULL AND there.id IS NULL THEN '{}' ELSE CAST(item.data AS jsonb) END
    FROM unnest(CAST(:ordinals AS bigint[]), CAST(:customers AS uuid[]), CAST(:outcomes AS text[]),
                CAST(:codes AS text[]), CAST(:data AS text[])) AS item(ordinal, customer_id, outcome, code, data)
         LEFT JOIN there ON there.id = item.customer_id
    ON CONFLICT DO NOTHING"""
)
_BUG = {"code": "internal", "detail": "Something failed on our side; quote the id of the operation.", "errors": []}


class Cancelled(Exception):
    """Somebody asked for the end of the operation. Not for handlers to catch."""


class Superseded(Exception):
    """The operation belongs to another run by now. Not for handlers to catch."""


class Later(NamedTuple):
    """Not finished: call the handler again at that moment."""

    at: datetime


class Item(NamedTuple):
    """What came of one customer or row. A customer who does not exist leaves an item without customer."""

    ordinal: int
    customer_id: UUID | None
    outcome: str
    code: str | None
    data: Mapping[str, Any]


@dataclass(slots=True)
class Work:
    """One run of one operation, as its handler sees it. `done` of `total` pieces are behind it."""

    id: UUID
    kind: str
    params: dict[str, Any]
    state: dict[str, Any]
    done: int
    total: int | None
    actor: str
    worker: Worker
    run_id: UUID
    attempt: int

    async def save(
        self,
        session: AsyncSession,
        *,
        done: int | None = None,
        total: int | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Write progress in the caller's transaction, last: it locks the operation. What is not given is kept.

        Raises `Cancelled`, or `Superseded` if this run was taken for dead: the caller's transaction is then undone.
        """
        given = {"done": done, "total": total, "state": None if state is None else as_json(state)}
        changed = {name: value for name, value in given.items() if value is not None}
        saved = await session.execute(
            update(TABLE)
            .where(TABLE.c.id == self.id, TABLE.c.run_id == self.run_id)
            .values(**changed, attempts=0, updated_at=self.worker.clock(), lease_until=leasing.lease_end())
            .returning(TABLE.c.cancel_requested_at)
        )
        row = saved.first()
        if row is None:
            raise Superseded
        if row.cancel_requested_at is not None:
            raise Cancelled
        for name, value in changed.items():
            setattr(self, name, value)

    async def add_items(self, session: AsyncSession, items: Sequence[Item]) -> None:
        """Store items in the caller's transaction; an ordinal that is there already is left alone."""
        values = {
            "operation": self.id,
            "ordinals": [item.ordinal for item in items],
            "customers": [item.customer_id for item in items],
            "outcomes": [item.outcome for item in items],
            "codes": [item.code for item in items],
            "data": [orjson.dumps(item.data, default=str, option=orjson.OPT_UTC_Z).decode() for item in items],
        }
        if items:
            await session.execute(_ADD_ITEMS, values)


Handler = Callable[[Work], Awaitable[dict[str, Any] | Later]]
"""The work of a kind: returns its result. A `Problem` that it raises is told to the owner; it may be called again."""

KINDS: dict[str, Handler] = {}


def handles(kind: str) -> Callable[[Handler], Handler]:
    """Decorator: this function does the work of operations of `kind`."""

    def add(handler: Handler) -> Handler:
        KINDS[kind] = handler
        return handler

    return add


_under_way: list[UUID] = []


@jobs.register(JOB)
async def run_operation(worker: Worker, payload: str) -> None:
    """Run one operation, if this process has room for it; otherwise the sweep starts it later."""
    operation_id = UUID(payload)
    if len(_under_way) >= AT_ONCE:
        return
    _under_way.append(operation_id)
    try:
        await _run(worker, operation_id)
    finally:
        _under_way.remove(operation_id)


@jobs.sweep("operations")
async def start_operations(worker: Worker) -> bool:
    """Start what waits for a worker: whose moment has come, whose worker died, for which there was no room before."""
    async with worker.database.read() as connection:
        room = max(0, AT_ONCE - len(_under_way))
        waiting = await leasing.startable(connection, KINDS, worker.clock(), room)
    if waiting:
        async with worker.database.transaction() as session:
            await jobs.enqueue(session, JOB, [str(operation_id) for operation_id in waiting])
    return False


async def run_now(worker: Worker, operation_id: UUID) -> None:
    """Run an operation in this process, as its job would, until it has ended or waits for a moment that is to come.

    If another process runs it, this waits for that one's end.
    """
    while True:
        async with worker.database.read() as connection:
            kind = await leasing.due_kind(connection, operation_id, worker.clock())
        if kind is None:
            return
        if kind not in KINDS:
            raise LookupError(f"nobody handles operations of the kind {kind}")
        if not await _run(worker, operation_id):
            await asyncio.sleep(0.1)


async def _run(worker: Worker, operation_id: UUID) -> bool:
    """One run; False if the operation could not be claimed."""
    async with worker.database.transaction() as session:
        claim = await leasing.claim(session, operation_id, KINDS, worker.clock())
    if claim is None:
        return False
    work = Work(
        id=claim.id,
        kind=claim.kind,
        params=claim.params,
        state=claim.state,
        done=claim.done,
        total=claim.total,
        actor=claim.actor,
        worker=worker,
        run_id=claim.run_id,
        attempt=claim.attempt,
    )
    try:
        async with _lease_kept(work):
            outcome = await _outcome(work)
    except asyncio.CancelledError:
        # The worker stops: somebody else goes on at once, and this start does not count.
        await _give_back(work, attempts=func.greatest(TABLE.c.attempts - 1, 0))
        raise
    match outcome:
        case Ending():
            async with worker.database.transaction() as session:
                await end(session, work.id, outcome, worker.clock(), run_id=work.run_id)
        case Later(at=at):
            await _give_back(work, next_run_at=at, attempts=0)
        case _Pause(seconds=seconds):
            await _give_back(work, lease_until=leasing.lease_end(seconds))
    return True


class _Pause(NamedTuple):
    """A trouble that passes: the next start waits so long."""

    seconds: float


async def _outcome(work: Work) -> Ending | Later | _Pause | None:
    """Call the handler; what it raises is turned into an outcome. None: the operation is no longer this run's."""
    about = {"operation_id": str(work.id), "attempt": work.attempt}
    try:
        result = await KINDS[work.kind](work)
        return result if isinstance(result, Later) else Ending("succeeded", as_json(result))
    except Cancelled:
        return Ending("cancelled")
    except Superseded:
        log.warning("operation went on elsewhere", extra=about)
        return None
    except Problem as problem:
        return Ending("failed", error=_told(problem))
    except Exception as error:
        if _passes(error):
            log.warning("operation interrupted", exc_info=error, extra=about)
            return _Pause(2.0 * work.attempt)
        log.exception("operation failed", extra=about)
        return Ending("failed", error=_BUG)


def _told(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "detail": problem.detail or CODES[problem.code].en,
        "errors": [error.model_dump() for error in problem.errors],
    }


def _passes(error: Exception) -> bool:
    """Whether trying again may help: the database does not answer, or too much happens at once on the same rows."""
    match error:
        case OperationalError() | InterfaceError() | PoolTimeout() | ConnectionError() | TimeoutError():
            return True
        case DBAPIError():
            state: str = getattr(error.orig, "sqlstate", None) or ""
            return state in ("40001", "40P01", "55P03") or state[:2] in ("08", "53", "57")
    return False


async def _give_back(work: Work, **values: Any) -> None:
    async with work.worker.database.transaction() as session:
        await leasing.release(session, work.id, work.run_id, work.worker.clock(), **values)


@asynccontextmanager
async def _lease_kept(work: Work) -> AsyncIterator[None]:
    """Renew the lease of a run beside it."""
    ended = asyncio.Event()
    renewing = asyncio.create_task(_renew(work, ended))
    try:
        yield
    finally:
        ended.set()
        await renewing


async def _renew(work: Work, ended: asyncio.Event) -> None:
    """Give signs of life until the run has ended, or belongs to another, which its next write will tell."""
    database = work.worker.database
    mine = not isinstance(database.reader, AsyncConnection)  # one connection (a test) has no room beside the work
    while mine and not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _RENEWED_EVERY)
            return
        try:
            async with database.read() as connection:
                mine = await leasing.renew(connection, work.id, work.run_id)
        except (DBAPIError, OSError, PoolTimeout) as error:
            log.warning("lease not renewed", exc_info=error, extra={"operation_id": str(work.id)})
