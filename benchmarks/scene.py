"""A migrated database of its own for a benchmark: a fresh embedded server with durable settings, gone afterwards."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from app.clock import utc_now
from app.config import Settings
from app.db import Database
from app.embedded_postgres import EmbeddedPostgres, start
from app.migrate import upgrade_async
from app.reactions import reactions
from app.setup import ensure_defaults


@contextmanager
def _server() -> Iterator[EmbeddedPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="stagefolio-bench-"))
    folder.chmod(0o755)
    try:
        with start(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def fresh_database(settings: Settings) -> AsyncIterator[tuple[str, Database]]:
    """Address and `Database` of a new, migrated database with the shipped defaults."""
    with _server() as server:
        await upgrade_async(server.url())
        database = Database.connect(server.url(), reactions(settings))
        await ensure_defaults(database, settings, utc_now())
        yield server.url(), database
        await database.close()
