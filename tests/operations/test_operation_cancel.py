"""Cancelling: before the work, during it, while it waits, and after it."""

import asyncio
from datetime import timedelta

from app.operations.running import Later, run_now, run_operation
from tests.conftest import NOW
from tests.operations.arrange import jobs_waiting, row_of, start, until, wait_for_status, workers


async def cancel(client, operation_id):
    return await client.post(f"/v1/operations/{operation_id}/cancel")


async def finished_events(client):
    return [e["data"] for e in (await client.get("/v1/events", params={"type": "operation.finished"})).json()["items"]]


async def test_a_queued_operation_is_cancelled_at_once_and_never_starts(live, live_client, worker, clock, gate):
    operation_id = await start(live, "gate")
    clock.now = NOW + timedelta(minutes=1)
    answer = await cancel(live_client, operation_id)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["started_at"], body["result"], body["error"]) == ("cancelled", None, None, None)
    assert body["cancel_requested_at"] == body["finished_at"] == "2026-03-02T10:01:00Z"
    assert await jobs_waiting(live) == [str(operation_id)]
    await run_operation(worker, str(operation_id))
    await run_now(worker, operation_id)
    assert gate.calls == 0


async def test_a_running_operation_is_cancelled_and_the_piece_under_way_is_undone(
    live, live_client, live_url, settings, clock, gate
):
    operation_id = await start(live, "gate")
    async with workers(live_url, settings, clock):
        await asyncio.wait_for(gate.reached.wait(), 20)
        first, second = await cancel(live_client, operation_id), None
        clock.now = NOW + timedelta(minutes=1)
        second = await cancel(live_client, operation_id)
        for answer in (first, second):
            assert (answer.status_code, answer.json()["status"]) == (200, "running")
            assert answer.json()["cancel_requested_at"] == "2026-03-02T10:00:00Z"
        gate.open.set()
        await wait_for_status(live, operation_id, "cancelled")

        async def told():
            return await finished_events(live_client)

        await until(told)
    assert await told() == [{"operation_id": str(operation_id), "kind": "gate", "status": "cancelled"}]
    after = (await live_client.get(f"/v1/operations/{operation_id}")).json()
    assert (after["progress"]["done"], after["result"], after["error"]) == (0, None, None)
    assert (await live_client.get(f"/v1/operations/{operation_id}/items")).json()["items"] == []


async def test_an_operation_that_waits_for_its_moment_is_cancelled_at_once(live, live_client, worker, kind):
    async def tomorrow(work):
        return Later(NOW + timedelta(days=1))

    kind("tomorrow", tomorrow)
    operation_id = await start(live, "tomorrow")
    await run_now(worker, operation_id)
    assert (await row_of(live, operation_id)).status == "running"
    assert (await cancel(live_client, operation_id)).json()["status"] == "cancelled"


async def test_a_cancel_that_meets_a_handler_about_to_wait_does_not_wait_with_it(live, live_client, worker, kind):
    async def tomorrow(work):
        await cancel(live_client, work.id)
        return Later(NOW + timedelta(days=1))

    kind("tomorrow", tomorrow)
    operation_id = await start(live, "tomorrow")
    await run_now(worker, operation_id)
    assert (await row_of(live, operation_id)).status == "cancelled"


async def test_a_cancel_that_comes_after_the_last_piece_comes_too_late(live, live_client, worker, kind):
    async def done_anyway(work):
        assert (await cancel(live_client, work.id)).json()["status"] == "running"
        return {"all": "done"}

    kind("done_anyway", done_anyway)
    operation_id = await start(live, "done_anyway")
    await run_now(worker, operation_id)
    assert (await row_of(live, operation_id)).status == "succeeded"


async def test_what_has_ended_cannot_be_cancelled(live, live_client, worker, kind):
    async def nothing(work):
        return {}

    kind("nothing", nothing)
    operation_id = await start(live, "nothing")
    await run_now(worker, operation_id)
    before = (await live_client.get(f"/v1/operations/{operation_id}")).json()
    answer = await cancel(live_client, operation_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "operation_finished")
    assert (await live_client.get(f"/v1/operations/{operation_id}")).json() == before
