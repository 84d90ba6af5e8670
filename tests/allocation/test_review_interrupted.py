"""A review of everybody that is killed, cancelled, overtaken, or begun while others write."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from app.allocation.everybody import operation as review_operation
from app.allocation.everybody.bulk import CHUNK, Whom, read_chunk
from app.allocation.everybody.operation import begin_review
from app.allocation.everybody.screening import Screen
from app.allocation.versions.store import in_force
from app.jobs import Worker
from app.operations.running import run_now
from app.operations.service import cancel
from tests.allocation.mixed_portfolios import count, make, more_cash, next_version
from tests.conftest import NOW
from tests.operations.arrange import let_the_lease_end, row_of, until


class Killed(BaseException):
    """The process is gone: nothing of ours catches it."""


@pytest.fixture
def worker(live, settings, clock):
    return Worker(live, settings, clock, http=None)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(review_operation, "CHUNK", 30)
    monkeypatch.setattr(review_operation, "BATCH", 3)


@pytest.fixture
async def changed(live):
    """Of 80 customers 20 change by a policy that has come into force."""
    await make(live, 80)
    async with live.transaction() as session:
        session.add(next_version("policy", 2, segments=more_cash()))
    return 20


async def begin(live, **options):
    async with live.transaction() as session:
        return await begin_review(session, "test", NOW, **options)


async def new_ones(live):
    return await count(live, "SELECT count(*) FROM recommendations WHERE supersedes IS NOT NULL")


def at_call(monkeypatch, number, act):
    """Do something in the middle of the transaction of a piece."""
    real, calls = review_operation.recommend, []

    async def recommend(session, ids, now):
        new = await real(session, ids, now)
        calls.append(ids)
        if len(calls) == number:
            await act()
        return new

    monkeypatch.setattr(review_operation, "recommend", recommend)
    return calls


async def test_a_killed_review_goes_on_after_the_last_piece_and_does_none_twice(live, worker, changed, monkeypatch):
    review_id = await begin(live)

    async def die():
        raise Killed

    first = at_call(monkeypatch, 4, die)
    with pytest.raises(Killed):
        await run_now(worker, review_id)
    left = await row_of(live, review_id)
    kept = sum(len(ids) for ids in first[:3])
    assert (left.status, await new_ones(live), len(first)) == ("running", kept, 4)
    assert 0 < kept < left.done < 80
    monkeypatch.undo()
    monkeypatch.setattr(review_operation, "CHUNK", 7)
    await let_the_lease_end(live)
    await run_now(worker, review_id)
    done = await row_of(live, review_id)
    assert (done.status, done.done, done.result["customers"], done.result["changed"]) == ("succeeded", 80, 80, changed)
    assert await new_ones(live) == changed
    repeated = "SELECT count(*) - count(DISTINCT supersedes) FROM recommendations WHERE supersedes IS NOT NULL"
    assert await count(live, repeated) == 0


async def test_a_cancelled_review_undoes_the_piece_under_way_and_keeps_the_others(live, worker, changed, monkeypatch):
    review_id = await begin(live)

    async def ask():
        async with live.transaction() as session:
            await cancel(session, review_id, NOW)

    pieces = at_call(monkeypatch, 3, ask)
    await run_now(worker, review_id)
    left = await row_of(live, review_id)
    kept = sum(len(ids) for ids in pieces[:2])
    assert (left.status, left.result, await new_ones(live), len(pieces)) == ("cancelled", None, kept, 3)
    assert 0 < kept < left.done < 80


async def test_a_later_review_of_everybody_takes_over(live, worker, changed, monkeypatch):
    first = await begin(live)
    later = []

    async def begin_another():
        later.append(await begin(live))

    at_call(monkeypatch, 1, begin_another)
    await run_now(worker, first)
    ended = await row_of(live, first)
    assert (ended.status, ended.result["superseded_by"]) == ("succeeded", str(later[0]))
    assert ended.result["customers"] == ended.done == 30
    await run_now(worker, later[0])
    assert (await row_of(live, later[0])).result["superseded_by"] is None
    assert await new_ones(live) == changed


@pytest.mark.parametrize("other", [{"dry_run": True}, {"segments": ["mass"]}])
async def test_neither_a_dry_run_nor_a_review_of_some_takes_over(live, worker, changed, other):
    first = await begin(live)
    await begin(live, **other)
    await run_now(worker, first)
    assert (await row_of(live, first)).result["changed"] == changed


async def test_a_cancelled_review_takes_over_nothing(live, worker, changed):
    first, second = await begin(live), await begin(live)
    async with live.transaction() as session:
        await cancel(session, second, NOW)
    await run_now(worker, first)
    assert (await row_of(live, first)).result["changed"] == changed


async def test_a_review_waits_for_whoever_may_still_write_by_older_rules(live, worker, changed):
    review_id = await begin(live)
    async with live.transaction() as session:
        await session.execute(text("SELECT id FROM customers LIMIT 1 FOR NO KEY UPDATE"))
        running = asyncio.create_task(run_now(worker, review_id))

        async def claimed():
            return (await row_of(live, review_id)).status == "running"

        await until(claimed)
        await asyncio.sleep(0.5)
        assert (await row_of(live, review_id)).total is None
    await running
    assert (await row_of(live, review_id)).result["changed"] == changed


async def test_who_is_merged_or_erased_after_the_screening_gets_nothing(live, changed):
    async with live.snapshot() as connection:
        rules = await in_force(connection)
        chunk = await read_chunk(connection, rules, Whom(), NOW, None, CHUNK)
    found = Screen(rules).judge(chunk, NOW)
    merged, erased, other = (UUID(bytes=one.item()) for one in found.ids[found.changed][:3])
    async with live.transaction() as session:
        gone = {"merged": merged, "erased": erased, "other": other}
        await session.execute(text("UPDATE customers SET merged_into = :other WHERE id = :merged"), gone)
        await session.execute(text("DELETE FROM customers WHERE id = :erased"), gone)
        got = await review_operation._write(session, found, NOW)
    assert {UUID(bytes=one.item()) for one in found.ids[found.changed & ~got]} == {merged, erased}
    assert got.sum() == await new_ones(live) == changed - 2
