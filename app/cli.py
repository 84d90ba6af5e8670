"""The command `stagefolio`."""

import asyncio
import contextlib
import functools
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.clock import utc_now
from app.config import Settings

if TYPE_CHECKING:
    from app.db import Database

_DATA = click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder of the embedded server.")


@click.group(context_settings={"max_content_width": 100})
@click.version_option(package_name="stagefolio")
def main() -> None:
    """Customer lifecycle, actions and recommended portfolios for financial institutions."""


def _data_dir(settings: Settings, data: Path | None) -> Path:
    from app.embedded_postgres import default_data_dir

    return data or settings.data_dir or default_data_dir()


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _secret(settings: Settings, folder: Path | None) -> str:
    """The secret of the settings, or, with the embedded server, one that is made once and kept beside the data."""
    if settings.secret_key is not None:
        return settings.secret_key
    if folder is None:
        raise click.ClickException("Set STAGEFOLIO_SECRET_KEY (32 characters or more) together with DATABASE_URL.")
    path = folder / "secret.key"
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(48))
    return path.read_text().strip()


@contextmanager
def _embedded(settings: Settings, data: Path | None) -> Iterator[tuple[Settings, str, Callable[[], bool]]]:
    """Settings with a database address, the secret, and what looks after the server.

    The embedded server runs meanwhile if no address is set.
    """
    if settings.database_url is not None:
        yield settings, _secret(settings, None), lambda: False
        return
    from app.embedded_postgres import EmbeddedPostgresError, start

    folder = _data_dir(settings, data)
    try:
        server = start(folder)
    except EmbeddedPostgresError as error:
        raise click.ClickException(str(error)) from error
    with server:
        # A development set-up: receivers on this machine, over plain HTTP, are what people try first.
        found = settings.model_copy(
            update={
                "database_url": server.url(),
                "webhook_allow_http": True,
                "webhook_allow": (*settings.webhook_allow, "127.0.0.0/8", "::1/128"),
            }
        )
        yield found, _secret(settings, folder), server.ensure_running


def _url(settings: Settings, data: Path | None) -> str:
    """Address of a database that is running already, set or embedded."""
    if settings.database_url is not None:
        return settings.database_url
    from app.embedded_postgres import EmbeddedPostgresError, running_url

    folder = _data_dir(settings, data)
    try:
        url = running_url(folder)
    except EmbeddedPostgresError as error:
        raise click.ClickException(str(error)) from error
    if url is None:
        raise click.ClickException(f"No embedded server is running in {folder}; start one with `stagefolio run`.")
    return url


def _address(settings: Settings, data: Path | None) -> tuple[str, str]:
    """Address and secret of a database that is running already."""
    folder = None if settings.database_url is not None else _data_dir(settings, data)
    return _url(settings, data), _secret(settings, folder)


def _configure(settings: Settings) -> None:
    from app.logs import configure

    configure(settings.log_level)


@contextlib.asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator["Database"]:
    from app.db import Database
    from app.reactions import reactions

    assert settings.database_url is not None
    database = Database.connect(settings.database_url, reactions(settings))
    try:
        yield database
    finally:
        await database.close()


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
    with _embedded(settings, data) as (found, secret, revive):
        # The embedded server is for trying things out: its first key is kept beside the data and shown at every start.
        kept = None if settings.database_url else _data_dir(settings, data) / "api.key"
        key = kept.read_text().strip() if kept and kept.exists() else None
        keep = functools.partial(_write_private, kept) if kept else str
        asyncio.run(run_all(Run(found, secret, host, port, demo, key, keep, revive)))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def serve(host: str, port: int) -> None:
    """Start one API process against DATABASE_URL."""
    from app.running import run_api

    settings = Settings()
    _configure(settings)
    url, secret = _address(settings, None)
    asyncio.run(run_api(settings.model_copy(update={"database_url": url}), secret, host=host, port=port))


@main.command()
def work() -> None:
    """Start one worker process against DATABASE_URL."""
    from app.running import run_worker

    settings = Settings()
    _configure(settings)
    asyncio.run(run_worker(settings.model_copy(update={"database_url": _url(settings, None)})))


@main.command()
@_DATA
def migrate(data: Path | None) -> None:
    """Bring the database to the newest schema."""
    from app.migrate import upgrade

    settings = Settings()
    if settings.database_url is not None:
        upgrade(settings.database_url)
    else:
        with _embedded(settings, data) as (found, *_):
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
    click.echo(_url(Settings(), data))


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
    from app.errors import Problem

    settings = Settings()
    url, secret = _address(settings, data)

    async def create() -> str:
        async with _database(settings.model_copy(update={"database_url": url})) as database:
            async with database.transaction() as session:
                _, key = await create_key(session, name, scopes, utc_now(), secret=secret, expires_at=None)
            return key

    try:
        click.echo(asyncio.run(create()))
    except Problem as problem:
        details = "; ".join(error.detail for error in problem.errors) or str(problem)
        raise click.ClickException(details) from problem


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
    with _embedded(settings, data) as (found, *_):
        asyncio.run(replay(found, berka))


if __name__ == "__main__":
    main()
