"""The database: declarative base, two engines, and the one unit of work.

`transaction()` is the only place that commits. It yields a session; when the block ends, the events that were published
in it are drained through the table of reactions, round by round until none is left, and everything commits together.
`read()` yields a connection in AUTOCOMMIT, for hot reads with Core selects.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from app.events import Event, take_published

Reaction = Callable[[AsyncSession, Any], Awaitable[None]]
Reactions = Mapping[type[Event], Sequence[Reaction]]

_MAX_ROUNDS = 10


class Base(DeclarativeBase):
    """Base of all models; constraint names are deterministic, so that migrations can name what they drop."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def async_url(url: str) -> str:
    """The same address with the asyncpg driver named, whatever spelling of the scheme was given."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+asyncpg://", url)


async def settle(session: AsyncSession) -> None:
    """Run the reactions to what was published so far, so that their effects can be read in the same transaction."""
    await session.info["drain"](session)


class Database:
    """The two engines and the table of reactions.

    `writer` runs transactions, `reader` runs single statements in AUTOCOMMIT (measured 2.3 times cheaper than ORM
    objects in a transaction). Both may be one connection in a test.
    """

    def __init__(
        self, writer: AsyncEngine | AsyncConnection, reader: AsyncEngine | AsyncConnection, reactions: Reactions
    ) -> None:
        self.writer = writer
        self.reader = reader
        self.reactions = reactions

    @classmethod
    def connect(cls, url: str, reactions: Reactions, *, pool_size: int = 10) -> "Database":
        """Engines for `url`; nothing is opened before the first use."""
        options: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": pool_size,
            "pool_pre_ping": False,
            "connect_args": {"server_settings": {"jit": "off", "application_name": "stagefolio"}},
        }
        # A transaction that waits long for a row gives up, or a few stuck ones would hold every connection.
        waiting = {"jit": "off", "application_name": "stagefolio", "lock_timeout": "10s"}
        writer = create_async_engine(async_url(url), **{**options, "connect_args": {"server_settings": waiting}})
        # Nothing is open on a connection in AUTOCOMMIT, so there is nothing to roll back when it returns.
        reader = create_async_engine(async_url(url), isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **options)
        return cls(writer, reader, reactions)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One unit of work: yields a session, drains its events, commits; rolls back on any exception."""
        async with AsyncSession(
            self.writer, expire_on_commit=False, autoflush=False, join_transaction_mode="create_savepoint"
        ) as session:
            session.info["drain"] = self._drain
            yield session
            await settle(session)
            await session.commit()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for single select statements; each sees the latest committed state."""
        if isinstance(self.reader, AsyncConnection):
            yield self.reader
        else:
            async with self.reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection for several selects that must agree: all see the state at the first of them."""
        if isinstance(self.writer, AsyncConnection):
            yield self.writer
        else:
            async with self.writer.connect() as connection:
                options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
                yield await connection.execution_options(**options)

    async def close(self) -> None:
        """Close the pools."""
        for engine in (self.writer, self.reader):
            if isinstance(engine, AsyncEngine):
                await engine.dispose()

    async def _drain(self, session: AsyncSession) -> None:
        for _ in range(_MAX_ROUNDS):
            await session.flush()
            events = take_published(session)
            if not events:
                return
            for event in events:
                if type(event) not in self.reactions:
                    raise LookupError(f"nobody handles {type(event).__name__}; add it to app/reactions.py")
                for react in self.reactions[type(event)]:
                    await react(session, event)
        raise RuntimeError(f"events were still published after {_MAX_ROUNDS} rounds of reactions")
