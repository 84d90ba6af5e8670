"""Work that fails: for a reason that its owner is told, by a bug, by a trouble that passes, and again and again."""

import logging

import pytest
from sqlalchemy import text

from app.errors import FieldProblem, Problem
from app.operations.leasing import MOST_ATTEMPTS
from app.operations.running import run_now, run_operation
from tests.operations.arrange import let_the_lease_end, row_of, start


def raising(*errors, then=None):
    """A handler that raises these, one a call, and then returns."""
    waiting = list(errors)

    async def handler(work):
        if waiting:
            raise waiting.pop(0)
        return then or {}

    return handler


async def ended(worker, client, operation_id):
    await run_now(worker, operation_id)
    return (await client.get(f"/v1/operations/{operation_id}")).json()


async def test_a_problem_is_told_as_it_is(live, live_client, worker, kind):
    field = FieldProblem(pointer="/rows/3/email", code="invalid", detail="Not an address.")
    kind("refusing", raising(Problem("invalid", "Row 3 cannot be read.", errors=[field])))
    after = await ended(worker, live_client, await start(live, "refusing"))
    assert (after["status"], after["result"]) == ("failed", None)
    assert after["error"] == {"code": "invalid", "detail": "Row 3 cannot be read.", "errors": [field.model_dump()]}
    assert after["finished_at"]


async def test_a_problem_without_words_gets_those_of_its_code(live, live_client, worker, kind):
    kind("refusing", raising(Problem("not_found")))
    after = await ended(worker, live_client, await start(live, "refusing"))
    assert after["error"] == {"code": "not_found", "detail": "Not found", "errors": []}


async def test_a_bug_is_logged_and_its_text_is_told_to_nobody(live, live_client, worker, kind, caplog):
    kind("broken", raising(ValueError("ann@example.com is odd")))
    operation_id = await start(live, "broken")
    with caplog.at_level(logging.ERROR, "app.operations"):
        after = await ended(worker, live_client, operation_id)
    assert (after["status"], after["error"]["code"], after["error"]["errors"]) == ("failed", "internal", [])
    assert "ann@" not in str(after)
    assert "ann@" not in str((await row_of(live, operation_id)).error)
    [record] = [r for r in caplog.records if r.name == "app.operations"]
    assert (record.operation_id, record.exc_info[0]) == (str(operation_id), ValueError)


async def test_a_result_that_is_no_json_is_a_bug_too(live, live_client, worker, kind):
    kind("odd", raising(then={("a", "tuple"): 1}))
    after = await ended(worker, live_client, await start(live, "odd"))
    assert (after["status"], after["error"]["code"]) == ("failed", "internal")


async def test_a_trouble_that_passes_is_waited_for(live, live_client, worker, kind):
    kind("unlucky", raising(ConnectionError("gone"), then={"at": "last"}))
    operation_id = await start(live, "unlucky")
    await run_operation(worker, str(operation_id))
    row = await row_of(live, operation_id)
    assert (row.status, row.attempts, row.run_id) == ("running", 1, None)
    await run_operation(worker, str(operation_id))
    assert (await row_of(live, operation_id)).attempts == 1, "it waits a little before it starts again"
    await let_the_lease_end(live)
    after = await ended(worker, live_client, operation_id)
    assert (after["status"], after["result"]) == ("succeeded", {"at": "last"})


async def lock_held_too_long(live):
    async with live.transaction() as holder, live.transaction() as session:
        await holder.execute(text("LOCK TABLE customers"))
        await session.execute(text("SET LOCAL lock_timeout = '20ms'"))
        await session.execute(text("SELECT 1 FROM customers"))


async def lost_connection(live):
    async with live.transaction() as session:
        await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.parametrize("trouble", [lock_held_too_long, lost_connection])
async def test_such_are_a_lock_that_is_held_and_a_connection_that_is_lost(live, live_client, worker, kind, trouble):
    async def troubled(work):
        if work.attempt == 1:
            await trouble(live)
        return {}

    kind("troubled", troubled)
    operation_id = await start(live, "troubled")
    await run_operation(worker, str(operation_id))
    assert (await row_of(live, operation_id)).status == "running"
    await let_the_lease_end(live)
    assert (await ended(worker, live_client, operation_id))["status"] == "succeeded"


@pytest.mark.parametrize("progress_at", [None, 3])
async def test_work_that_never_gets_anywhere_is_given_up(live, live_client, worker, kind, progress_at):
    calls = []

    async def hopeless(work):
        calls.append(work.attempt)
        if len(calls) == progress_at:
            async with live.transaction() as session:
                await work.save(session, done=1)
        raise ConnectionError

    kind("hopeless", hopeless)
    operation_id = await start(live, "hopeless")
    while (await row_of(live, operation_id)).status in ("queued", "running"):
        await run_operation(worker, str(operation_id))
        await let_the_lease_end(live)
    after = await ended(worker, live_client, operation_id)
    assert (after["status"], after["error"]["code"]) == ("failed", "gave_up")
    alone = list(range(1, MOST_ATTEMPTS + 1))
    assert calls == (alone if progress_at is None else [*alone[:progress_at], *alone])


async def test_an_unknown_kind_waits_for_a_worker_that_knows_it(live, worker, kind):
    operation_id = await start(live, "of_a_later_version")
    await run_operation(worker, str(operation_id))
    assert (await row_of(live, operation_id)).status == "queued"
    with pytest.raises(LookupError, match="of_a_later_version"):
        await run_now(worker, operation_id)
