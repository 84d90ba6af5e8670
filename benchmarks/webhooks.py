"""Delivery of webhooks against a bare client.

The work: 3,000 events, each signed and posted to one local receiver in a process of its own, through `drain_endpoint`:
read from the log, sent, every attempt recorded, the cursor moved, with a database that flushes to disk.
The floor: a loop of the same client that posts the very same bodies to the same receiver, as many at once, and records
nothing. The promise: at most 3 times the floor.
"""

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from sqlalchemy import insert, select, text

from app.clock import new_id, utc_now
from app.config import Settings
from app.customers.models import Customer
from app.db import Database
from app.embedded_postgres import start
from app.events import EndpointDisabled, StageChange, StagesChanged
from app.jobs import Worker
from app.migrate import upgrade_async
from app.webhooks.delivery import IN_FLIGHT, drain_endpoint
from app.webhooks.event_log import append, sequence_events
from app.webhooks.models import DeliveryAttempt
from app.webhooks.sending import address_policy, http_session
from app.webhooks.service import create_endpoint
from benchmarks import Result

EVENTS = 3_000
ROUNDS = 3
PROMISE = 3.0


def run() -> Result:
    """Measure in alternating rounds; the ratio is that of the medians."""
    folder = Path(tempfile.mkdtemp(prefix="stagefolio-bench-"))
    folder.chmod(0o755)
    try:
        with start(folder) as server, _receiver() as url:
            ours, floor = asyncio.run(_measure(server.url(), url))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ratio = ours / floor
    return {
        "name": "webhooks",
        "ratio": round(ratio, 2),
        "promise": f"at most {PROMISE:g} times a bare client",
        "holds": ratio <= PROMISE,
        "detail": f"{EVENTS / ours:,.0f} deliveries/s, recorded; bare client {EVENTS / floor:,.0f}/s",
    }


async def _measure(database_url: str, receiver_url: str) -> tuple[float, float]:
    """Seconds for EVENTS deliveries: ours and the floor's."""
    await upgrade_async(database_url)
    settings = Settings(webhook_allow=("127.0.0.0/8",), webhook_allow_http=True)
    database = Database.connect(database_url, {EndpointDisabled: (append,)})
    ours, floor = [], []
    async with http_session(settings) as http:
        worker = Worker(database, settings, utc_now, http)
        customers = await _customers(database)
        async with database.transaction() as session:
            endpoint = await create_endpoint(
                session,
                url=receiver_url,
                event_types=["*"],
                description=None,
                policy=address_policy(settings),
                now=utc_now(),
            )
        for _ in range(ROUNDS + 1):
            bodies = await _happen(worker, customers)
            started = time.perf_counter()
            await drain_endpoint(worker, str(endpoint.id))
            ours.append(time.perf_counter() - started)
            floor.append(await _bare(receiver_url, bodies))
        async with database.read() as connection:
            outcomes = (await connection.execute(select(DeliveryAttempt.outcome))).scalars().all()
    await database.close()
    assert outcomes == ["delivered"] * (EVENTS * (ROUNDS + 1))
    return statistics.median(ours[1:]), statistics.median(floor[1:])  # the first round warms both


async def _customers(database: Database) -> list[Any]:
    now = utc_now()
    fixed = {"kind": "individual", "full_name": "A", "segment": "mass", "tier": "C", "language": "en"}
    times = {"time_zone": "UTC", "stage_entered_at": now, "created_at": now, "updated_at": now}
    rows = [{"id": new_id(), **fixed, **times} for _ in range(EVENTS)]
    async with database.transaction() as session:
        await session.execute(insert(Customer), rows)
    return [row["id"] for row in rows]


async def _happen(worker: Worker, customers: list[Any]) -> list[bytes]:
    """Log one stage change of every customer; returns the bodies that will be sent."""
    now = utc_now()
    changes = tuple(
        StageChange(
            i,
            new_id(),
            new_id(),
            1,
            "prospect",
            "trial",
            "automatic",
            "first",
            1,
            None,
            "rules",
            {},
            now,
            new_id(),
            now,
        )
        for i in customers
    )
    async with worker.database.transaction() as session:
        await append(session, StagesChanged(now, changes))
    while await sequence_events(worker):
        pass
    async with worker.database.transaction() as session:
        await session.execute(text("DELETE FROM pgqueuer"))  # the drain is called by hand
        newest = text("SELECT body FROM events ORDER BY position DESC LIMIT :n")
        return [body.encode() for body in await session.scalars(newest, {"n": EVENTS})]


async def _bare(url: str, bodies: list[bytes]) -> float:
    """Seconds for a plain loop with the same number in flight."""
    waiting = iter(bodies)

    async def lane(http: aiohttp.ClientSession) -> None:
        for body in waiting:
            async with http.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                await response.read()

    async with aiohttp.ClientSession() as http:
        started = time.perf_counter()
        await asyncio.gather(*(lane(http) for _ in range(IN_FLIGHT)))
        return time.perf_counter() - started


@contextmanager
def _receiver() -> Iterator[str]:
    """A receiver in another process; yields its address."""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "benchmarks.webhooks", "receive"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.kill()


async def _receive() -> None:
    """Answer 200 to everything, on a free port, which is printed."""

    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response()

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["receive"]:
        asyncio.run(_receive())
    else:
        print(run())
