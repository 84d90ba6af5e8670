"""Signals whose customer nobody knows: they wait, are found, or are told why not. None is lost in silence."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.jobs import Worker
from app.lifecycle.sweeps import forget_parked, replay_parked
from tests.conftest import NOW, make_key
from tests.factories import make_customer, send, signal

URL = "/v1/parked-signals"


def stray(external_id, kind="account_opened", at=NOW, **payload):
    """A signal of an external id."""
    return {**signal({"id": None}, kind, at, **payload), "customer": {"external_id": external_id}}


def retraction(external_id, target):
    return stray(external_id, "signal_retracted", source_event_id=target)


async def parked(client, **query):
    answer = await client.get(URL, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def replay(client, *external_ids):
    answer = await client.post(f"{URL}/replay", json={"external_ids": list(external_ids)})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def give(client, customer, *external_ids):
    """Give a customer external ids by an edit, which replays nothing by itself."""
    answer = await client.patch(
        f"/v1/customers/{customer['id']}", json={"external_ids": list(external_ids)}, headers={"If-Match": "*"}
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture
def worker(db, settings, clock):
    return Worker(db, settings, clock, http=None)


async def test_a_parked_signal_is_listed_until_its_customer_comes(client):
    early = stray("crm-1", account="main")
    await send(client, early)
    assert await parked(client) == [
        {
            "source": "core-banking",
            "source_event_id": early["source_event_id"],
            "external_id": "crm-1",
            "type": "account_opened",
            "occurred_at": "2026-03-02T10:00:00Z",
            "expires_at": "2026-03-05T10:00:00Z",
            "status": "waiting",
            "code": None,
            "detail": None,
            "payload": {"account": "main"},
        }
    ]
    customer = await make_customer(client, external_ids=["crm-1"])
    assert customer["stage"] == "trial"
    assert await parked(client) == []


async def test_what_expired_is_listed_and_can_still_be_replayed(client, clock, worker):
    early = stray("crm-1", account="main")
    await send(client, early)
    clock.now = NOW + timedelta(hours=72)
    assert [p["status"] for p in await parked(client)] == ["expired"]
    customer = await make_customer(client, external_ids=["crm-1"])
    await replay_parked(worker)
    assert customer["stage"] == "prospect"
    assert [p["status"] for p in await parked(client, status="expired")] == ["expired"]
    receipt = await replay(client, "crm-1", "crm-2")
    assert receipt["results"] == [
        {
            "source": "core-banking",
            "source_event_id": early["source_event_id"],
            "external_id": "crm-1",
            "status": "accepted",
            "customer_id": customer["id"],
            "code": None,
            "detail": None,
        }
    ]
    assert [t["rule_id"] for t in receipt["transitions"]] == ["trial_started"]
    assert (receipt["unknown_external_ids"], receipt["remaining"]) == (["crm-2"], 0)
    assert await parked(client) == []
    assert (await replay(client, "crm-1"))["results"] == []


async def test_what_is_refused_when_the_customer_comes_is_kept_with_the_reason(client, worker):
    await send(client, stray("crm-1", account="main"), retraction("crm-1", "never sent"))
    customer = await make_customer(client, external_ids=["crm-1"])
    assert customer["stage"] == "trial"
    [refused] = await parked(client)
    assert (refused["status"], refused["code"], refused["type"]) == ("refused", "unknown_signal", "signal_retracted")
    assert "payload.source_event_id" in refused["detail"]
    await replay_parked(worker)
    assert await parked(client, status="refused") == [refused]
    receipt = await replay(client, "crm-1")
    assert [(r["status"], r["code"]) for r in receipt["results"]] == [("rejected", "unknown_signal")]
    assert await parked(client) == [refused]


async def test_erasing_a_customer_erases_what_was_kept_under_its_external_ids(client):
    await send(client, retraction("crm-1", "never sent"), retraction("crm-2", "never sent"))
    customer = await make_customer(client, external_ids=["crm-1"])
    read = await client.get(f"/v1/customers/{customer['id']}")
    await client.delete(f"/v1/customers/{customer['id']}", headers={"If-Match": read.headers["ETag"]})
    assert [p["external_id"] for p in await parked(client)] == ["crm-2"]


async def test_a_refused_signal_is_recorded_once_nothing_stands_in_its_way(client, clock):
    target = signal({"id": None}, "login")
    await send(client, retraction("crm-1", target["source_event_id"]))
    customer = await make_customer(client, external_ids=["crm-1"])
    await send(client, {**target, "customer": {"id": customer["id"]}})
    receipt = await replay(client, "crm-1")
    assert [r["status"] for r in receipt["results"]] == ["accepted"]
    assert await parked(client) == []
    kept = (await client.get(f"/v1/customers/{customer['id']}/signals", params={"type": "login"})).json()["items"]
    assert kept[0]["retracted_at"] is not None


async def test_what_is_refused_by_the_sweep_is_kept_and_not_tried_every_second(client, worker, statements):
    await send(client, retraction("crm-1", "never sent"))
    customer = await make_customer(client)
    await give(client, customer, "crm-1")
    await replay_parked(worker)
    assert [p["code"] for p in await parked(client, status="refused")] == ["unknown_signal"]
    statements.texts.clear()
    await replay_parked(worker)
    assert not [s for s in statements.texts if "UPDATE" in s]


async def test_a_signal_sent_again_is_parked_no_more(client):
    early = stray("crm-1", account="main")
    await send(client, early)
    customer = await make_customer(client)
    await give(client, customer, "crm-1")
    again = await send(client, early)
    assert [r["status"] for r in again["results"]] == ["accepted"]
    assert await parked(client) == []
    assert (await replay(client, "crm-1"))["results"] == []


async def test_what_waits_keeps_its_time_and_what_expired_waits_anew_when_it_is_sent_again(client, clock):
    early = stray("crm-1", account="main")
    await send(client, early, early)
    clock.now = NOW + timedelta(hours=71)
    await send(client, early)
    assert [p["expires_at"] for p in await parked(client)] == ["2026-03-05T10:00:00Z"]
    clock.now = NOW + timedelta(hours=73)
    await send(client, {**early, "payload": {"account": "other"}})
    [waiting] = await parked(client, status="waiting")
    assert (waiting["expires_at"], waiting["payload"]) == ("2026-03-08T11:00:00Z", {"account": "other"})


async def test_the_list_can_be_filtered_and_paged(client, clock):
    for n in range(5):
        clock.now = NOW + timedelta(hours=n)
        await send(client, stray(f"crm-{n % 2}"), {**stray("other"), "source": "web"})
    clock.now = NOW + timedelta(hours=74)
    assert len(await parked(client)) == 10
    assert {p["status"] for p in await parked(client)} == {"waiting", "expired"}
    assert len(await parked(client, status="expired")) == 6
    assert len(await parked(client, status=["waiting", "expired"])) == 10
    assert await parked(client, status="refused") == []
    assert {p["external_id"] for p in await parked(client, source="web")} == {"other"}
    assert len(await parked(client, external_id="crm-0", source="core-banking")) == 3
    seen, cursor = [], None
    while cursor or not seen:
        page = (await client.get(URL, params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        seen += [(p["expires_at"], p["source"]) for p in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 10
    assert seen == sorted(seen, reverse=True)


async def test_a_parked_signal_can_be_deleted(client):
    early = {**stray("crm-1"), "source_event_id": "a/b c?d"}
    await send(client, early)
    key = {"source": "core-banking", "source_event_id": "a/b c?d"}
    assert (await client.delete(URL, params=key)).status_code == 204
    assert await parked(client) == []
    assert (await client.delete(URL, params=key)).status_code == 404
    missing = await client.delete(URL, params={"source": "core-banking"})
    assert [error["pointer"] for error in missing.json()["errors"]] == ["source_event_id"]
    assert (await make_customer(client, external_ids=["crm-1"]))["stage"] == "prospect"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/external_ids"),
        ({"external_ids": []}, "/external_ids"),
        ({"external_ids": "crm-1"}, "/external_ids"),
        ({"external_ids": [f"crm-{n}" for n in range(501)]}, "/external_ids"),
        ({"external_ids": [""]}, "/external_ids/0"),
        ({"external_ids": ["crm-1"], "all": True}, "/all"),
    ],
)
async def test_a_replay_that_makes_no_sense_is_refused_with_the_field(client, body, pointer):
    answer = await client.post(f"{URL}/replay", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_what_expired_long_ago_is_deleted(client, clock, worker, db):
    await send(client, stray("crm-1"))
    clock.now = NOW + timedelta(hours=1)
    await send(client, stray("crm-2"))
    clock.now = NOW + timedelta(hours=72, days=90, minutes=30)
    assert await forget_parked(worker) is False
    assert [p["external_id"] for p in await parked(client)] == ["crm-2"]


async def test_parked_signals_can_be_read_and_replayed_with_different_keys(client, db):
    reader = {"Authorization": f"Bearer {await make_key(db, 'lifecycle:read')}"}
    sender = {"Authorization": f"Bearer {await make_key(db, 'signals:write')}"}
    body = {"external_ids": ["crm-1"]}
    assert (await client.get(URL, headers=reader)).status_code == 200
    assert (await client.get(URL, headers=sender)).status_code == 403
    assert (await client.post(f"{URL}/replay", json=body, headers=reader)).status_code == 403
    assert (await client.post(f"{URL}/replay", json=body, headers=sender)).status_code == 200


async def test_two_replays_at_once_record_everything_once(live, live_client, settings, clock):
    await send(live_client, *(stray("crm-1", "login", NOW - timedelta(minutes=n)) for n in range(50)))
    customer = await make_customer(live_client)
    await give(live_client, customer, "crm-1")
    worker = Worker(live, settings, clock, http=None)
    receipts = await asyncio.gather(
        replay(live_client, "crm-1"), replay(live_client, "crm-1"), replay_parked(worker), replay_parked(worker)
    )
    statuses = [r["status"] for receipt in receipts[:2] for r in receipt["results"]]
    assert statuses.count("accepted") in (0, 50)
    async with live.read() as connection:
        logins = await connection.scalar(text("SELECT sum(logins) FROM customer_day"))
        left = await connection.scalar(text("SELECT count(*) FROM parked_signals"))
    assert (logins, left) == (50, 0)


async def test_a_parked_signal_and_its_repetition_race_without_a_deadlock(live, live_client, settings, clock):
    batch = [stray("crm-1", "login", NOW - timedelta(minutes=n)) for n in range(200)]
    await send(live_client, *batch)
    customer = await make_customer(live_client)
    for _ in range(3):
        await give(live_client, customer, "crm-1")
        sent = await asyncio.gather(send(live_client, *batch), send(live_client, *reversed(batch)))
        assert {r["status"] for receipt in sent for r in receipt["results"]} <= {"accepted", "duplicate"}
    assert await parked(live_client) == []
