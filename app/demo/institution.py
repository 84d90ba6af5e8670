"""The simulated institution, loaded into a running service: the first customers at once, the rest beside it.

When it was first loaded is noted in the customers themselves (`simulated_until`), so that a restart goes on with the same
institution and never begins another.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import text

from app.clock import utc_now
from app.config import Settings
from app.db import Database
from app.demo.loading import OnStep, Stopped, as_one, feed
from app.demo.profiles import complete_what_signals_tell
from app.demo.simulate import CUSTOMERS, Institution, simulate
from app.reactions import reactions

log = logging.getLogger("app.demo")

FIRST = 200
"""Customers who are there before the service serves."""
CHUNK = 450
"""Customers loaded together beside the running service: large ones take less time in all, small ones lose less when
the service stops."""
STEP_DAYS = 3
"""As fine as what is planned needs: messages to new trials expire after three days."""
UNTIL = "simulated_until"

Rest = Callable[[asyncio.Event], Awaitable[None]]


async def load_first(
    database: Database, settings: Settings, stop: asyncio.Event | None = None, *, customers: int = CUSTOMERS
) -> Rest | None:
    """Load the first customers with their whole lives; returns what loads the rest, or None if all are there.

    Nothing else may sweep this database meanwhile: see `as_one`. What `stop` interrupts goes on at the next call.
    """
    there = await _there(database)
    until = await _noted_until(database) or utc_now().astimezone(settings.tz).date()
    if len(there) <= min(FIRST, customers):  # more are there only after the first were complete
        log.info("loading the first customers of the demonstration")
        first = await asyncio.to_thread(simulate, customers=min(FIRST, customers), end=until)
        with _progress("Loading the first customers", first, until) as on_step:
            try:
                await _live(database, settings, first, until, on_step, stop.is_set if stop is not None else _never)
            except Stopped:
                return None
    if max(len(there), FIRST) >= customers:
        return None

    async def rest(stop: asyncio.Event) -> None:
        await _in_a_thread(settings, until, customers, stop)

    return rest


def _never() -> bool:
    return False


async def _live(
    database: Database,
    settings: Settings,
    institution: Institution,
    until: date,
    on_step: OnStep,
    stopped: Callable[[], bool],
) -> None:
    await feed(
        database,
        settings,
        institution.customers,
        institution.signals,
        until=until,
        step_days=STEP_DAYS,
        attributes={UNTIL: until.isoformat()},
        beside=complete_what_signals_tell,
        on_step=on_step,
        stopped=stopped,
    )


async def _in_a_thread(settings: Settings, until: date, customers: int, stop: asyncio.Event) -> None:
    """Load the rest in an event loop of its own, so that its long computations do not hold up requests."""
    cancelled = threading.Event()

    def stopped() -> bool:
        return stop.is_set() or cancelled.is_set()

    try:
        await asyncio.to_thread(asyncio.run, _load_rest(settings, until, customers, stopped))
    finally:
        cancelled.set()


async def _load_rest(settings: Settings, until: date, customers: int, stopped: Callable[[], bool]) -> None:
    """Chunk by chunk, each in one transaction: what is not complete when the service stops is loaded next time."""
    assert settings.database_url is not None
    database = Database.connect(settings.database_url, reactions(settings), pool_size=2)
    try:
        there = await _there(database)
        whole = simulate(customers=customers, end=until)
        chunks = _chunks(whole, there)
        with _progress("Loading the rest in the background", whole, until, len(chunks)) as on_step:
            for chunk in chunks:
                async with as_one(database) as inside:
                    await _live(inside, settings, chunk, until, on_step, stopped)
        log.info("demonstration complete", extra={"customers": customers})
    except Stopped:
        log.info("demonstration interrupted; the next start goes on with it")
    finally:
        await database.close()


def _chunks(whole: Institution, there: set[str]) -> list[Institution]:
    """The customers who are not there yet, with their signals, in the order of their numbers."""
    missing = [customer for customer in whole.customers if customer.external_id not in there]
    chunks = []
    for at in range(0, len(missing), CHUNK):
        customers = missing[at : at + CHUNK]
        names = {customer.external_id for customer in customers}
        chunks.append(Institution(customers, [s for s in whole.signals if s.external_id in names], []))
    return chunks


async def _noted_until(database: Database) -> date | None:
    """The end of the institution that is being loaded, or was; None before the first time."""
    async with database.read() as connection:
        noted = await connection.execute(
            text(f"SELECT attributes ->> '{UNTIL}' FROM customers WHERE attributes ? '{UNTIL}' LIMIT 1")  # noqa: S608 - a constant
        )
        found = noted.scalar()
    return date.fromisoformat(found) if found is not None else None


async def _there(database: Database) -> set[str]:
    """External ids of the simulated customers that are loaded."""
    async with database.read() as connection:
        found = await connection.execute(
            text("SELECT external_id FROM customer_external_ids WHERE external_id LIKE 'sim-%'")
        )
        return set(found.scalars())


@contextmanager
def _progress(title: str, institution: Institution, until: date, parts: int = 1) -> Iterator[OnStep]:
    """A bar on standard error that follows event time through all parts; silent where there is no terminal."""
    begin = min(customer.created_on for customer in institution.customers)
    days = (until - begin).days
    console = Console(stderr=True, file=sys.stderr)
    columns: Sequence[TextColumn | BarColumn | TimeRemainingColumn] = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[day]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(title, total=days * parts, day="")
        done = 0

        def on_step(day: date, _: object) -> None:
            nonlocal done
            passed = (day - begin).days
            bars.update(bar, completed=done * days + passed, day=f"{day:%b %Y}")
            done += int(day >= until)

        yield on_step
