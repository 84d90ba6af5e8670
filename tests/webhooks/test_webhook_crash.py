"""A worker process that is killed while it delivers."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from app.jobs import Worker
from tests.webhooks.arrange import happen, make_endpoint, reload
from tests.webhooks.receiver import Receiver

EVENTS = 1_000


@contextmanager
def worker_process(database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """`stagefolio work`, ended with the context whatever happens."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "STAGEFOLIO_SECRET_KEY": "s" * 32,
        "STAGEFOLIO_WEBHOOK_ALLOW": "127.0.0.0/8",
        "STAGEFOLIO_WEBHOOK_ALLOW_HTTP": "true",
        "STAGEFOLIO_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-c", "from app.cli import main; main()", "work"]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


async def let_heartbeats_age(worker: Worker) -> None:
    """As if the time had passed after which a silent worker's jobs are given to others."""
    async with worker.database.transaction() as session:
        await session.execute(text("UPDATE pgqueuer SET heartbeat = heartbeat - interval '10 minutes'"))


async def test_a_worker_killed_while_delivering_loses_nothing(
    worker: Worker, live_url: str, receiver: Receiver
) -> None:
    endpoint = await make_endpoint(worker, receiver.url)
    receiver.delay = 0.005
    await happen(worker, EVENTS)
    with worker_process(live_url) as killed:
        await receiver.wait_for(EVENTS // 10, seconds=30)
        killed.send_signal(signal.SIGKILL)
        await asyncio.to_thread(killed.wait)
    arrived_before = set(receiver.message_ids)
    assert len(arrived_before) < EVENTS
    await let_heartbeats_age(worker)
    with worker_process(live_url) as second:
        await receiver.wait_for(EVENTS, seconds=60)
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait, 30) == 0
    bodies = defaultdict(set)
    for request in receiver.requests:
        bodies[request.message_id].add(request.body)
    assert len(bodies) == EVENTS
    assert all(len(of_one) == 1 and request_id in next(iter(of_one)).decode() for request_id, of_one in bodies.items())
    assert (await reload(worker, endpoint)).cursor == EVENTS
    assert len(receiver.requests) > EVENTS  # what was under way came twice, under the same ids
