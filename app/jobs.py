"""A thin door to the job engine, PGQueuer.

`enqueue` writes a job in the transaction of the session it is given: it commits or vanishes with the business change.
Few jobs, each of which does much: millions of due rows stay in their own tables and are found by sweeps.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from pgqueuer.core.tm import TaskManager
from pgqueuer.ports.driver import Driver
from pgqueuer.queries import Queries
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.config import Settings
from app.db import Database

if TYPE_CHECKING:
    import aiohttp

CHANNEL = "stagefolio_wake"


@dataclass(frozen=True, slots=True)
class Worker:
    """What a job or sweep may use: the database, the settings, the clock, and a connection pool for outgoing HTTP."""

    database: Database
    settings: Settings
    clock: Clock
    http: "aiohttp.ClientSession"


Handler = Callable[[Worker, str], Awaitable[None]]
"""A job's work: it gets the payload as text and opens its own transactions. It may run twice: be idempotent."""

Sweep = Callable[[Worker], Awaitable[bool]]
"""Finds and does what is due; True means that more may be waiting, and it is called again at once."""

HANDLERS: dict[str, Handler] = {}
SWEEPS: dict[str, Sweep] = {}


def register(name: str) -> Callable[[Handler], Handler]:
    """Decorator: this function runs the jobs called `name`."""

    def add(handler: Handler) -> Handler:
        HANDLERS[name] = handler
        return handler

    return add


def sweep(name: str) -> Callable[[Sweep], Sweep]:
    """Decorator: every worker calls this function once a second, and at once when `wake(session, name)` committed."""

    def add(function: Sweep) -> Sweep:
        SWEEPS[name] = function
        return function

    return add


async def wake(session: AsyncSession, name: str) -> None:
    """Call the sweep `name` in the workers as soon as this transaction has committed."""
    await session.execute(select(func.pg_notify(CHANNEL, name)))


class SessionDriver(Driver):
    """PGQueuer's driver protocol over an SQLAlchemy session.

    Statements go through the session's own connection with `exec_driver_sql`. Its raw `driver_connection` must not be
    used: SQLAlchemy opens its transaction lazily, and a job sent that way before the first statement commits alone.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Rows of `query` with $1-style parameters."""
        connection = await self._session.connection()
        result = await connection.exec_driver_sql(query, args)
        return [dict(row) for row in result.mappings()]

    async def execute(self, query: str, *args: object) -> str:
        """Run `query`; the status text that PGQueuer expects is not known here and is empty."""
        connection = await self._session.connection()
        await connection.exec_driver_sql(query, args)
        return ""

    async def add_listener(self, channel: str, callback: Callable[[str | bytes | bytearray], None]) -> Any:
        """Listening needs a connection of its own, which a session is not."""
        raise TypeError(f"a session cannot listen on {channel} for {callback}")

    async def notify(self, channel: str, payload: str) -> None:
        """Send a notification when the session's transaction commits."""
        await self.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    @property
    def shutdown(self) -> asyncio.Event:
        """Never set: a session ends with its transaction."""
        return asyncio.Event()

    @property
    def tm(self) -> TaskManager:
        """No background tasks belong to a session."""
        return TaskManager()


async def enqueue(session: AsyncSession, name: str, payloads: list[str], *, unique: bool = True) -> None:
    """Write one job per payload. With `unique`, what already waits or runs for a payload is not doubled."""
    if not payloads:
        return
    await Queries(SessionDriver(session)).enqueue(
        [name] * len(payloads),
        [payload.encode() for payload in payloads],
        [0] * len(payloads),
        dedupe_key=[f"{name}:{payload}" if unique else None for payload in payloads],
        on_conflict="skip",
    )


LOG_KEPT = timedelta(days=7)
"""How long the job engine's own log of ended jobs is kept."""
_PRUNED_AT_ONCE = 1000


@sweep("prune_job_log")
async def prune_job_log(worker: Worker) -> bool:
    """Delete what is older than LOG_KEPT from the job engine's log, which it never does itself."""
    async with worker.database.transaction() as session:
        gone = await session.execute(
            text(
                "DELETE FROM pgqueuer_log WHERE id IN ("
                "SELECT id FROM pgqueuer_log WHERE created < :before ORDER BY created LIMIT :most) RETURNING id"
            ),
            {"before": worker.clock() - LOG_KEPT, "most": _PRUNED_AT_ONCE},
        )
        return len(gone.all()) == _PRUNED_AT_ONCE
