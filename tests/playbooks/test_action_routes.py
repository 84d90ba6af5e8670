"""Actions, inboxes and playbooks through the API."""

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.clock import new_id
from app.db import Database
from app.playbooks.performing import run_due
from tests.conftest import make_key
from tests.playbooks.makers import NOW, add_customer, change, enter, listed

DAY = timedelta(days=1)


async def the(client: httpx.AsyncClient, key: str) -> dict[str, Any]:
    return next(a for a in await listed(client) if a["key"] == key)


async def post(
    client: httpx.AsyncClient, action: dict[str, Any], verb: str, body: Any, **headers: str
) -> httpx.Response:
    headers = headers or {"If-Match": f'"{action["version"]}"'}
    return await client.post(f"/v1/actions/{action['id']}/{verb}", json=body, headers=headers)


async def test_an_adviser_sees_the_work_list_in_order_of_the_due_dates(
    client: httpx.AsyncClient, customer: UUID
) -> None:
    tasks = await listed(client, owner="mei", kind="task", state=["planned", "claimed"])
    assert [(a["key"], a["state"], a["due_at"]) for a in tasks] == [
        ("call", "claimed", "2026-03-03T10:00:00Z"),
        ("plan", "planned", "2026-03-22T10:00:00Z"),
    ]
    assert tasks[0]["content"]["en"]["subject"] == "Hello Ada Lin"


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({}, ["tip", "call", "mail", "plan"]),
        ({"sort": "-due_at"}, ["plan", "mail", "call", "tip"]),
        ({"kind": "message"}, ["tip", "mail"]),
        ({"stage": ["growth", "any"]}, ["tip", "call", "mail", "plan"]),
        ({"stage": "decline"}, []),
        ({"owner": "somebody"}, []),
        ({"state": "done"}, ["tip"]),
        ({"due_at[lte]": "2026-03-11T10:00:00Z"}, ["tip", "call", "mail"]),
        ({"due_at[lte]": "2026-03-11T09:59:59Z"}, ["tip", "call"]),
    ],
)
async def test_filters_mean_what_they_say(
    client: httpx.AsyncClient, customer: UUID, filters: dict, keys: list[str]
) -> None:
    assert sorted(keys) == sorted(a["key"] for a in await listed(client, **filters))
    if "sort" in filters:
        assert [a["key"] for a in await listed(client, **filters)][:2] == keys[:2]


async def test_pages_hold_every_action_once(client: httpx.AsyncClient, customer: UUID) -> None:
    seen, cursor = [], None
    while True:
        answer = await client.get("/v1/actions", params={"limit": 1, **({"cursor": cursor} if cursor else {})})
        seen += [a["key"] for a in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == ["call", "mail", "plan", "tip"]


async def test_a_cursor_belongs_to_its_list(client: httpx.AsyncClient, customer: UUID) -> None:
    first = (await client.get("/v1/actions", params={"limit": 1})).json()["next_cursor"]
    for address, params in (
        ("/v1/actions", {"state": "done", "cursor": first}),
        (f"/v1/customers/{customer}/actions", {"cursor": first}),
        (f"/v1/customers/{customer}/messages", {"cursor": first}),
        ("/v1/actions", {"cursor": "nonsense"}),
    ):
        answer = await client.get(address, params=params)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("moment", ["2026-03-03T10:00:00", "0001-01-01T00:00:00+23:59", "soon", 5, None])
async def test_a_forged_cursor_is_refused(client: httpx.AsyncClient, customer: UUID, moment: object) -> None:
    cursor = (await client.get("/v1/actions", params={"limit": 1})).json()["next_cursor"]
    fingerprint, _, action = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps([fingerprint, moment, action]).encode()).decode()
    answer = await client.get("/v1/actions", params={"cursor": forged})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"state": "open"}, "state"),
        ({"kind": "call"}, "kind"),
        ({"stage": "x"}, "stage"),
        ({"due_at[lte]": "2026-03-11T10:00:00"}, "due_at[lte]"),
        ({"limit": 201}, "limit"),
        ({"colour": "red"}, "colour"),
        ({"owner": ""}, "owner"),
        ({"owner": "\x00"}, "owner"),
    ],
)
async def test_filters_that_mean_nothing_are_named(client: httpx.AsyncClient, params: dict, pointer: str) -> None:
    answer = await client.get("/v1/actions", params=params)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_one_action_has_an_etag(client: httpx.AsyncClient, customer: UUID) -> None:
    call = await the(client, "call")
    answer = await client.get(f"/v1/actions/{call['id']}")
    assert (answer.json(), answer.headers["ETag"]) == (call, f'"{call["version"]}"')
    again = await client.get(f"/v1/actions/{call['id']}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_completed_task_keeps_its_outcome_and_the_series_goes_on(
    client: httpx.AsyncClient, customer: UUID
) -> None:
    call = await the(client, "call")
    answer = await post(client, call, "complete", {"outcome": "reached", "note": "Wants a plan."})
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert (done["state"], done["outcome"], done["note"]) == ("done", "reached", "Wants a plan.")
    assert (done["finished_at"], done["finished_by"]) == ("2026-03-03T10:00:00Z", "key:test")
    assert answer.headers["ETag"] == f'"{done["version"]}"' != f'"{call["version"]}"'
    [following] = [a for a in await listed(client) if a["key"] == "call" and a["occurrence"] == "2"]
    assert (following["state"], following["due_at"]) == ("planned", "2026-04-02T10:00:00Z")
    again = await post(client, done, "complete", {"outcome": "reached"})
    assert (again.status_code, again.json()["code"]) == (409, "action_not_open")


