"""The command `stagefolio`."""

import asyncio
import functools
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from app.clock import utc_now
from app.config import Settings
from app.reaching import address, data_dir, embedded, opened, running, url_of, write_private

_DATA = click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder of the embedded server.")


@click.group(context_settings={"max_content_width": 100})
@click.version_option(package_name="stagefolio")
def main() -> None:
    """Customer lifecycle, actions and recommended portfolios for financial institutions."""


@contextmanager
def _told() -> Iterator[None]:
    """Say what is wrong with what was given, by the name of the field, instead of showing where it was noticed."""
    from sqlalchemy.exc import DBAPIError

    from app.errors import Problem

    try:
        yield
    except DBAPIError as error:
        raise click.ClickException(f"The database cannot be used: {error.orig}") from error
    except Problem as problem:
        lines = [f"{error.pointer}: {error.detail}" for error in problem.errors] or [str(problem)]
        raise click.ClickException("\n".join(lines)) from problem


def _configure(settings: Settings) -> None:
    from app.logs import configure

    configure(settings.log_level)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@_DATA
@click.option("--demo", is_flag=True, help="Load a simulated institution.")
def run(host: str, port: int, data: Path | None, demo: bool) -> None:
    """Start database, API and worker together, and stop them together on Ctrl-C or SIGTERM."""
    from app.running import Run, run_all

    settings = Settings()
    _configure(settings)
    with embedded(settings, data) as (found, secret, revive):
        # The embedded server is for trying things out: its first key is kept beside the data and shown at every start.
        kept = None if settings.database_url else data_dir(settings, data) / "api.key"
        key = kept.read_text().strip() if kept and kept.exists() else None
        keep = functools.partial(write_private, kept) if kept else str
        asyncio.run(run_all(Run(found, secret, host, port, demo, key, keep, revive)))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def serve(host: str, port: int) -> None:
    """Start one API process against DATABASE_URL."""
    from app.running import run_api

    settings = Settings()
    _configure(settings)
    url, secret = address(settings, None)
    asyncio.run(run_api(settings.model_copy(update={"database_url": url}), secret, host=host, port=port))


@main.command()
def work() -> None:
    """Start one worker process against DATABASE_URL."""
    from app.running import run_worker

    settings = Settings()
    _configure(settings)
    asyncio.run(run_worker(settings.model_copy(update={"database_url": url_of(settings, None)})))


@main.command()
@_DATA
def migrate(data: Path | None) -> None:
    """Bring the database to the newest schema."""
    from app.migrate import upgrade

    settings = Settings()
    if settings.database_url is not None:
        upgrade(settings.database_url)
    else:
        with embedded(settings, data) as (found, *_):
            assert found.database_url is not None
            upgrade(found.database_url)
    click.echo("The schema is up to date.")


@main.group()
def db() -> None:
    """About the database."""


@db.command("url")
@_DATA
def db_url(data: Path | None) -> None:
    """Print the address of the running embedded server, or DATABASE_URL."""
    click.echo(url_of(Settings(), data))


@main.group()
def keys() -> None:
    """API keys."""


@keys.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="What the key may do; repeat for several.")
@_DATA
def keys_create(name: str, scopes: tuple[str, ...], data: Path | None) -> None:
    """Create an API key and print it, alone, on standard output."""
    from app.auth.service import create_key

    settings = Settings()
    url, secret = address(settings, data)

    async def create() -> str:
        async with opened(settings.model_copy(update={"database_url": url})) as database:
            async with database.transaction() as session:
                _, key = await create_key(session, name, scopes, utc_now(), secret=secret, expires_at=None)
            return key

    with _told():
        click.echo(asyncio.run(create()))


@main.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    import json

    from app.main import create_app

    document = create_app(Settings(), secret_key="-" * 32).openapi()
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


@main.command()
@click.option(
    "--berka",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder of the data set.",
)
@_DATA
def demo(berka: Path, data: Path | None) -> None:
    """Replay the real Czech bank of the PKDD'99 challenge, month by month, and print what happened."""
    from app.demo.berka_replay import replay

    settings = Settings(lifecycle_policy="retail_bank", zone="Europe/Prague", currency="CZK")
    logging.getLogger().setLevel(logging.WARNING)
    with embedded(settings, data) as (found, *_):
        asyncio.run(replay(found, berka))


