"""Kinds of work for the tests, also for a worker process of its own, and looks at what they left."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.config import Settings
from app.db import Database
from app.jobs import Worker
from app.operations.running import KINDS, Item, Work
from app.operations.service import begin
from app.worker import work
from tests.conftest import NOW


async def lay_bricks(work: Work) -> dict[str, Any]:
    """`total` bricks, each laid in a transaction that lasts `seconds`. Nothing forbids the same brick twice."""
    for brick in range(work.state.get("laid", 0), work.total):
        async with work.worker.database.transaction() as session:
            await session.execute(
                text("INSERT INTO bricks VALUES (:operation, :brick, :process)"),
                {"operation": work.id, "brick": brick, "process": os.getpid()},
            )
            await asyncio.sleep(work.params.get("seconds", 0))
            await work.add_items(session, [Item(brick, None, "laid", None, {"process": os.getpid()})])
            await work.save(session, done=brick + 1, state={"laid": brick + 1})
    return {"bricks": work.total}


def register_bricks() -> None:
    """For a worker process that is started for a test."""
    KINDS["bricks"] = lay_bricks


async def make_wall(database: Database) -> None:
    """The table that bricks are laid in."""
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE bricks (operation uuid, brick int, process int)"))


async def bricks(database: Database) -> list[Any]:
    """What was laid, in order: (brick, process)."""
    async with database.read() as connection:
        return (await connection.execute(text("SELECT brick, process FROM bricks ORDER BY brick, process"))).all()


async def start(database: Database, kind: str, **options: Any) -> UUID:
    """A new operation, committed with its job."""
    params = options.pop("params", {})
    async with database.transaction() as session:
        return await begin(session, kind, params, "key:test", NOW, **options)


async def row_of(database: Database, operation_id: UUID) -> Any:
    """The row of an operation as it is committed."""
    async with database.read() as connection:
        found = await connection.execute(text("SELECT * FROM operations WHERE id = :id"), {"id": operation_id})
        return found.one()


async def let_the_lease_end(database: Database) -> None:
    """As if so much time had passed since the last sign of life that a worker is taken for dead."""
    async with database.transaction() as session:
        await session.execute(text("UPDATE operations SET lease_until = lease_until - interval '10 minutes'"))
        await session.execute(text("UPDATE pgqueuer SET heartbeat = heartbeat - interval '10 minutes'"))


async def jobs_waiting(database: Database) -> list[str]:
    """Operations that have a job."""
    async with database.read() as connection:
        rows = await connection.execute(
            text("SELECT convert_from(payload, 'UTF8') FROM pgqueuer WHERE entrypoint = 'operation' ORDER BY id")
        )
        return list(rows.scalars())


async def forget_jobs(database: Database) -> None:
    """As if every job had been taken and dropped."""
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM pgqueuer"))


async def until(check: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until the coroutine function `check` answers something true."""
    for _ in range(int(seconds / 0.02)):
        if await check():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


async def wait_for_status(database: Database, operation_id: UUID, *statuses: str) -> Any:
    """The row as soon as its status is one of these."""
    rows = []

    async def reached() -> bool:
        rows.append(await row_of(database, operation_id))
        return rows[-1].status in statuses

    await until(reached)
    return rows[-1]


@asynccontextmanager
async def workers(url: str, settings: Settings, clock: Any, count: int = 1) -> AsyncIterator[None]:
    """Real workers in this process, each with connections of its own."""
    stop = asyncio.Event()
    mine = settings.model_copy(update={"database_url": url})
    tasks = [asyncio.create_task(work(mine, stop, clock)) for _ in range(count)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


class Gate:
    """A handler that waits in the middle of its piece until the test opens the gate. Counts its calls."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.reached = asyncio.Event()
        self.calls = 0
        self.inside = 0
        self.most_inside = 0

    async def __call__(self, work: Work) -> dict[str, Any]:
        self.calls += 1
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            async with work.worker.database.transaction() as session:
                await work.add_items(session, [Item(self.calls, None, "passed", None, {})])
                self.reached.set()
                await self.open.wait()
                await work.save(session, done=1, total=1)
        finally:
            self.inside -= 1
        return {"call": self.calls}


def hand(database: Database, settings: Settings, clock: Any) -> Worker:
    """A worker that the test turns by hand."""
    return Worker(database, settings, clock, http=None)
