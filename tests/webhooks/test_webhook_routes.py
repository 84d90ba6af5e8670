"""Webhook endpoints, deliveries and the feed, through the front door."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.db import Database
from app.jobs import Worker
from app.webhooks.event_log import append, sequence_events
from app.webhooks.schemas import EventPage
from tests.conftest import NOW, make_key
from tests.webhooks.arrange import happen, make_customers, moved, turn, updated
from tests.webhooks.receiver import Receiver

HOOK = {"url": "https://hooks.example.com/in", "event_types": ["lifecycle.*"], "description": "CRM"}
PATCH = {"Content-Type": "application/merge-patch+json"}


async def create(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/v1/webhook-endpoints", json=HOOK | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def patch(client: httpx.AsyncClient, endpoint: dict[str, Any], **changes: Any) -> httpx.Response:
    headers = {**PATCH, "If-Match": f'"{endpoint["version"]}"'}
    return await client.patch(f"/v1/webhook-endpoints/{endpoint['id']}", content=json.dumps(changes), headers=headers)


async def number_events(database: Database) -> None:
    """What the sequencer does, where a worker's other parts are not needed."""
    async with database.transaction() as session:
        await session.execute(
            text(
                "UPDATE events SET position = n FROM (SELECT id AS i, row_number() OVER (ORDER BY id) AS n FROM events) s"
                " WHERE id = i AND position IS NULL"
            )
        )


async def test_the_secret_is_shown_once(client: httpx.AsyncClient) -> None:
    created = await create(client)
    assert created["secret"].startswith("whsec_")
    read = (await client.get(f"/v1/webhook-endpoints/{created['id']}")).json()
    assert "secret" not in read
    assert read == {key: value for key, value in created.items() if key != "secret"}
    listed = (await client.get("/v1/webhook-endpoints")).json()
    assert listed == {"items": [read], "next_cursor": None}


async def test_without_a_filter_an_endpoint_gets_everything(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/webhook-endpoints", json={"url": HOOK["url"]})
    assert answer.json()["event_types"] == ["*"]
    assert answer.headers["location"] == f"/v1/webhook-endpoints/{answer.json()['id']}"


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"url": "https://127.1/"}, "/url", "bad_url"),
        ({"url": "https://[::ffff:127.0.0.1]/"}, "/url", "forbidden_network"),
        ({"url": "https://169.254.169.254/latest"}, "/url", "forbidden_network"),
        ({"url": "https://user:pw@example.com/"}, "/url", "bad_url"),
        ({"url": "ftp://example.com/"}, "/url", "bad_url"),
        ({"url": "https://例え.jp/"}, "/url", "bad_url"),
        ({"url": "short"}, "/url", "string_too_short"),
        ({"url": "https://example.com/" + "a" * 2000}, "/url", "string_too_long"),
        ({"url": None}, "/url", "string_type"),
        ({"url": "https://example.com/\x00"}, "/url", "nul"),
        ({"event_types": []}, "/event_types", "too_short"),
        ({"event_types": ["*", "lifecycle.moved"]}, "/event_types/1", "unknown_event_type"),
        ({"event_types": ["LIFECYCLE"]}, "/event_types/0", "string_pattern_mismatch"),
        ({"event_types": "*"}, "/event_types", "list_type"),
        ({"event_types": ["*"] * 51}, "/event_types", "too_long"),
        ({"description": "a" * 501}, "/description", "string_too_long"),
        ({"secret": "whsec_mine"}, "/secret", "extra_forbidden"),
    ],
)
async def test_bad_input_names_the_field(
    client: httpx.AsyncClient, changes: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await client.post("/v1/webhook-endpoints", json=HOOK | changes)
    assert answer.status_code == 422, answer.text
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    if pointer == "/url" and code in ("bad_url", "forbidden_network"):
        assert answer.json()["code"] == "address_refused"


async def test_a_change_needs_the_version_it_is_based_on(client: httpx.AsyncClient) -> None:
    created = await create(client)
    path = f"/v1/webhook-endpoints/{created['id']}"
    assert (await client.patch(path, content="{}", headers=PATCH)).status_code == 428
    changed = await patch(client, created, description=None, event_types=["*"])
    assert changed.status_code == 200
    assert (changed.json()["description"], changed.json()["event_types"]) == (None, ["*"])
    assert changed.headers["etag"] == '"2"'
    assert (await patch(client, created, description="late")).status_code == 412
    assert (await client.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.get(path, headers={"If-None-Match": '"2"'})).status_code == 304
    assert (await client.delete(path, headers={"If-Match": '"2"'})).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_a_change_that_changes_nothing_keeps_the_version(client: httpx.AsyncClient) -> None:
    created = await create(client)
    for changes in ({}, {"url": created["url"], "status": "enabled"}):
        answer = await patch(client, created, **changes)
        assert (answer.status_code, answer.json()["version"]) == (200, 1)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": None}, "/url"),
        ({"event_types": ["nothing.*"]}, "/event_types/0"),
        ({"status": "paused"}, "/status"),
        ({"status": None}, "/status"),
        ({"disabled_reason": "gone"}, "/disabled_reason"),
    ],
)
async def test_a_bad_change_is_refused(client: httpx.AsyncClient, changes: dict[str, Any], pointer: str) -> None:
    created = await create(client)
    answer = await patch(client, created, **changes)
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]
    assert (await client.get(f"/v1/webhook-endpoints/{created['id']}")).json()["version"] == 1