@main.command()
@click.option("--policy", "draft", type=click.File("rb"), help="JSON document of the policy to try.")
@click.option("--policy-version", type=click.IntRange(1), help="A stored version to try instead.")
@click.option(
    "--from", "begin", help="Begin of the period, such as 2026-01-31 or 2026-01-31T09:00:00Z.  [default: the first day]"
)
@click.option("--to", "end", help="End of the period.  [default: now]")
@click.option(
    "--knowledge", type=click.Choice(["as_received", "as_occurred"]), default="as_received", show_default=True
)
@click.option("--stage", multiple=True, help="Only customers who are in this stage today; repeat for several.")
@click.option("--segment", multiple=True, help="Only customers of this segment; repeat for several.")
@click.option("--one-in", type=click.IntRange(1, 10_000), default=1, show_default=True, help="A sample.")
@click.option(
    "--list",
    "listed",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Customers who differ to print one by one.",
)
@click.option("--database", help="Another database of that server, such as stagefolio_berka.")
@_DATA
def simulate(
    draft: IO[bytes] | None,
    policy_version: int | None,
    listed: int,
    database: str | None,
    data: Path | None,
    **asked: Any,
) -> None:
    """Replay history under another policy, or under those that applied, and print what would be different."""
    from rich.console import Console

    from app.simulations import command

    async def run(found: Settings) -> None:
        async with opened(found) as there:
            await command.simulate(there, found, wanted, utc_now(), Console(), listed=listed)

    with _told():
        wanted = command.asked_for(draft.read() if draft else None, policy_version, asked, Settings().tz)
        with running(Settings(), data, database) as found:
            asyncio.run(run(found))


@main.command()
@click.argument("returns", type=click.File("rb"))
@click.option("--age", type=click.FloatRange(0, 130), help="On the first day.  [default: unknown, the strictest cap]")
@click.option(
    "--class", "chosen", multiple=True, type=click.Choice(["C1", "C2", "C3", "C4", "C5"]), help="[default: all]"
)
@click.option("--segment", type=click.Choice(["mass", "affluent", "high_net_worth"]), default="mass", show_default=True)
@click.option(
    "--stage",
    type=click.Choice(["prospect", "trial", "growth", "mature", "decline"]),
    default="mature",
    show_default=True,
)
@click.option("--policy", type=click.File("rb"), help="JSON document.  [default: the one that is shipped]")
@click.option("--assumptions", type=click.File("rb"), help="JSON document.  [default: the one that is shipped]")
@click.option(
    "--estimates",
    type=click.Choice(["equilibrium", "past_means", "published"]),
    default="equilibrium",
    show_default=True,
    help="Where expected returns come from; published ones know what came later.",
)
@click.option("--column", "columns", multiple=True, metavar="NAME=CLASS", help="Asset class of a column; repeat.")
@click.option("--periods-per-year", type=click.IntRange(1, 366), help="[default: found from the dates]")
@click.option("--history", type=click.IntRange(12), help="Periods before the first portfolio.  [default: five years]")
@click.option("--window", type=click.IntRange(12), help="Periods that estimates look back.  [default: all]")
@click.option("--rebalance-every", type=click.IntRange(1), help="Periods between portfolios.  [default: a year]")
@click.option("--transaction-cost", type=click.FloatRange(0, 0.1), default=0.001, show_default=True)
@click.option("--equity", "equity_class", default="domestic_equity", show_default=True, help="Of the benchmarks.")
@click.option("--bonds", "bond_class", default="bonds", show_default=True, help="Of the benchmarks.")
@click.option("--series", type=click.File("w", "utf-8", lazy=True), help="CSV to write what became of 1 to.")
def backtest(
    returns: IO[bytes],
    chosen: tuple[str, ...],
    policy: IO[bytes] | None,
    assumptions: IO[bytes] | None,
    series: IO[str] | None,
    **options: Any,
) -> None:
    """Print what the policy would have done over return series (CSV), with estimates from the past alone."""
    from rich.console import Console

    from app.allocation.backtesting import command

    person = {"kind": "individual", **{name: options.pop(name) for name in ("segment", "stage", "age")}}
    documents = {
        "policy": policy.read() if policy else None,
        "assumptions": assumptions.read() if assumptions else None,
    }
    with _told():
        command.backtest(returns.read(), documents, chosen, person, options, Console(), series)


if __name__ == "__main__":
    main()
