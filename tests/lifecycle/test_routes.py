"""Signals in, stages out, through the API."""

import itertools
from datetime import timedelta

import pytest

from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal


async def test_a_trial_begins_when_an_account_is_opened(client):
    customer = await make_customer(client)
    receipt = await send(client, signal(customer, "account_opened", account="main"))
    [transition] = receipt["transitions"]
    assert (transition["from_stage"], transition["to_stage"], transition["rule_id"]) == (
        "prospect",
        "trial",
        "trial_started",
    )
    read = (await client.get(f"/v1/customers/{customer['id']}")).json()
    assert read["stage"] == "trial"
    assert read["version"] == customer["version"] + 1


async def test_a_large_first_payment_leads_straight_to_growth(client):
    customer = await make_customer(client)
    receipt = await send(client, *funded(customer))
    assert [t["to_stage"] for t in receipt["transitions"]] == ["growth"]
    assert receipt["transitions"][0]["facts"]["first_funding"] == 25000


async def test_a_repeated_batch_changes_nothing(client):
    customer = await make_customer(client)
    batch = funded(customer)
    await send(client, *batch)
    again = await send(client, *batch, batch[0])
    assert [r["status"] for r in again["results"]] == ["duplicate"] * 3
    assert again["transitions"] == []
    signals = (await client.get(f"/v1/customers/{customer['id']}/signals")).json()["items"]
    assert len([s for s in signals if s["source"] != "stagefolio"]) == 2


async def test_each_signal_has_its_own_result(client):
    customer = await make_customer(client)
    good = signal(customer, "login")
    results = (
        await send(
            client,
            good,
            good,
            signal(customer, "no_such_type"),
            signal(customer, "login", NOW + timedelta(minutes=6)),
            signal({"id": "00000000-0000-7000-8000-000000000000"}, "login"),
            signal(customer, "deposit"),
            signal(customer, "deposit", amount=12.5),
            {**signal(customer, "login"), "customer": {"external_id": "not yet"}},
            {**signal(customer, "login"), "source": "stagefolio"},
        )
    )["results"]
    assert [(r["status"], r["code"]) for r in results] == [
        ("accepted", None),
        ("duplicate", None),
        ("rejected", "unknown_type"),
        ("rejected", "in_the_future"),
        ("rejected", "unknown_customer"),
        ("rejected", "missing"),
        ("rejected", "not_an_amount"),
        ("parked", "unknown_customer"),
        ("rejected", "reserved_source"),
    ]
    assert "amount" in results[5]["detail"]


async def test_a_parked_signal_is_replayed_when_its_customer_is_created(client):
    early = {**signal({"id": None}, "account_opened", account="main"), "customer": {"external_id": "crm-77"}}
    await send(client, early)
    customer = await make_customer(client, external_ids=["crm-77"])
    assert customer["stage"] == "trial"


async def test_the_lifecycle_explains_itself(client):
    customer = await make_customer(client)
    await send(client, signal(customer, "account_opened", account="main"), signal(customer, "deposit", amount="780"))
    answer = (await client.get(f"/v1/customers/{customer['id']}/lifecycle")).json()
    assert answer["stage"] == "trial"
    assert answer["entered_by"] == "trial_started"
    rule = next(r for r in answer["rules"] if r["id"] == "converted")
    funding = next(c for c in rule["conditions"] if c["fact"] == "funded_here")
    assert (funding["actual"], funding["threshold"], funding["distance"]) == (780, 1000, 220)
    assert "funded_here" in rule["blocked_by"]
    assert answer["next_evaluation_at"] > NOW.isoformat()[:10]


async def test_the_lifecycle_speaks_chinese(client):
    customer = await make_customer(client)
    url = f"/v1/customers/{customer['id']}/lifecycle"
    answer = (await client.get(url, headers={"Accept-Language": "zh-CN"})).json()
    labels = {c["label"] for rule in answer["rules"] for c in rule["conditions"]}
    assert "身份核验" in labels


async def test_a_move_by_hand_needs_a_reason_and_pins_the_stage(client):
    customer = await make_customer(client)
    url = f"/v1/customers/{customer['id']}/transitions"
    etag = f'"{customer["version"]}"'
    assert (await client.post(url, json={"to": "trial", "reason": "x"}, headers={"If-Match": etag})).status_code == 422
    body = {"to": "trial", "reason": "asked for it at the branch"}
    assert (await client.post(url, json=body)).status_code == 428
    assert (await client.post(url, json=body, headers={"If-Match": '"99"'})).status_code == 412
    moved = await client.post(url, json=body, headers={"If-Match": etag})
    assert moved.status_code == 201, moved.text
    assert moved.json()["actor"] == "key:test"
    read = await client.get(f"/v1/customers/{customer['id']}")
    assert read.headers["ETag"] == moved.headers["ETag"]
    assert read.json()["pin"]["reason"] == "asked for it at the branch"
    receipt = await send(client, *funded(customer))
    assert receipt["transitions"] == [], "a pinned customer is moved by leaving only"
    receipt = await send(client, signal(customer, "closure_requested"))
    assert [t["rule_id"] for t in receipt["transitions"]] == ["leaving"]


@pytest.mark.parametrize(("to", "code"), [("prospect", "same_stage"), ("mature", "no_edge")])
async def test_an_impossible_move_names_its_blockers(client, to, code):
    customer = await make_customer(client)
    answer = await client.post(
        f"/v1/customers/{customer['id']}/transitions",
        json={"to": to, "reason": "because"},
        headers={"If-Match": f'"{customer["version"]}"'},
    )
    assert answer.status_code == 409
    assert [b["code"] for b in answer.json()["blockers"]] == [code]


async def test_history_is_dense_and_contiguous(client):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    await send(client, signal(customer, "closure_requested"))
    transitions = (await client.get(f"/v1/customers/{customer['id']}/transitions")).json()["items"]
    assert [t["sequence"] for t in transitions] == [2, 1]
    intervals = (await client.get(f"/v1/customers/{customer['id']}/intervals")).json()["items"]
    assert [i["stage"] for i in intervals] == ["prospect", "growth", "decline"]
    assert all(a["exited_at"] == b["entered_at"] for a, b in itertools.pairwise(intervals))
    assert intervals[-1]["exited_at"] is None


async def test_the_policy_can_be_read(client):
    listed = (await client.get("/v1/lifecycle/policies")).json()["items"]
    assert [p["version"] for p in listed] == [1]
    policy = (await client.get("/v1/lifecycle/policies/1")).json()
    assert {r["id"] for r in policy["document"]["rules"]} >= {"trial_started", "leaving"}
    assert (await client.get("/v1/lifecycle/policies/9")).status_code == 404


async def test_1001_signals_are_refused_whole(client):
    customer = await make_customer(client)
    batch = [signal(customer, "login") for _ in range(1001)]
    answer = await client.post("/v1/signals", json={"signals": batch})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/signals"