async def test_a_completed_task_is_told_to_the_world(client: httpx.AsyncClient, db: Database, customer: UUID) -> None:
    call = await the(client, "call")
    await post(client, call, "complete", {"outcome": "reached"})
    async with db.read() as connection:
        told = await connection.execute(text("SELECT body FROM events WHERE type = 'action.done'"))
        assert [body for body in told.scalars() if call["id"] in body]


async def test_a_task_may_be_done_before_its_day(client: httpx.AsyncClient, customer: UUID) -> None:
    answer = await post(client, await the(client, "plan"), "complete", {"outcome": "agreed"})
    assert (answer.status_code, answer.json()["state"], answer.json()["note"]) == (200, "done", None)


async def test_a_message_is_not_completed_by_hand(client: httpx.AsyncClient, customer: UUID) -> None:
    answer = await post(client, await the(client, "mail"), "complete", {"outcome": "sent"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_what_is_planned_can_be_cancelled_and_then_never_happens(
    client: httpx.AsyncClient, db: Database, customer: UUID
) -> None:
    answer = await post(client, await the(client, "mail"), "cancel", {"reason": "asked not to be written to"})
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert answer.json()["reason"] == "asked not to be written to"
    async with db.transaction() as session:
        await run_due(session, NOW + 10 * DAY)
    assert (await the(client, "mail"))["state"] == "cancelled"


async def test_a_task_on_the_list_can_be_cancelled_and_what_is_done_cannot(
    client: httpx.AsyncClient, customer: UUID
) -> None:
    assert (await post(client, await the(client, "call"), "cancel", {"reason": "moved"})).json()["state"] == "cancelled"
    answer = await post(client, await the(client, "tip"), "cancel", {"reason": "too late"})
    assert (answer.status_code, answer.json()["code"]) == (409, "action_not_open")


@pytest.mark.parametrize("verb", ["complete", "cancel"])
async def test_changes_need_the_etag_that_was_read(client: httpx.AsyncClient, customer: UUID, verb: str) -> None:
    body = {"outcome": "x"} if verb == "complete" else {"reason": "x"}
    plan = await the(client, "plan")
    missing = await client.post(f"/v1/actions/{plan['id']}/{verb}", json=body)
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    stale = await post(client, plan, verb, body, **{"If-Match": '"99"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert (await the(client, "plan"))["state"] == "planned"


@pytest.mark.parametrize(
    ("verb", "body", "pointer"),
    [
        ("complete", {}, "/outcome"),
        ("complete", {"outcome": ""}, "/outcome"),
        ("complete", {"outcome": "   "}, "/outcome"),
        ("complete", {"outcome": 5}, "/outcome"),
        ("complete", {"outcome": "x" * 101}, "/outcome"),
        ("complete", {"outcome": "x", "note": "y" * 5001}, "/note"),
        ("complete", {"outcome": "x\x00"}, "/outcome"),
        ("complete", {"outcome": "x", "state": "done"}, "/state"),
        ("cancel", {"reason": None}, "/reason"),
        ("cancel", {"reason": "x" * 501}, "/reason"),
        ("cancel", [], ""),
    ],
)
async def test_bad_bodies_are_named(
    client: httpx.AsyncClient, customer: UUID, verb: str, body: Any, pointer: str
) -> None:
    answer = await post(client, await the(client, "call"), verb, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_the_customers_own_list(client: httpx.AsyncClient, db: Database, customer: UUID) -> None:
    async with db.transaction() as session:
        await enter(session, change(await add_customer(session)))
    address = f"/v1/customers/{customer}/actions"
    assert len(await listed(client, address)) == 4
    assert [a["key"] for a in await listed(client, address, state="planned")] == ["mail", "plan"]
    assert len(await listed(client)) == 8


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/v1/actions/{id}"),
        ("POST", "/v1/actions/{id}/complete"),
        ("POST", "/v1/actions/{id}/cancel"),
        ("POST", "/v1/messages/{id}/read"),
        ("GET", "/v1/customers/{id}/actions"),
        ("GET", "/v1/customers/{id}/messages"),
        ("GET", "/v1/playbooks/2147483647"),
    ],
)
async def test_what_does_not_exist_is_not_found(client: httpx.AsyncClient, method: str, address: str) -> None:
    body = {"outcome": "x"} if "complete" in address else {"reason": "x"} if "cancel" in address else None
    answer = await client.request(method, address.format(id=new_id()), json=body, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(("scope", "status"), [("actions:read", 403), ("actions:write", 404), ("customers:read", 403)])
async def test_changing_an_action_needs_the_scope_for_it(
    client: httpx.AsyncClient, db: Database, scope: str, status: int
) -> None:
    key = await make_key(db, scope)
    answer = await client.post(
        f"/v1/actions/{new_id()}/complete",
        json={"outcome": "x"},
        headers={"Authorization": f"Bearer {key}", "If-Match": "*"},
    )
    assert answer.status_code == status
    listing = await client.get("/v1/actions", headers={"Authorization": f"Bearer {key}"})
    assert listing.status_code == (200 if scope == "actions:read" else 403)
