"""A process that starts others: evaluators that work at once, or one that is killed again and again.

`python -m tests.lifecycle.crowd FILE`: FILE holds a pickled `Task`. Processes are forked, so that the application is
imported once.
"""

import asyncio
import os
import pickle
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.config import Settings
from app.db import Database
from app.lifecycle.sweeps import evaluate_due
from app.reactions import reactions
from tests.lifecycle.playing import Player
from tests.lifecycle.population import Happening

PIECE = 3
"""Customers that one transaction of a sweep evaluates here, so that there is much to share, or to kill."""


@dataclass(frozen=True)
class Task:
    """`processes` at once, each doing all of the work; or one, killed `kills` times before it may finish."""

    url: str
    zone: str
    ids: list[UUID]
    happenings: list[Happening]
    sweep_at: datetime | None = None
    processes: int = 1
    kills: int = 0
    seed: int = 0


async def sweep(database: Database, now: datetime, zone: ZoneInfo, began: Callable[[], Any]) -> int:
    """Evaluate, piece by piece, until nobody is due whom nobody else is evaluating; returns how many that were."""
    total, count = 0, PIECE
    while count:
        began()
        async with database.transaction() as session:
            count, _ = await evaluate_due(session, now, zone, limit=PIECE)
        total += count
    return total


async def work(task: Task, began: Callable[[], Any]) -> None:
    """All of the work from the beginning; `began` is called before each transaction."""
    zone = ZoneInfo(task.zone)
    database = Database.connect(task.url, reactions(Settings(zone=task.zone)), pool_size=2)
    player = Player(database, zone, task.ids)
    for happening in task.happenings:
        began()
        await player.play([happening])
    if task.sweep_at is not None:
        await sweep(database, task.sweep_at, zone, began)
    await database.close()


def fork(job: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """The id of a process that does the job and ends, with status 1 if it failed."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        asyncio.run(job())
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of this process may go on in the other's code
        traceback.print_exc()
    os._exit(status)


def at_once(task: Task) -> list[int]:
    """The statuses of all processes."""
    processes = [fork(lambda: work(task, int)) for _ in range(task.processes)]
    return [os.waitpid(pid, 0)[1] for pid in processes]


def killed(task: Task) -> int:
    """Do the work in a process that is killed and started again; returns how often it was killed in the midst of it."""
    rng = random.Random(task.seed)
    in_the_midst = 0
    for attempt in range(task.kills):
        read, write = os.pipe()
        pid = fork(lambda end=write: work(task, lambda: os.write(end, b".")))
        os.close(write)
        steps = max(len(task.happenings), 12) * (attempt + 1) // (task.kills + 1)
        for _ in range(rng.randrange(steps + 2) if task.sweep_at else steps):
            os.read(read, 1)
        time.sleep(rng.random() * 0.03)
        os.kill(pid, signal.SIGKILL)
        in_the_midst += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        os.close(read)
    assert os.waitpid(fork(lambda: work(task, int)), 0)[1] == 0
    return in_the_midst


if __name__ == "__main__":
    given: Task = pickle.loads(Path(sys.argv[1]).read_bytes())
    print(killed(given) if given.kills else at_once(given))
