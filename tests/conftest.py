"""Real PostgreSQL for every test.

Once a run: a server (the embedded one, or the one that TEST_DATABASE_URL names) and a migrated template database. Each
worker clones the template. `db` binds both engines to one connection that rolls back; `live` is a fresh clone that
really commits, for what runs beside a worker or another process.
"""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import hypothesis
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from app import migrate
from app.auth.service import create_key
from app.config import Settings
from app.db import Database, async_url
from app.main import create_app
from app.reactions import reactions
from app.setup import ensure_defaults
from tests.left_out import (  # noqa: F401 - hooks of pytest
    pytest_collection_modifyitems,
    pytest_sessionfinish,
    pytest_terminal_summary,
)

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)  # a Monday
SECRET = "test-secret-of-more-than-32-characters"
_TEMPLATE = "stagefolio_template"


# These machines are shared: how long one example takes says nothing.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", tempfile.gettempdir() + "/hypothesis")
    server_url = os.environ.get("TEST_DATABASE_URL")
    if server_url is None:
        from app.embedded_postgres import start

        folder = Path(tempfile.mkdtemp(prefix="stagefolio-test-"))
        folder.chmod(0o755)
        config.stash[_SERVER] = (start(folder, fsync=False), folder)
        server_url = config.stash[_SERVER][0].url("postgres")
    os.environ["STAGEFOLIO_TEST_SERVER"] = server_url
    asyncio.run(_create_database(server_url, _TEMPLATE, None))
    migrate.upgrade(_named(server_url, _TEMPLATE))
    asyncio.run(_fill_template(_named(server_url, _TEMPLATE)))


async def _fill_template(url: str) -> None:
    database = Database.connect(url, {})
    await ensure_defaults(database, Settings(), NOW)
    await database.close()


_SERVER = pytest.StashKey[Any]()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVER in config.stash:
        server, folder = config.stash[_SERVER]
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _named(url: str, database: str) -> str:
    return url.rsplit("/", 1)[0] + "/" + database


async def _create_database(server_url: str, name: str, template: str | None) -> str:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    finally:
        await connection.close()
    return _named(server_url, name)


@pytest.fixture(scope="session")
def worker_name(request: pytest.FixtureRequest) -> str:
    return getattr(request.config, "workerinput", {}).get("workerid", "main")


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that leave the machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached out to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
async def database_url(worker_name: str) -> AsyncIterator[str]:
    """A clone of the template for this worker."""
    yield await _create_database(os.environ["STAGEFOLIO_TEST_SERVER"], f"stagefolio_{worker_name}", _TEMPLATE)


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[Any]:
    engine = create_async_engine(async_url(database_url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def db(engine: Any, settings: Settings) -> AsyncIterator[Database]:
    """A database whose every commit is undone after the test."""
    async with engine.connect() as connection:
        outer = await connection.begin()
        yield Database(connection, connection, reactions(settings))
        await outer.rollback()


@pytest.fixture
async def session(db: Database) -> AsyncIterator[AsyncSession]:
    """A session for arranging and looking; use `db.transaction()` where events must be drained."""
    async with AsyncSession(db.writer, expire_on_commit=False, join_transaction_mode="create_savepoint") as session:
        yield session


_clones = iter(range(10**9))


@pytest.fixture
async def live_url(worker_name: str) -> AsyncIterator[str]:
    """The address of a fresh clone in which commits are real; dropped afterwards."""
    name = f"stagefolio_{worker_name}_{next(_clones)}"
    server = os.environ["STAGEFOLIO_TEST_SERVER"]
    yield await _create_database(server, name, _TEMPLATE)
    connection = await asyncpg.connect(server)
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.close()


@pytest.fixture
async def live(live_url: str, settings: Settings) -> AsyncIterator[Database]:
    """A database that really commits."""
    database = Database.connect(live_url, reactions(settings), pool_size=5)
    yield database
    await database.close()


@pytest.fixture
def settings() -> Settings:
    return Settings(webhook_allow=("127.0.0.0/8",), webhook_allow_http=True)


class FrozenClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def app_factory(settings: Settings, clock: FrozenClock) -> Any:
    return lambda database: create_app(settings, secret_key=SECRET, database=database, clock=clock)


async def make_key(database: Database, *scopes: str) -> str:
    async with database.transaction() as session:
        _, key = await create_key(session, "test", scopes or ("all",), NOW, secret=SECRET, expires_at=None)
    return key


@pytest.fixture
async def client(db: Database, app_factory: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an all-powerful key, on the database that rolls back."""
    key = await make_key(db)
    transport = httpx.ASGITransport(app=app_factory(db))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client


@pytest.fixture
async def live_client(live: Database, app_factory: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an all-powerful key, on a database that commits."""
    key = await make_key(live)
    transport = httpx.ASGITransport(app=app_factory(live))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client


@pytest.fixture
def statements(db: Database) -> Iterator[SimpleNamespace]:
    """Counts the SQL statements that reach PostgreSQL while `counting` is on."""
    from sqlalchemy import event

    seen = SimpleNamespace(texts=[])

    def note(_conn: Any, _cursor: Any, statement: str, _params: Any, _context: Any, _many: bool) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.texts.append(statement)

    target = db.writer.sync_connection
    event.listen(target, "before_cursor_execute", note)
    yield seen
    event.remove(target, "before_cursor_execute", note)
