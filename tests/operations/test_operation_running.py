"""One run at a time, wherever it runs; waiting for a moment; stopping and going on."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.operations import running
from app.operations.leasing import LEASE
from app.operations.running import AT_ONCE, Later, run_now, run_operation, start_operations
from app.operations.service import begin
from tests.conftest import NOW
from tests.operations.arrange import (
    Gate,
    bricks,
    forget_jobs,
    jobs_waiting,
    let_the_lease_end,
    make_wall,
    row_of,
    start,
    until,
    wait_for_status,
    workers,
)


async def test_an_operation_commits_or_vanishes_with_its_transaction(live):
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with live.transaction() as session:
            await begin(session, "import", {}, "key:test", NOW)
            raise RuntimeError("changed my mind")
    assert await jobs_waiting(live) == []
    async with live.read() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM operations")) == 0


async def test_of_many_that_want_it_one_runs_it_and_the_others_wait_for_the_end(live, worker, gate):
    operation_id = await start(live, "gate")
    asking = [asyncio.create_task(run_now(worker, operation_id)) for _ in range(4)]
    await asyncio.wait_for(gate.reached.wait(), 20)
    await asyncio.sleep(0.3)
    assert (gate.calls, gate.most_inside) == (1, 1)
    gate.open.set()
    await asyncio.wait_for(asyncio.gather(*asking), 20)
    assert gate.calls == 1
    assert (await row_of(live, operation_id)).status == "succeeded"


async def test_several_workers_run_each_operation_once(live, live_url, settings, clock, wall):
    await make_wall(live)
    made = [await start(live, "bricks", total=5, params={"seconds": 0.02}) for _ in range(6)]
    async with workers(live_url, settings, clock, count=3):
        for operation_id in made:
            assert (await wait_for_status(live, operation_id, "succeeded", "failed")).status == "succeeded"
    assert [brick for brick, _ in await bricks(live)] == [n for n in range(5) for _ in made]


async def test_a_run_that_was_taken_for_dead_commits_nothing_more(live, worker, kind):
    stalled, other = Gate(), Gate()
    other.open.set()
    kind("gate", stalled)
    operation_id = await start(live, "gate")
    first = asyncio.create_task(run_now(worker, operation_id))
    await asyncio.wait_for(stalled.reached.wait(), 20)
    await let_the_lease_end(live)
    other.calls = 10
    kind("gate", other)
    await run_now(worker, operation_id)
    before = await row_of(live, operation_id)
    assert (before.status, before.result) == ("succeeded", {"call": 11})
    stalled.open.set()
    await first
    assert await row_of(live, operation_id) == before
    async with live.read() as connection:
        kept = await connection.scalars(text("SELECT ordinal FROM operation_items"))
        assert kept.all() == [11], "the stalled run's piece was undone"


async def test_a_run_that_was_taken_for_dead_does_not_end_what_another_does(live, worker, gate, kind):
    stalled, failing = asyncio.Event(), asyncio.Event()

    async def fails_late(work):
        stalled.set()
        await failing.wait()
        raise ValueError("late")

    kind("gate", fails_late)
    operation_id = await start(live, "gate")
    first = asyncio.create_task(run_operation(worker, str(operation_id)))
    await asyncio.wait_for(stalled.wait(), 20)
    await let_the_lease_end(live)
    kind("gate", gate)
    second = asyncio.create_task(run_now(worker, operation_id))
    await asyncio.wait_for(gate.reached.wait(), 20)
    before = await row_of(live, operation_id)
    failing.set()
    await first
    assert await row_of(live, operation_id) == before
    gate.open.set()
    await second
    assert (await row_of(live, operation_id)).status == "succeeded"


async def test_a_long_piece_keeps_its_lease(live, worker, gate, monkeypatch):
    monkeypatch.setattr(running, "_RENEWED_EVERY", 0.05)
    operation_id = await start(live, "gate")
    task = asyncio.create_task(run_now(worker, operation_id))
    await asyncio.wait_for(gate.reached.wait(), 20)
    first = (await row_of(live, operation_id)).lease_until

    async def renewed():
        return (await row_of(live, operation_id)).lease_until > first

    await until(renewed)
    assert timedelta(seconds=20) <= LEASE
    gate.open.set()
    await task


async def test_later_waits_for_its_moment_and_then_goes_on_from_its_state(live, worker, clock, kind):
    async def in_three_days(work):
        day = work.state.get("day", 0) + 1
        async with live.transaction() as session:
            await work.save(session, done=day, total=3, state={"day": day, "at": clock()})
        return {"days": day} if day == 3 else Later(clock() + timedelta(days=1))

    kind("in_three_days", in_three_days)
    operation_id = await start(live, "in_three_days")
    for day in (1, 2):
        await forget_jobs(live)
        await start_operations(worker)
        assert await jobs_waiting(live) == [str(operation_id)]
        await run_now(worker, operation_id)
        await run_now(worker, operation_id)
        row = await row_of(live, operation_id)
        assert (row.status, row.done, row.attempts) == ("running", day, 0)
        assert (row.run_id, row.lease_until, row.next_run_at) == (None, None, clock.now + timedelta(days=1))
        clock.now += timedelta(days=1) - timedelta(seconds=1)
        await forget_jobs(live)
        await start_operations(worker)
        assert await jobs_waiting(live) == []
        clock.now += timedelta(seconds=1)
    await run_now(worker, operation_id)
    row = await row_of(live, operation_id)
    assert (row.status, row.result, row.started_at, row.next_run_at) == ("succeeded", {"days": 3}, NOW, None)


async def test_waiting_often_is_not_giving_up(live, worker, clock, kind):
    async def patient(work):
        clock.now += timedelta(minutes=1)
        return Later(clock.now) if clock.now < NOW + timedelta(minutes=20) else {}

    kind("patient", patient)
    operation_id = await start(live, "patient")
    await run_now(worker, operation_id)
    assert (await row_of(live, operation_id)).status == "succeeded"


async def test_a_worker_waits_for_the_moment_by_itself(live, live_url, settings, clock, kind):
    async def twice(work):
        return {} if clock.now > NOW else Later(NOW + timedelta(hours=1))

    kind("twice", twice)
    operation_id = await start(live, "twice")
    async with workers(live_url, settings, clock):

        async def waiting():
            return (await row_of(live, operation_id)).next_run_at

        await until(waiting)
        clock.now = NOW + timedelta(hours=1)
        await wait_for_status(live, operation_id, "succeeded")


async def test_a_worker_that_stops_gives_back_what_it_had(live, worker, gate):
    operation_id = await start(live, "gate")
    task = asyncio.create_task(run_operation(worker, str(operation_id)))
    await asyncio.wait_for(gate.reached.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await row_of(live, operation_id)
    assert (row.status, row.attempts, row.run_id, row.lease_until) == ("running", 0, None, None)
    gate.open.set()
    await run_now(worker, operation_id)
    row = await row_of(live, operation_id)
    assert (row.status, row.result) == ("succeeded", {"call": 2})


async def test_a_process_runs_a_few_at_once_and_the_others_wait_for_room(live, worker, gate):
    made = [await start(live, "gate") for _ in range(AT_ONCE + 1)]
    tasks = [asyncio.create_task(run_operation(worker, str(operation_id))) for operation_id in made[:AT_ONCE]]

    async def full():
        return gate.inside == AT_ONCE

    await until(full)
    await run_operation(worker, str(made[-1]))
    await forget_jobs(live)
    await start_operations(worker)
    assert (gate.calls, await jobs_waiting(live)) == (AT_ONCE, [])
    gate.open.set()
    await asyncio.gather(*tasks)
    await start_operations(worker)
    assert await jobs_waiting(live) == [str(made[-1])]


async def test_state_is_what_will_be_read_back(live, worker, kind):
    seen = []

    async def remember(work):
        async with live.transaction() as session:
            await work.save(session, done=1, state={"at": NOW, "id": work.id})
        seen.append(work.state)
        return {"done": work.done, "total": work.total, "at": NOW}

    kind("remember", remember)
    operation_id = await start(live, "remember", total=2, state={"from": NOW})
    assert (await row_of(live, operation_id)).state == {"from": "2026-03-02T10:00:00Z"}
    await run_now(worker, operation_id)
    row = await row_of(live, operation_id)
    assert seen == [row.state]
    assert row.state == {"at": "2026-03-02T10:00:00Z", "id": str(operation_id)}
    assert row.result == {"done": 1, "total": 2, "at": "2026-03-02T10:00:00Z"}
