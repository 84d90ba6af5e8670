"""Operations through the front door."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.clock import new_id
from app.errors import Problem
from app.operations.reading import read_operation
from app.operations.routes import accepted
from app.operations.running import Item, Later, run_now
from app.operations.service import begin
from tests.conftest import NOW, make_key
from tests.factories import make_customer
from tests.operations.arrange import hand, row_of, start, until, wait_for_status, workers


async def read(client, operation_id):
    answer = await client.get(f"/v1/operations/{operation_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_operation_is_run_by_a_worker_and_told_of(live, live_client, live_url, settings, clock, gate):
    operation_id = await start(live, "gate", params={"what": "everything"})
    before = await read(live_client, operation_id)
    assert before == {
        "id": str(operation_id),
        "kind": "gate",
        "status": "queued",
        "progress": {"done": 0, "total": None, "share": None},
        "params": {"what": "everything"},
        "result": None,
        "error": None,
        "actor": "key:test",
        "created_at": "2026-03-02T10:00:00Z",
        "started_at": None,
        "finished_at": None,
        "cancel_requested_at": None,
    }
    async with workers(live_url, settings, clock):
        await asyncio.wait_for(gate.reached.wait(), 20)
        assert (await read(live_client, operation_id))["status"] == "running"
        clock.now = NOW + timedelta(minutes=5)
        gate.open.set()
        await wait_for_status(live, operation_id, "succeeded", "failed")

        async def told():
            return (await live_client.get("/v1/events", params={"type": "operation.finished"})).json()["items"]

        await until(told)
    after = await read(live_client, operation_id)
    assert after["result"] == {"call": 1}
    assert (after["started_at"], after["finished_at"]) == ("2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z")
    [event] = await told()
    assert event["timestamp"] == "2026-03-02T10:05:00Z"
    assert event["data"] == {"operation_id": str(operation_id), "kind": "gate", "status": "succeeded"}


async def test_progress_is_seen_piece_by_piece_and_asked_for_cheaply(live, live_client, worker, kind):
    step = asyncio.Semaphore(0)

    async def four(work):
        for piece in range(4):
            await step.acquire()
            async with work.worker.database.transaction() as session:
                await work.save(session, done=piece + 1, total=4)
        return {}

    kind("four", four)
    operation_id = await start(live, "four")
    url = f"/v1/operations/{operation_id}"
    running = asyncio.create_task(run_now(worker, operation_id))
    seen = {}
    for done in (1, 2, 3, 4):
        step.release()

        async def arrived(done=done):
            seen[done] = await live_client.get(url)
            return seen[done].json()["progress"]["done"] == done

        await until(arrived)
    await running
    assert [seen[n].json()["progress"] for n in (1, 2, 3)] == [
        {"done": 1, "total": 4, "share": 0.25},
        {"done": 2, "total": 4, "share": 0.5},
        {"done": 3, "total": 4, "share": 0.75},
    ]
    last = await live_client.get(url)
    assert (last.json()["status"], last.json()["progress"]["share"]) == ("succeeded", 1.0)
    assert len({answer.headers["etag"] for answer in (*(seen[n] for n in (1, 2, 3)), last)}) == 4
    again = await live_client.get(url, headers={"If-None-Match": last.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await live_client.get(url, headers={"If-None-Match": seen[1].headers["etag"]})).status_code == 200


@pytest.mark.parametrize(("done", "total", "share"), [(0, 0, 1.0), (3, 2, 1.0), (0, 5, 0.0), (7, None, None)])
async def test_the_share_stays_between_nothing_and_all(db, settings, clock, kind, done, total, share):
    async def work_it(work):
        async with work.worker.database.transaction() as session:
            await work.save(session, done=done, total=total)
        return Later(NOW + timedelta(days=1))

    kind("share", work_it)
    operation_id = await start(db, "share")
    await run_now(hand(db, settings, clock), operation_id)
    async with db.read() as connection:
        progress = (await read_operation(connection, operation_id))["progress"]
    assert progress == {"done": done, "total": total, "share": share}


async def add_items(db, settings, clock, kind, items):
    """An operation that stored `items`, twice, as after a crash."""

    async def keep(work):
        for _ in range(2):
            async with work.worker.database.transaction() as session:
                await work.add_items(session, items)
                await work.add_items(session, [])
        return {"kept": len(items)}

    kind("keep", keep)
    operation_id = await start(db, "keep")
    await run_now(hand(db, settings, clock), operation_id)
    assert (await row_of(db, operation_id)).result == {"kept": len(items)}
    return operation_id


async def test_items_come_in_pages_and_by_outcome(client, db, settings, clock, kind):
    customer = await make_customer(client)
    items = [
        Item(n, UUID(customer["id"]) if n == 0 else None, "moved" if n % 2 == 0 else "refused", None, {"row": n})
        for n in range(5)
    ]
    operation_id = await add_items(db, settings, clock, kind, items)
    url = f"/v1/operations/{operation_id}/items"
    ordinals, cursor = [], None
    for expected in (2, 2, 1):
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(url, params=params)).json()
        assert len(page["items"]) == expected
        ordinals += [item["ordinal"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert (ordinals, cursor) == ([0, 1, 2, 3, 4], None)
    first = (await client.get(url, params={"limit": 1})).json()["items"]
    assert first == [
        {"ordinal": 0, "customer_id": customer["id"], "outcome": "moved", "code": None, "data": {"row": 0}}
    ]
    refused = (await client.get(url, params={"outcome": "refused"})).json()
    assert [item["ordinal"] for item in refused["items"]] == [1, 3]
    both = (await client.get(url, params={"outcome": ["refused", "moved"]})).json()
    assert len(both["items"]) == 5


async def test_an_item_of_nobody_keeps_its_place_and_one_of_an_erased_customer_goes(client, db, settings, clock, kind):
    customer = await make_customer(client)
    items = [
        Item(1, UUID(customer["id"]), "moved", None, {}),
        Item(2, new_id(), "refused", "not_found", {"at": NOW, "id": UUID(int=5)}),
    ]
    operation_id = await add_items(db, settings, clock, kind, items)
    url = f"/v1/operations/{operation_id}/items"
    found = (await client.get(url)).json()["items"]
    assert [(item["customer_id"], item["code"]) for item in found] == [(customer["id"], None), (None, "not_found")]
    assert found[1]["data"] == {}  # whoever is not there may have been erased
    await client.delete(f"/v1/customers/{customer['id']}", headers={"If-Match": "*"})
    assert [item["ordinal"] for item in (await client.get(url)).json()["items"]] == [2]


async def test_a_cursor_of_another_list_or_out_of_bounds_is_no_server_error(client, db, settings, clock, kind):
    one = await add_items(db, settings, clock, kind, [Item(n, None, "x", None, {}) for n in range(3)])
    two = await start(db, "keep")
    cursor = (await client.get(f"/v1/operations/{one}/items", params={"limit": 1})).json()["next_cursor"]
    answer = await client.get(f"/v1/operations/{two}/items", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
    answer = await client.get("/v1/operations", params={"cursor": cursor})
    assert answer.status_code == 400


async def test_the_list_is_newest_first_with_filters_and_pages(client, db):
    made = [await start(db, name) for name in ("import", "export", "import", "replay")]
    await client.post(f"/v1/operations/{made[2]}/cancel")

    async def ids(**params):
        return [item["id"] for item in (await client.get("/v1/operations", params=params)).json()["items"]]

    newest = [str(i) for i in reversed(made)]
    assert await ids() == newest
    assert await ids(kind="import") == [newest[1], newest[3]]
    assert await ids(kind=["export", "replay"]) == [newest[0], newest[2]]
    assert await ids(kind="import", status="queued") == [newest[3]]
    assert await ids(status=["cancelled"]) == [newest[1]]
    page = (await client.get("/v1/operations", params={"limit": 3})).json()
    rest = (await client.get("/v1/operations", params={"limit": 3, "cursor": page["next_cursor"]})).json()
    assert [item["id"] for item in (*page["items"], *rest["items"])] == newest
    assert rest["next_cursor"] is None


async def test_what_is_accepted_says_where_to_ask(client, db):
    async with db.transaction() as session:
        operation_id = await begin(session, "import", {"rows": 3}, "key:test", NOW, total=3, state={"secret": 1})
        answer = accepted(await read_operation(session, operation_id))
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/operations/{operation_id}"
    asked = await client.get(answer.headers["location"])
    assert asked.content == answer.body
    assert b"secret" not in asked.content


async def test_reading_and_cancelling_need_their_scopes(client, db):
    operation_id = await start(db, "import")
    reader = {"Authorization": f"Bearer {await make_key(db, 'operations:read')}"}
    assert (await client.get(f"/v1/operations/{operation_id}", headers=reader)).status_code == 200
    assert (await client.post(f"/v1/operations/{operation_id}/cancel", headers=reader)).status_code == 403
    writer = {"Authorization": f"Bearer {await make_key(db, 'operations:write')}"}
    assert (await client.post(f"/v1/operations/{operation_id}/cancel", headers=writer)).status_code == 200


async def test_an_unknown_operation_is_not_found(client, db):
    for method, tail in (("GET", ""), ("GET", "/items"), ("POST", "/cancel")):
        answer = await client.request(method, f"/v1/operations/{new_id()}{tail}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    with pytest.raises(Problem, match="not_found"):
        async with db.read() as connection:
            await read_operation(connection, new_id())


@pytest.mark.parametrize(("more", "status"), [((), 403), (("lifecycle:read",), 200)])
async def test_items_that_tell_of_customers_need_the_scope_for_what_they_tell(
    client, db, settings, clock, kind, more, status
):
    operation_id = await add_items(db, settings, clock, kind, [])
    async with db.transaction() as session:
        await session.execute(text("UPDATE operations SET kind = 'simulation'"))
    key = await make_key(db, "operations:read", *more)
    headers = {"Authorization": f"Bearer {key}"}
    assert (await client.get(f"/v1/operations/{operation_id}/items", headers=headers)).status_code == status
