"""The background process: runs the jobs of the queue, and every sweep once a second or when woken.

Any number of workers may run on any number of hosts; they meet in PostgreSQL only. A worker that is killed loses
nothing: sweeps claim rows in a transaction, and its jobs are picked up again by another worker.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.models import Job

from app.allocation import reviewing as _allocation
from app.allocation.everybody import operation as _everybody
from app.allocation.reviews import due as _reminding
from app.clock import Clock, utc_now
from app.config import Settings
from app.db import Database
from app.jobs import CHANNEL, HANDLERS, SWEEPS, Handler, Sweep, Worker
from app.lifecycle import batches as _batches
from app.lifecycle import sweeps as _lifecycle
from app.lifecycle.versions import rollout as _rollout
from app.operations import pruning as _pruning
from app.operations import running as _operations
from app.playbooks import performing as _playbooks
from app.reactions import reactions
from app.simulations import operation as _simulations
from app.webhooks import delivery as _delivery
from app.webhooks.sending import http_session

log = logging.getLogger("app.worker")

EVERY = 1.0
"""Seconds between two calls of a sweep: how late a lost wake-up can make anything."""

DEAD_AFTER = timedelta(seconds=10)
"""A worker that gave no sign for so long is taken for dead and its jobs are picked up by another."""

# Imported so that their jobs, sweeps and kinds of long-running work are known.
_REGISTERED = (
    _lifecycle,
    _batches,
    _rollout,
    _allocation,
    _everybody,
    _reminding,
    _playbooks,
    _delivery,
    _operations,
    _pruning,
    _simulations,
)


async def work(settings: Settings, stop: asyncio.Event, clock: Clock = utc_now) -> None:
    """Run until `stop` is set; what is under way is finished first."""
    assert settings.database_url is not None
    database = Database.connect(settings.database_url, reactions(settings), pool_size=settings.pool_size)
    http = http_session(settings)
    pool = await _queue_pool(settings.database_url)
    try:
        await _run(Worker(database, settings, clock, http), pool, stop)
    finally:
        await http.close()
        await database.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), 5)


async def _queue_pool(url: str) -> "asyncpg.Pool[Any]":
    """Connections of the job engine; one of them is held by each listener."""
    return await asyncpg.create_pool(
        url,
        min_size=2,
        max_size=6,
        # A generic plan for the dequeue query is chosen once while the table is empty, and is bad for ever after.
        server_settings={"plan_cache_mode": "force_custom_plan", "jit": "off", "application_name": "stagefolio-worker"},
    )


async def _run(worker: Worker, pool: "asyncpg.Pool[Any]", stop: asyncio.Event) -> None:
    wakeups = {name: asyncio.Event() for name in SWEEPS}
    concurrency = worker.settings.worker_concurrency
    queue = _queue(pool, worker, concurrency)
    jobs = queue.run(
        dequeue_timeout=timedelta(seconds=EVERY),
        batch_size=concurrency // 2,
        max_concurrent_tasks=concurrency,
        heartbeat_timeout=DEAD_AFTER,
    )
    finishing = [
        asyncio.create_task(jobs),
        *(asyncio.create_task(_sweep(name, SWEEPS[name], worker, wakeups[name], stop)) for name in SWEEPS),
    ]
    listening = asyncio.create_task(_listen(pool, wakeups))
    log.info("worker ready")
    try:
        await _until(stop, [*finishing, listening])
    finally:
        queue.shutdown.set()
        for wakeup in wakeups.values():
            wakeup.set()
        _, late = await asyncio.wait(finishing, timeout=20)
        for task in (*late, listening):
            task.cancel()
        await asyncio.gather(*finishing, listening, return_exceptions=True)


async def _until(stop: asyncio.Event, tasks: list[asyncio.Task[Any]]) -> None:
    """Wait for `stop`, or for a task that failed, whose error ends the worker."""
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for task in done - {stopped}:
        task.result()


def _queue(pool: "asyncpg.Pool[Any]", worker: Worker, concurrency: int) -> PgQueuer:
    queue = PgQueuer(AsyncpgPoolDriver(pool))
    for name, handler in HANDLERS.items():
        queue.entrypoint(name, concurrency_limit=concurrency)(_job(name, handler, worker))
    return queue


def _job(name: str, handler: Handler, worker: Worker) -> Callable[[Job], Awaitable[None]]:
    async def run(job: Job) -> None:
        try:
            await handler(worker, (job.payload or b"").decode())
        except Exception:
            log.exception("job failed", extra={"job": name})
            raise

    return run


async def _listen(pool: "asyncpg.Pool[Any]", wakeups: dict[str, asyncio.Event]) -> None:
    """Turn notifications into wake-ups. A broken connection is opened again; meanwhile the sweeps run every second."""

    def wake(_connection: Any, _pid: int, _channel: str, name: str) -> None:
        if name in wakeups:
            wakeups[name].set()

    while True:
        try:
            async with pool.acquire() as connection:
                await connection.add_listener(CHANNEL, wake)
                try:
                    while not connection.is_closed():  # noqa: ASYNC110 - asyncpg tells of a closed connection only when asked
                        await asyncio.sleep(1)
                finally:
                    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                        await connection.remove_listener(CHANNEL, wake)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            log.warning("listening failed")
        await asyncio.sleep(1)


async def _sweep(name: str, function: Sweep, worker: Worker, wakeup: asyncio.Event, stop: asyncio.Event) -> None:
    """Call a sweep for ever. An error is logged and the sweep goes on: the database may be restarting."""
    while not stop.is_set():
        more = False
        wakeup.clear()
        try:
            more = await function(worker)
        except Exception:
            log.exception("sweep failed", extra={"job": name})
        if not more and not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(wakeup.wait(), EVERY)
