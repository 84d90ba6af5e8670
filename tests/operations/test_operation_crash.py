"""A worker process that is killed in the middle of a piece of work."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.operations.arrange import bricks, let_the_lease_end, make_wall, row_of, start, until, wait_for_status

BRICKS = 30
_ROOT = Path(__file__).resolve().parents[2]
_WORK = "from tests.operations.arrange import register_bricks; register_bricks(); from app.cli import main; main()"


@contextmanager
def worker_process(database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """`stagefolio work` that knows the kind `bricks`, ended with the context whatever happens."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "STAGEFOLIO_SECRET_KEY": "s" * 32,
        "STAGEFOLIO_LOG_LEVEL": "ERROR",
    }
    with subprocess.Popen([sys.executable, "-c", _WORK, "work"], env=environment, cwd=_ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_a_killed_worker_is_replaced_and_no_piece_is_done_twice(live, live_url):
    await make_wall(live)
    operation_id = await start(live, "bricks", total=BRICKS, params={"seconds": 0.05})

    async def some():
        return (await row_of(live, operation_id)).done >= 5

    with worker_process(live_url) as killed:
        await until(some, seconds=60)
        killed.send_signal(signal.SIGKILL)
        await asyncio.to_thread(killed.wait)
    left = await row_of(live, operation_id)
    assert (left.status, 5 <= left.done < BRICKS) == ("running", True)
    assert left.run_id is not None
    with worker_process(live_url) as second:
        await asyncio.sleep(3)
        assert (await row_of(live, operation_id)).done == left.done, "the lease has not ended yet"
        await let_the_lease_end(live)
        done = await wait_for_status(live, operation_id, "succeeded", "failed")
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait, 30) == 0
    assert (done.status, done.done, done.result) == ("succeeded", BRICKS, {"bricks": BRICKS})
    laid = await bricks(live)
    assert [brick for brick, _ in laid] == list(range(BRICKS))
    assert [process for _, process in laid] == [killed.pid] * left.done + [second.pid] * (BRICKS - left.done)
