"""How a command reaches a database: the one that is set, one that runs already, or the embedded server."""

import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.config import Settings

if TYPE_CHECKING:
    from app.db import Database


def data_dir(settings: Settings, data: Path | None) -> Path:
    from app.embedded_postgres import default_data_dir

    return data or settings.data_dir or default_data_dir()


def write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def secret_of(settings: Settings, folder: Path | None) -> str:
    """The secret of the settings, or, with the embedded server, one that is made once and kept beside the data."""
    if settings.secret_key is not None:
        return settings.secret_key
    if folder is None:
        raise click.ClickException("Set STAGEFOLIO_SECRET_KEY (32 characters or more) together with DATABASE_URL.")
    path = folder / "secret.key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(48))
    return path.read_text().strip()


@contextmanager
def embedded(settings: Settings, data: Path | None) -> Iterator[tuple[Settings, str, Callable[[], bool]]]:
    """Settings with a database address, the secret, and what looks after the server.

    The embedded server runs meanwhile if no address is set.
    """
    if settings.database_url is not None:
        yield settings, secret_of(settings, None), lambda: False
        return
    from app.embedded_postgres import EmbeddedPostgresError, start

    folder = data_dir(settings, data)
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
        yield found, secret_of(settings, folder), server.ensure_running


def url_of(settings: Settings, data: Path | None) -> str:
    """Address of a database that is running already, set or embedded."""
    if settings.database_url is not None:
        return settings.database_url
    from app.embedded_postgres import EmbeddedPostgresError, running_url

    folder = data_dir(settings, data)
    try:
        url = running_url(folder)
    except EmbeddedPostgresError as error:
        raise click.ClickException(str(error)) from error
    if url is None:
        raise click.ClickException(f"No embedded server is running in {folder}; start one with `stagefolio run`.")
    return url


def address(settings: Settings, data: Path | None) -> tuple[str, str]:
    """Address and secret of a database that is running already."""
    folder = None if settings.database_url is not None else data_dir(settings, data)
    return url_of(settings, data), secret_of(settings, folder)


@contextmanager
def running(settings: Settings, data: Path | None, name: str | None = None) -> Iterator[Settings]:
    """Settings with the address of a database: one that runs already, or the embedded server's, started meanwhile.

    `name`: another database of the same server.
    """
    from sqlalchemy import make_url

    from app.embedded_postgres import EmbeddedPostgresError, running_url

    logging.getLogger().setLevel(logging.WARNING)
    with contextlib.ExitStack() as stack:
        url = settings.database_url
        with contextlib.suppress(EmbeddedPostgresError):
            url = url or running_url(data_dir(settings, data))
        if url is None:
            folder = data_dir(settings, data)
            if not (folder / "secret.key").exists():
                raise click.ClickException(f"There is no service in {folder}. Say where its database is: --data DIR.")
            settings, *_ = stack.enter_context(embedded(settings, data))
            url = settings.database_url
        if name is not None:
            url = make_url(url or "").set(database=name).render_as_string(hide_password=False)
        yield settings.model_copy(update={"database_url": url})


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator["Database"]:
    from app.db import Database
    from app.reactions import reactions

    assert settings.database_url is not None
    database = Database.connect(settings.database_url, reactions(settings))
    try:
        yield database
    finally:
        await database.close()