async def test_an_owner_switches_an_endpoint_off_and_on(client: httpx.AsyncClient, db: Database) -> None:
    created = await create(client)
    off = (await patch(client, created, status="disabled")).json()
    assert (off["status"], off["disabled_reason"], off["version"]) == ("disabled", "owner", 2)
    path = f"/v1/webhook-endpoints/{created['id']}"
    refused = await client.post(path + "/test")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    on = (await patch(client, off, status="enabled")).json()
    assert (on["status"], on["disabled_reason"], on["version"]) == ("enabled", None, 3)
    await number_events(db)
    [told] = (await client.get("/v1/events")).json()["items"]
    assert (told["type"], told["data"]) == ("endpoint.disabled", {"endpoint_id": created["id"], "reason": "owner"})


@pytest.mark.parametrize("path", ["", "/test", "/deliveries"])
async def test_an_unknown_endpoint_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    for unknown in ("00000000-0000-7000-8000-000000000000", "1"):
        method = "POST" if path == "/test" else "GET"
        answer = await client.request(method, f"/v1/webhook-endpoints/{unknown}{path}")
        assert answer.status_code == (404 if len(unknown) > 1 else 422)


async def test_endpoints_come_in_pages(client: httpx.AsyncClient) -> None:
    ids = [(await create(client, url=f"https://example.com/{i}"))["id"] for i in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = (await client.get(f"/v1/webhook-endpoints?limit=2{cursor and '&cursor=' + cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]


async def test_scopes_are_needed(client: httpx.AsyncClient, db: Database) -> None:
    reader = {"Authorization": "Bearer " + await make_key(db, "webhooks:read")}
    assert (await client.get("/v1/webhook-endpoints", headers=reader)).status_code == 200
    assert (await client.post("/v1/webhook-endpoints", json=HOOK, headers=reader)).status_code == 403
    assert (await client.get("/v1/events", headers=reader)).status_code == 403
    assert (await client.get("/v1/events", headers={"Authorization": ""})).status_code == 401


async def test_the_feed_lists_what_webhooks_deliver(client: httpx.AsyncClient, db: Database) -> None:
    async with db.transaction() as session:
        ada, bob = await make_customers(session, 2, NOW)
        await append(session, updated([ada, bob], NOW))
        await append(session, moved([bob], NOW))
    assert (await client.get("/v1/events")).json()["items"] == []  # not yet numbered
    await number_events(db)

    async def feed(query: str) -> list[tuple[str, str]]:
        answer = await client.get(f"/v1/events?{query}")
        page = EventPage.model_validate(answer.json())
        assert page.next_cursor is None
        return [(item["type"], item["data"]["customer_id"]) for item in answer.json()["items"]]

    everything = [("customer.updated", str(ada)), ("customer.updated", str(bob)), ("lifecycle.stage_changed", str(bob))]
    assert await feed("") == everything
    assert await feed("type=lifecycle.*") == everything[2:]
    assert await feed(f"customer_id={bob}") == everything[1:]
    assert await feed(f"customer_id={bob}&type=customer.updated&type=action.due") == everything[1:2]


async def test_the_feed_is_read_in_pages_and_resumed(client: httpx.AsyncClient, db: Database) -> None:
    async def add(count: int) -> list[UUID]:
        async with db.transaction() as session:
            customers = await make_customers(session, count, NOW)
            await append(session, updated(customers, NOW))
        return customers

    first = await add(5)
    async with db.transaction() as session:
        await session.execute(text("UPDATE events SET position = id"))
    seen: list[str] = []
    cursor, pages = "", 0
    while True:
        page = (await client.get(f"/v1/events?limit=2{cursor and '&cursor=' + cursor}")).json()
        seen += [item["data"]["customer_id"] for item in page["items"]]
        cursor, pages = page["resume_cursor"], pages + 1
        if page["next_cursor"] is None:
            break
        assert page["next_cursor"] == cursor
    assert (seen, pages) == ([str(i) for i in first], 3)
    again = (await client.get(f"/v1/events?cursor={cursor}")).json()
    assert again == {"items": [], "next_cursor": None, "resume_cursor": cursor}
    [late] = await add(1)
    async with db.transaction() as session:
        await session.execute(text("UPDATE events SET position = id"))
    assert [i["data"]["customer_id"] for i in (await client.get(f"/v1/events?cursor={cursor}")).json()["items"]] == [
        str(late)
    ]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("type=nothing", 422),
        ("type=lifecycle", 422),
        ("customer_id=1", 422),
        ("limit=0", 422),
        ("limit=201", 422),
        ("since=yesterday", 422),
        ("cursor=garbage", 400),
        ("cursor=" + "W10", 400),
        ("type=%00", 422),
    ],
)
async def test_a_bad_question_to_the_feed_is_refused(client: httpx.AsyncClient, query: str, status: int) -> None:
    assert (await client.get(f"/v1/events?{query}")).status_code == status


async def test_a_cursor_belongs_to_its_filter(client: httpx.AsyncClient) -> None:
    cursor = (await client.get("/v1/events?type=action.*")).json()["resume_cursor"]
    assert (await client.get(f"/v1/events?type=action.*&cursor={cursor}")).status_code == 200
    answer = await client.get(f"/v1/events?cursor={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_deliveries_show_every_attempt(
    live_client: httpx.AsyncClient, worker: Worker, receiver: Receiver
) -> None:
    created = await create(live_client, url=receiver.url)
    path = f"/v1/webhook-endpoints/{created['id']}/deliveries"
    receiver.statuses.append(500)
    receiver.text = "thanks"
    await happen(worker, 3)
    await turn(worker)
    page = (await live_client.get(path + "?limit=2")).json()
    rest = (await live_client.get(path, params={"limit": 2, "cursor": page["next_cursor"]})).json()
    attempts = page["items"] + rest["items"]
    assert rest["next_cursor"] is None
    assert {a["event_id"] for a in attempts} == set(receiver.message_ids)
    assert sorted(a["id"] for a in attempts) == [a["id"] for a in attempts][::-1]
    [failed] = (await live_client.get(path + "?outcome=retry&outcome=dead")).json()["items"]
    assert (failed["status"], failed["error_class"], failed["attempt"]) == (500, "status", 1)
    assert (failed["answer"], failed["event_type"]) == ("thanks", "lifecycle.stage_changed")
    of_one = (await live_client.get(path, params={"event_id": failed["event_id"]})).json()["items"]
    assert of_one == [failed]
    for bad in ("outcome=lost", "event_id=evt_1", "sort=id"):
        assert (await live_client.get(f"{path}?{bad}")).status_code == 422


async def test_a_test_event_arrives_and_stays_out_of_the_feed(
    live_client: httpx.AsyncClient, worker: Worker, receiver: Receiver
) -> None:
    created = await create(live_client, url=receiver.url)
    answer = await live_client.post(f"/v1/webhook-endpoints/{created['id']}/test")
    assert answer.status_code == 202
    await turn(worker)
    assert receiver.message_ids == [answer.json()["event_id"]]
    await sequence_events(worker)
    assert (await live_client.get("/v1/events")).json()["items"] == []
