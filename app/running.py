"""Starts and stops the processes' parts: API, worker, or both with the demonstration."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import click
import uvicorn
from sqlalchemy import select

from app.auth.models import ApiKey
from app.auth.service import create_key
from app.clock import utc_now
from app.config import Settings
from app.db import Database
from app.main import create_app
from app.migrate import upgrade_async
from app.reactions import reactions
from app.setup import ensure_defaults
from app.worker import work

log = logging.getLogger("app.running")

Rest = Callable[[asyncio.Event], Awaitable[None]]
"""What is still to be loaded of the demonstration; ends early when the event is set."""


def _stop_event() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _serve(settings: Settings, secret: str, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve HTTP until `stop`; requests under way are finished, at most ten seconds long."""
    config = uvicorn.Config(
        create_app(settings, secret_key=secret),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
        server_header=False,
        date_header=False,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    # Modules and routes live as long as the process: a full collection need not walk through them again and again.
    gc.collect()
    gc.freeze()
    serving = asyncio.create_task(server.serve())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopped.cancel()
    try:
        await serving
    except SystemExit:
        raise click.ClickException(
            f"Port {port} on {host} cannot be used; is something else listening there?"
        ) from None
    finally:
        stop.set()


async def run_api(settings: Settings, secret: str, *, host: str, port: int) -> None:
    """One API process."""
    await _serve(settings, secret, host, port, _stop_event())


async def run_worker(settings: Settings) -> None:
    """One worker process."""
    await work(settings, _stop_event())


@dataclass(frozen=True, slots=True)
class Run:
    """What `stagefolio run` was asked for.

    `key` is the API key to show and `keep` is given a new one if there is none at all; `revive` starts the database
    server again if it was killed; `demo` loads the simulated institution.
    """

    settings: Settings
    secret: str
    host: str
    port: int
    demo: bool
    key: str | None
    keep: Callable[[str], object]
    revive: Callable[[], bool]


async def run_all(run: Run) -> None:
    """Migrate, prepare, serve and work in one process."""
    settings = run.settings
    assert settings.database_url is not None
    stop = _stop_event()
    await upgrade_async(settings.database_url)
    database = Database.connect(settings.database_url, reactions(settings))
    try:
        await ensure_defaults(database, settings, utc_now())
        key = run.key or await _first_key(database, run.secret, run.keep)
        rest = await _first_of_demo(database, settings, stop) if run.demo else None
        _say(run.host, run.port, key)
        await _together(
            [
                _serve(settings, run.secret, run.host, run.port, stop),
                work(settings, stop),
                _watch(run.revive, stop),
                *([_in_background(rest, stop)] if rest is not None else []),
            ],
            stop,
        )
    finally:
        await database.close()


async def _first_of_demo(database: Database, settings: Settings, stop: asyncio.Event) -> Rest | None:
    from app.demo.institution import load_first

    return await load_first(database, settings, stop)


async def _together(parts: Sequence[Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
    """Run all parts until the last has ended. If one fails, the others are asked to stop, and its error is raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    if any(task.exception() for task in done):
        stop.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _watch(revive: Callable[[], bool], stop: asyncio.Event) -> None:
    """Look after the database server once a second; requests answer 503 until it is back."""
    while not stop.is_set():
        if await asyncio.to_thread(revive):
            log.error("the database server was gone and has been started again")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1)


async def _in_background(rest: Rest, stop: asyncio.Event) -> None:
    """The rest of the demonstration; its failure must not end the service."""
    try:
        await rest(stop)
    except Exception:
        log.exception("demonstration failed")


async def _first_key(database: Database, secret: str, keep: Callable[[str], object]) -> str | None:
    """A key for whoever starts the service for the first time; None if there are keys already."""
    async with database.transaction() as session:
        if (await session.execute(select(ApiKey.id).limit(1))).first() is not None:
            return None
        _, key = await create_key(session, "first", ["all"], utc_now(), secret=secret, expires_at=None)
    keep(key)
    return key


def _say(host: str, port: int, key: str | None) -> None:
    address = f"http://{host}:{port}"
    click.echo(f"\nStagefolio serves at   {address}")
    click.echo(f"Interactive docs       {address}/docs")
    click.echo(f"OpenAPI document       {address}/openapi.json")
    click.echo(
        f"API key                {key or 'as you created it; a new one: stagefolio keys create NAME --scope all'}\n"
    )
