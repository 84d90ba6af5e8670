"""A population whose lives were lived once, for tests that look at it or go on in a clone of it."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from app.config import Settings
from app.db import Database
from app.reactions import reactions
from tests.conftest import _TEMPLATE, _create_database
from tests.lifecycle.playing import Player
from tests.lifecycle.population import lives

PRAGUE = ZoneInfo("Europe/Prague")
"""The population's institution: its days begin at another moment than those of UTC, and two a year are not 24 hours."""


@dataclass(frozen=True)
class Played:
    """A database in which lives were lived up to `now`. Nobody is connected to it. `version`: of the policy in force."""

    name: str
    zone: ZoneInfo
    ids: list[UUID]
    now: datetime
    version: int
    statuses: list[str]


def _connect(url: str, pool_size: int = 5) -> Database:
    return Database.connect(url, reactions(Settings(zone=PRAGUE.key)), pool_size=pool_size)


async def _drop(name: str) -> None:
    connection = await asyncpg.connect(os.environ["STAGEFOLIO_TEST_SERVER"])
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.close()


@pytest.fixture(scope="session")
async def played(worker_name: str, database_url: str) -> AsyncIterator[Played]:
    """Three dozen customers after 260 days: both shipped policies, a restless one, merges, pins; sweeps that are punctual
    at first, and come next to never later."""
    name = f"stagefolio_{worker_name}_played"
    url = await _create_database(os.environ["STAGEFOLIO_TEST_SERVER"], name, _TEMPLATE)
    database = _connect(url)
    player = Player(database, PRAGUE)
    await player.create(36)
    happenings = lives(7, customers=36, days=130, zone=PRAGUE, punctual=0.8)
    happenings += lives(8, customers=36, days=130, zone=PRAGUE, punctual=0.05, start=happenings[-1].at)
    await player.play(happenings)
    await database.close()
    yield Played(name, PRAGUE, player.ids, happenings[-1].at, player.version, player.statuses)
    await _drop(name)


Clone = Callable[[], Awaitable[tuple[Database, str]]]


@pytest.fixture
async def clone(played: Played, worker_name: str) -> AsyncIterator[Clone]:
    """Makes clones of the population, each with its address; they are dropped after the test."""
    made: list[tuple[Database, str]] = []

    async def make() -> tuple[Database, str]:
        name = f"stagefolio_{worker_name}_lives_{len(made)}"
        url = await _create_database(os.environ["STAGEFOLIO_TEST_SERVER"], name, played.name)
        database = _connect(url, pool_size=8)
        made.append((database, name))
        return database, url

    yield make
    for database, name in made:
        await database.close()
        await _drop(name)


@pytest.fixture
async def lived(played: Played) -> AsyncIterator[Database]:
    """The population itself, to look at."""
    name = os.environ["STAGEFOLIO_TEST_SERVER"].rsplit("/", 1)[0] + "/" + played.name
    database = _connect(name)
    yield database
    await database.close()
