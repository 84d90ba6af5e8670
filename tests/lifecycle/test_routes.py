"""Signals in, stages out, through the API."""

import itertools
from datetime import timedelta

import pytest

from app.jobs import Worker
from app.lifecycle.sweeps import replay_parked
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


async def lifecycle_of(client, customer):
    return (await client.get(f"/v1/customers/{customer['id']}/lifecycle")).json()


async def test_the_lifecycle_says_what_holds_the_rules_back(client, clock):
    customer = await make_customer(client)
    assert (await lifecycle_of(client, customer))["held_back"] == []
    await send(client, signal(customer, "account_opened", account="main"))
    [limit] = (await lifecycle_of(client, customer))["held_back"]
    assert limit == {"code": "daily_limit", "until": "2026-03-03T10:00:00Z"}
    url = f"/v1/customers/{customer['id']}"
    await client.patch(url, json={"holds": ["dispute"]}, headers={"If-Match": "*"})
    held = await lifecycle_of(client, customer)
    assert [h["code"] for h in held["held_back"]] == ["hold", "daily_limit"]
    other = await make_customer(client)
    moved = {"to": "trial", "reason": "asked for it"}
    await client.post(f"/v1/customers/{other['id']}/transitions", json=moved, headers={"If-Match": "*"})
    assert [h["code"] for h in (await lifecycle_of(client, other))["held_back"]] == ["pin"]


async def test_a_closure_told_late_counts_although_a_stage_began_since(client):
    customer = await make_customer(client)
    await send(client, signal(customer, "account_opened", NOW, account="main"))
    receipt = await send(client, signal(customer, "closure_requested", NOW - timedelta(days=3)))
    assert [t["rule_id"] for t in receipt["transitions"]] == ["leaving"]


async def test_an_older_signal_decides_when_the_record_says_nothing(client):
    customer = await make_customer(client, kyc_status="none")
    await send(client, signal(customer, "kyc_passed", NOW - timedelta(days=30)))
    receipt = await send(client, *funded(customer))
    assert [t["rule_id"] for t in receipt["transitions"]] == ["fast_track"]
    late = await send(client, signal(customer, "kyc_rejected", NOW - timedelta(days=60)))
    assert late["results"][0]["status"] == "accepted"
    read = (await client.get(f"/v1/customers/{customer['id']}")).json()
    assert read["kyc_status"] == "passed", "the later signal stands, in the profile as in the facts"


async def test_a_parked_signal_finds_an_external_id_that_came_by_an_edit(client, db, settings, clock):
    await send(
        client, {**signal({"id": None}, "account_opened", account="main"), "customer": {"external_id": "late-1"}}
    )
    customer = await make_customer(client)
    url = f"/v1/customers/{customer['id']}"
    await client.patch(url, json={"external_ids": ["late-1"]}, headers={"If-Match": "*"})
    await replay_parked(Worker(db, settings, clock, http=None))
    assert (await client.get(url)).json()["stage"] == "trial"


async def test_odd_times_and_depths_are_refused_and_nothing_else(client):
    customer = await make_customer(client)
    deep = {"a": None}
    for _ in range(300):
        deep = {"a": deep}
    for body in (
        {**signal(customer, "login"), "occurred_at": "0001-01-01T00:00:00+14:00"},
        {**signal(customer, "login"), "occurred_at": 1763000000},
        {**signal(customer, "login"), "payload": deep},
    ):
        answer = await client.post("/v1/signals", json={"signals": [body]})
        assert answer.status_code in (400, 422), answer.text
    odd = signal(customer, "risk_profile_completed", valid_until="9999-12-31T23:59:59-14:00")
    assert (await send(client, odd))["results"][0]["code"] == "not_a_time"
