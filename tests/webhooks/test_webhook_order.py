"""Many writers, several sequencers, one reader: nothing skipped, nothing twice, each customer in order."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.jobs import Worker
from app.webhooks.event_log import append, read_feed, sequence_events
from tests.conftest import NOW
from tests.webhooks.arrange import make_customers, updated


async def write(worker: Worker, customers: Sequence[UUID], place: int) -> None:
    """Twelve changes of two customers; every other transaction lingers before it commits."""
    for i in range(12):
        async with worker.database.transaction() as session:
            ours = sorted({customers[place], customers[(place + i) % len(customers)]})
            lock = text("SELECT 1 FROM customers WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")
            await session.execute(lock, {"ids": ours})
            await append(session, updated(ours, NOW + timedelta(seconds=i)))
            await asyncio.sleep(0.005 * (i % 2))


async def sequence(worker: Worker, done: asyncio.Event) -> None:
    while not done.is_set():
        await asyncio.gather(sequence_events(worker), sequence_events(worker))


async def read(worker: Worker, sequencing: asyncio.Task[None]) -> list[Any]:
    """Poll the feed from the start until the writers and sequencers are done and nothing is left."""
    found: list[Any] = []
    position = 0
    while True:
        last = sequencing.done()  # a sequencer that runs keeps others out, so ours comes after it
        if last:
            await sequence_events(worker)
        async with worker.database.read() as connection:
            page = await read_feed(connection, position, 7, None, None)
        found += [json.loads(body) for body in page.bodies]
        position = page.reached
        if last and not page.more:
            return found


async def test_eight_writers_at_once_and_a_reader_misses_nothing(worker: Worker) -> None:
    async with worker.database.transaction() as session:
        customers = await make_customers(session, 8, NOW)
    done = asyncio.Event()
    sequencing = asyncio.create_task(sequence(worker, done))
    reading = asyncio.create_task(read(worker, sequencing))
    await asyncio.gather(*(write(worker, customers, place) for place in range(8)))
    done.set()
    await sequencing
    found = await reading

    assert set(Counter(body["id"] for body in found).values()) == {1}
    numbers = defaultdict(list)
    for body in found:
        numbers[body["data"]["customer_id"]].append(body["data"]["sequence"])
    for of_one in numbers.values():
        assert of_one == list(range(1, len(of_one) + 1))
    async with worker.database.read() as connection:
        positions = (await connection.execute(text("SELECT position FROM events ORDER BY position"))).scalars().all()
    assert positions == list(range(1, len(found) + 1))
