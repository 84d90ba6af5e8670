"""Alembic environment: runs over asyncpg, under a lock, with short lock waits."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from app import models
from app.db import async_url

_MIGRATION_LOCK = 7_310_001


def _include(_object: object, name: str | None, kind: str, reflected: bool, _compare_to: object) -> bool:
    """Leave out what is not ours: the job engine's tables, and partitions, which their parents stand for."""
    if kind == "table" and reflected and name is not None:
        return not (name.startswith("pgqueuer") or name in models.PARTITIONS)
    return True


def _run(connection: Connection) -> None:
    # Several processes may start at once: the second waits here and then finds nothing to do.
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    context.configure(
        connection=connection,
        target_metadata=models.metadata,
        include_object=_include,
        compare_type=True,
        compare_server_default=False,
    )
    context.run_migrations()


async def _main(url: str) -> None:
    engine = create_async_engine(async_url(url), poolclass=pool.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


connection = context.config.attributes.get("connection")
if connection is not None:
    _run(connection)
else:
    url = context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise SystemExit("Set DATABASE_URL, or run `stagefolio migrate`.")
    asyncio.run(_main(url))
