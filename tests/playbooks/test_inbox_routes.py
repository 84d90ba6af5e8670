"""The in-app inbox and the playbooks through the API."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.db import Database
from app.playbooks.performing import run_due
from app.playbooks.schemas import ActionPage, MessagePage, PlaybookList, PlaybookRead
from tests.conftest import NOW, FrozenClock
from tests.playbooks.makers import add_customer, change, definition, enter, listed, publish_playbook

DAY = timedelta(days=1)


async def test_the_inbox_and_reading_it(client: httpx.AsyncClient, customer: UUID, clock: FrozenClock) -> None:
    address = f"/v1/customers/{customer}/messages"
    [message] = await listed(client, address)
    assert (message["subject"], message["body"], message["read_at"]) == ("Hello Ada Lin", "From mei.", None)
    clock.now = NOW + 2 * DAY
    read = await client.post(f"/v1/messages/{message['id']}/read")
    assert read.json() == {**message, "read_at": "2026-03-04T10:00:00Z"}
    clock.now = NOW + 3 * DAY
    assert (await client.post(f"/v1/messages/{message['id']}/read")).json() == read.json()
    assert await listed(client, address, unread="true") == []
    assert len(await listed(client, address, unread="false")) == 1


async def test_pages_of_the_inbox_are_newest_first(client: httpx.AsyncClient, db: Database) -> None:
    async with db.transaction() as session:
        await publish_playbook(session, definition("letter", every="P1D"))
        customer = await add_customer(session)
        await enter(session, change(customer))
        for day in range(1, 5):
            await run_due(session, NOW + day * DAY)
    address = f"/v1/customers/{customer}/messages"
    first = (await client.get(address, params={"limit": 3})).json()
    rest = (await client.get(address, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    times = [m["created_at"] for m in first["items"] + rest["items"]]
    assert times == sorted(times, reverse=True)
    assert (len(times), rest["next_cursor"]) == (4, None)


@pytest.mark.parametrize("version", ["0", "-1", "x", "99999999999999"])
async def test_a_version_that_cannot_be_is_named(client: httpx.AsyncClient, version: str) -> None:
    answer = await client.get(f"/v1/playbooks/{version}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "version")


async def test_the_shipped_playbook_can_be_read(client: httpx.AsyncClient) -> None:
    [summary] = await listed(client, "/v1/playbooks")
    assert (summary["version"], summary["status"]) == (1, "published")
    book = (await client.get("/v1/playbooks/1")).json()
    assert {name: book[name] for name in summary} == summary
    actions = {a["key"]: a for a in book["actions"]}
    assert actions["check_in"]["every"] == {"A": "P30D", "B": "P90D", "C": "P180D"}
    assert actions["coupon"]["offset"] == {"A": "P2D", "B": "P2D", "C": "P2D"}
    assert actions["coupon"]["action_class"] == "retention"
    assert {frozenset(a) for a in book["actions"]} == {frozenset(book["actions"][0])}


async def test_answers_have_the_shape_that_the_document_promises(client: httpx.AsyncClient, customer: UUID) -> None:
    for address, model in (
        ("/v1/actions", ActionPage),
        (f"/v1/customers/{customer}/messages", MessagePage),
        ("/v1/playbooks", PlaybookList),
        ("/v1/playbooks/1", PlaybookRead),
    ):
        answer = (await client.get(address)).json()
        promised = model.model_validate(answer).model_dump(mode="json")
        assert _names(promised) == _names(answer)


def _names(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _names(inner) for name, inner in value.items()}
    return [_names(inner) for inner in value] if isinstance(value, list) else None
