"""The door to the job engine: jobs commit with the change they belong to, and the engine's log does not grow for ever."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.events import Event, publish
from app.jobs import LOG_KEPT, Worker, enqueue, prune_job_log
from tests.conftest import NOW


async def waiting(database) -> list[str]:
    async with database.read() as connection:
        rows = await connection.execute(text("SELECT convert_from(payload, 'UTF8') FROM pgqueuer ORDER BY id"))
        return list(rows.scalars())


async def test_a_job_commits_or_vanishes_with_its_transaction(live):
    async with live.transaction() as session:
        await enqueue(session, "drain_endpoint", ["a", "b"])
    with pytest.raises(LookupError):
        async with live.transaction() as session:
            await enqueue(session, "drain_endpoint", ["c"])
            publish(session, Event(NOW))  # nobody handles a bare event: the transaction fails
    assert await waiting(live) == ["a", "b"]


async def test_what_waits_already_is_not_doubled(live):
    for _ in range(3):
        async with live.transaction() as session:
            await enqueue(session, "drain_endpoint", ["a", "b"])
    assert await waiting(live) == ["a", "b"]


async def test_the_engines_log_is_pruned(db, settings, clock):
    async with db.transaction() as session:
        for age in (0, 6, 8, 400):
            await session.execute(
                text(
                    "INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint)"
                    " VALUES (:created, :age, 'successful', 0, 'x')"
                ),
                {"created": NOW - timedelta(days=age), "age": age},
            )
    assert timedelta(days=7) == LOG_KEPT
    assert await prune_job_log(Worker(db, settings, clock, http=None)) is False
    async with db.read() as connection:
        left = await connection.execute(text("SELECT job_id FROM pgqueuer_log ORDER BY job_id"))
        assert left.scalars().all() == [0, 6]
