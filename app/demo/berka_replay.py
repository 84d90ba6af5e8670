"""The real bank of the Berka data set, month by month in its own time, with a summary of what became of it.

The bank gets a database of its own beside the one of the service, so that its customers of 1993 never meet others. Its
events go to a receiver on this machine that verifies every signature.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import make_url, text

from app.clock import utc_now
from app.config import Settings
from app.db import Database
from app.demo.berka import ZONE, Berka, read_berka
from app.demo.berka_summary import show_summary
from app.demo.berka_tables import BerkaError
from app.demo.delivering import delivering
from app.demo.loading import Fed, OnStep, feed
from app.migrate import upgrade_async
from app.reactions import reactions
from app.setup import ensure_defaults

DATABASE = "stagefolio_berka"


async def replay(settings: Settings, folder: Path, console: Console | None = None) -> None:
    """Replay the bank in `folder` day by day and print tables of what happened; repeating adds nothing.

    What was interrupted goes on where it stopped. `settings.database_url` names the server.

    Raises:
        click.ClickException: a file of the data set is missing or wrong, or the database cannot be created.
    """
    console = console or Console()
    started = time.monotonic()
    try:
        berka = await asyncio.to_thread(read_berka, folder)
    except BerkaError as error:
        raise click.ClickException(str(error)) from error
    own = settings.model_copy(
        update={
            "database_url": await own_database(settings.database_url or ""),
            "lifecycle_policy": "retail_bank",
            "zone": str(ZONE),
            "currency": "CZK",
        }
    )
    assert own.database_url is not None
    await upgrade_async(own.database_url)
    database = Database.connect(own.database_url, reactions(own))
    try:
        await ensure_defaults(database, own, utc_now())
        until = last_day(berka) + timedelta(days=1)
        planned = await _actions(database)
        async with delivering(database, own) as receiver:
            with _progress(berka, until, console) as on_step:
                added = await feed(database, own, berka.clients, berka.signals, until=until, on_step=on_step)
        planned = await _actions(database) - planned
        await show_summary(console, database, berka, until, added, planned, receiver, time.monotonic() - started)
    finally:
        await database.close()


def last_day(berka: Berka) -> date:
    """The day of the last signal, in the bank's zone."""
    return max(signal.occurred_at for signal in berka.signals).astimezone(ZONE).date()


async def own_database(url: str) -> str:
    """The address of the bank's own database on the server of `url`; it is created if it is not there."""
    server = make_url(url)
    try:
        connection = await asyncpg.connect(url)
        try:
            if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE) is None:
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close()
    except (asyncpg.PostgresError, OSError) as error:
        raise click.ClickException(f"The database {DATABASE} cannot be created: {error}") from error
    return server.set(database=DATABASE).render_as_string(hide_password=False)


async def _actions(database: Database) -> int:
    async with database.read() as connection:
        count: int = (await connection.execute(text("SELECT count(*) FROM actions"))).scalar_one()
    return count


@contextmanager
def _progress(berka: Berka, until: date, console: Console) -> Iterator[OnStep]:
    """A bar through event time; after each month a line that says what was added by then."""
    begin = min(customer.created_on for customer in berka.clients)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[month]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("Replaying the bank", total=(until - begin).days, month="")

        def on_step(day: date, added: Fed) -> None:
            bars.update(bar, completed=(day - begin).days, month=f"{day:%b %Y}")
            if day.day == 1 or day == until:
                bars.console.print(
                    f"{day - timedelta(days=1):%Y-%m}  {added.customers:>6,} customers  {added.signals:>7,} signals"
                    f"  {added.transitions:>6,} transitions  {added.actions:>7,} actions"
                )

        yield on_step
