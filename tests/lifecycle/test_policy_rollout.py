"""A published policy reaches the customers one after the other: all of them, once, in time, whatever happens between."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.db import Database, async_url
from app.jobs import Worker
from app.lifecycle.versions import rollout
from app.operations.running import run_now
from app.reactions import reactions
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal
from tests.lifecycle.policy_drafts import make_draft, publish, wealth
from tests.operations.arrange import until, wait_for_status, workers

LATER = NOW + timedelta(days=40)
IMPATIENT = wealth("dormant_growth", when={"fact": "days_since_activity", "op": ">=", "value": 35})


@pytest.fixture
def worker(live, settings, clock):
    return Worker(live, settings, clock, http=None)


@pytest.fixture
async def silent(live_client, clock):
    """Seven growing customers who were last seen 40 days ago, in id order, and one who was seen today."""
    customers = [await make_customer(live_client) for _ in range(8)]
    await send(live_client, *(s for customer in customers for s in funded(customer)))
    clock.now = LATER
    await send(live_client, signal(customers[-1], "login", LATER))
    return customers[:-1]


async def begin(client, document=IMPATIENT, **options):
    """Publish a policy; the id of its rollout."""
    answer = await publish(client, await make_draft(client, document), **options)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


async def operation(client, operation_id):
    return (await client.get(f"/v1/operations/{operation_id}")).json()


async def has_done(client, operation_id, count):
    return (await operation(client, operation_id))["progress"]["done"] >= count


async def stages(database):
    """Stage and version of the rules of every customer, in id order."""
    async with database.read() as connection:
        found = await connection.execute(
            text("SELECT stage, policy_version FROM customers JOIN lifecycle_state s ON customer_id = id ORDER BY id")
        )
        return [tuple(row) for row in found]


def moved(customers):
    way = {"from": "growth", "to": "decline", "rule_id": "dormant_growth", "customers": customers}
    return {"version": 2, "customers": 8, "moved": customers, "transitions": [way], "superseded_by": None}


async def test_everybody_is_judged_by_the_new_rules_and_the_result_says_who_moved(live, live_client, worker, silent):
    operation_id = await begin(live_client)
    assert await stages(live) == [("growth", 1)] * 8
    await run_now(worker, operation_id)
    found = await operation(live_client, operation_id)
    assert (found["status"], found["result"]) == ("succeeded", moved(7))
    assert found["progress"] == {"done": 8, "total": 8, "share": 1.0}
    assert await stages(live) == [("decline", 2)] * 7 + [("growth", 2)]
    [step] = (await live_client.get(f"/v1/customers/{silent[0]['id']}/transitions", params={"limit": 1})).json()[
        "items"
    ]
    assert (step["rule_id"], step["policy_version"], step["kind"]) == ("dormant_growth", 2, "automatic")


@pytest.mark.parametrize(("mode", "is_acted_on"), [("full", True), ("dwell_only", True), ("none", False)])
async def test_the_playbook_mode_says_what_is_planned_for_those_who_move(
    live, live_client, worker, silent, mode, is_acted_on
):
    await run_now(worker, await begin(live_client, playbook_mode=mode))
    async with live.read() as connection:
        found = await connection.execute(
            text("SELECT count(*), count(DISTINCT customer_id) FROM actions WHERE stage = 'decline'")
        )
        planned, customers = found.one()
    assert customers == (7 if is_acted_on else 0)
    assert bool(planned) is is_acted_on


async def test_a_worker_takes_a_rollout_up_by_itself(live, live_url, live_client, settings, clock, silent):
    operation_id = await begin(live_client)
    async with workers(live_url, settings, clock):
        row = await wait_for_status(live, operation_id, "succeeded", "failed")
    assert row.result == moved(7)


async def test_a_rollout_that_was_stopped_halfway_goes_on_where_it_was(live, live_client, worker, silent, monkeypatch):
    monkeypatch.setattr(rollout, "CHUNK", 3)
    operation_id = await begin(live_client)
    async with live.transaction() as session:  # somebody holds a customer of the second piece
        await session.execute(text("SELECT 1 FROM customers WHERE id = :id FOR UPDATE"), {"id": silent[4]["id"]})
        running = asyncio.create_task(run_now(worker, operation_id))
        await until(lambda: has_done(live_client, operation_id, 3))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [version for _, version in await stages(live)] == [2] * 3 + [1] * 5
    await run_now(worker, operation_id)
    assert (await operation(live_client, operation_id))["result"] == moved(7)
    async with live.read() as connection:
        inputs = await connection.execute(text("SELECT count(*) FROM lifecycle_inputs WHERE kind = 'policy'"))
        assert inputs.scalar_one() == 8


async def test_customers_that_somebody_holds_for_long_are_tried_again(
    live, live_url, live_client, settings, clock, silent
):
    operation_id = await begin(live_client)
    options = {"server_settings": {"lock_timeout": "100ms"}}
    engine = create_async_engine(async_url(live_url), connect_args=options)
    impatient = Worker(Database(engine, live.reader, reactions(settings)), settings, clock, http=None)
    async with live.transaction() as session:
        await session.execute(text("SELECT 1 FROM customers WHERE id = :id FOR UPDATE"), {"id": silent[4]["id"]})
        await run_now(impatient, operation_id)
        assert (await operation(live_client, operation_id))["status"] == "running"
    assert await stages(live) == [("growth", 1)] * 8
    clock.now += timedelta(seconds=5)
    await run_now(impatient, operation_id)
    await engine.dispose()
    assert (await operation(live_client, operation_id))["result"] == moved(7)


async def test_a_slow_rollout_never_runs_ahead_of_the_time(live, live_client, worker, clock, silent):
    operation_id = await begin(live_client, rollout_over_seconds=8000)
    for seconds, reached in ((0, 0), (999, 0), (1000, 1), (3999, 3), (6500, 6), (7999, 7), (8000, 8)):
        clock.now = LATER + timedelta(seconds=seconds)
        await run_now(worker, operation_id)
        found = await operation(live_client, operation_id)
        assert found["progress"]["done"] == reached
        assert [version for _, version in await stages(live)] == [2] * reached + [1] * (8 - reached)
        assert (found["status"] == "succeeded") is (reached == 8)
    assert found["result"] == moved(7)


async def test_a_slow_rollout_waits_for_the_moment_at_which_the_next_are_due(live, live_client, worker, clock, silent):
    operation_id = await begin(live_client, rollout_over_seconds=8000)
    waits = []
    for _ in range(8):
        await run_now(worker, operation_id)
        async with live.read() as connection:
            query = text("SELECT next_run_at FROM operations WHERE id = :id")
            clock.now = (await connection.execute(query, {"id": operation_id})).scalar_one()
        waits.append((clock.now - LATER).total_seconds())
    assert waits == [1000.0 * n for n in range(1, 9)]


async def test_those_who_are_not_reached_yet_are_judged_by_their_former_rules(live, live_client, worker, clock, silent):
    operation_id = await begin(live_client, rollout_over_seconds=8000)
    clock.now = LATER + timedelta(seconds=1000)
    await run_now(worker, operation_id)
    await send(live_client, *(signal(customer, "content_opened", LATER - timedelta(days=38)) for customer in silent))
    assert await stages(live) == [("decline", 2)] + [("growth", 1)] * 7
    life = await live_client.get(f"/v1/customers/{silent[1]['id']}/lifecycle")
    assert life.json()["policy_version"] == 1


async def test_a_version_published_later_takes_over(live, live_client, worker, clock, silent):
    first = await begin(live_client, rollout_over_seconds=8000)
    clock.now = LATER + timedelta(seconds=4000)
    await run_now(worker, first)
    second = await begin(live_client, wealth())
    clock.now = LATER + timedelta(seconds=5000)
    await run_now(worker, first)
    found = await operation(live_client, first)
    assert found["status"] == "succeeded"
    assert (found["result"]["superseded_by"], found["result"]["customers"]) == (3, 4)
    await run_now(worker, second)
    assert {version for _, version in await stages(live)} == {3}


async def test_merged_duplicates_are_left_alone(live, live_client, worker, silent):
    async with live.transaction() as session:
        await session.execute(
            text("UPDATE customers SET merged_into = :winner WHERE id = :id"),
            {"winner": silent[0]["id"], "id": silent[1]["id"]},
        )
    operation_id = await begin(live_client)
    await run_now(worker, operation_id)
    found = await operation(live_client, operation_id)
    assert found["progress"] == {"done": 7, "total": 7, "share": 1.0}
    assert (await stages(live))[1] == ("growth", 1)


async def test_signals_and_a_rollout_of_the_same_customers_wait_for_each_other(
    live, live_client, worker, silent, monkeypatch
):
    monkeypatch.setattr(rollout, "CHUNK", 2)
    operation_id = await begin(live_client)

    async def busy():
        for _ in range(5):
            await send(live_client, *(signal(customer, "login", LATER) for customer in reversed(silent)))

    await asyncio.gather(run_now(worker, operation_id), busy(), busy())
    assert (await operation(live_client, operation_id))["result"]["customers"] == 8
    assert {version for _, version in await stages(live)} == {2}


async def test_nobody_to_reach_is_the_end_at_once_however_slow_it_should_be(live, live_client, worker):
    operation_id = await begin(live_client, rollout_over_seconds=2_592_000)
    await run_now(worker, operation_id)
    found = await operation(live_client, operation_id)
    assert (found["status"], found["result"]["customers"], found["progress"]["share"]) == ("succeeded", 0, 1.0)


async def again(client, version, **options):
    return await client.post(f"/v1/lifecycle/policies/{version}/rollout", json=options)


async def test_a_cancelled_rollout_is_taken_up_again_when_somebody_asks(live, live_client, worker, silent):
    operation_id = await begin(live_client)
    assert (await again(live_client, 2)).json()["code"] == "conflict"
    await live_client.post(f"/v1/operations/{operation_id}/cancel")
    await rollout.find_stragglers(worker)
    assert await stages(live) == [("growth", 1)] * 8
    answer = await again(live_client, 2)
    assert answer.status_code == 202, answer.text
    await run_now(worker, UUID(answer.json()["id"]))
    assert await stages(live) == [("decline", 2)] * 7 + [("growth", 2)]


@pytest.mark.parametrize(("version", "status"), [(1, 409), (77, 404)])
async def test_only_the_version_in_force_is_rolled_out_again(live_client, silent, version, status):
    await begin(live_client)
    assert (await again(live_client, version)).status_code == status


async def test_whom_a_finished_rollout_could_not_see_is_found_later(live, live_client, worker, clock, silent):
    await run_now(worker, await begin(live_client))
    async with live.transaction() as session:
        await session.execute(
            text("UPDATE lifecycle_state SET policy_version = 1 WHERE customer_id = :id"), {"id": silent[0]["id"]}
        )
    clock.now += rollout.LOOKED_FOR_EVERY
    await rollout.find_stragglers(worker)
    found = (await live_client.get("/v1/operations", params={"status": "queued"})).json()["items"]
    assert [operation["actor"] for operation in found] == ["stagefolio:stragglers"]
    await run_now(worker, UUID(found[0]["id"]))
    assert {version for _, version in await stages(live)} == {2}
