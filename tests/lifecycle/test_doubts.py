"""What looks like a reason to take a step back, and is none; and what is told of it."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from app.jobs import Worker
from app.lifecycle.core.facts import FACTS
from app.lifecycle.sweeps import evaluate_due
from app.operations.running import run_now
from tests.conftest import NOW
from tests.customers.merging import merged, undo
from tests.factories import funded, make_customer, send, signal
from tests.lifecycle.policy_drafts import make_draft, publish, wealth


@pytest.fixture
def worker(live, settings, clock):
    return Worker(live, settings, clock, http=None)


def retraction(customer, target, **fields):
    return signal(customer, "signal_retracted", NOW, source_event_id=target["source_event_id"]) | fields


async def test_a_step_caused_by_a_duplicate_stands_when_they_are_parted_and_a_late_signal_comes(live_client, clock):
    customer, duplicate = await make_customer(live_client), await make_customer(live_client)
    await send(live_client, signal(customer, "risk_profile_completed", NOW))
    await send(live_client, signal(duplicate, "deposit", NOW, amount="25000", account="main"))
    clock.now = NOW + timedelta(days=1)
    merge = await merged(live_client, customer, duplicate)
    clock.now = NOW + timedelta(days=2)
    assert (await undo(live_client, merge)).status_code == 200
    clock.now = NOW + timedelta(days=3)
    late = await send(live_client, signal(customer, "contact_out", NOW + timedelta(hours=1)))
    assert late["transitions"] == []


async def test_a_formula_that_changes_with_the_service_takes_no_step_back(client, clock, monkeypatch):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    clock.now = NOW + timedelta(days=3)
    former = FACTS["first_funding"]
    monkeypatch.setitem(FACTS, "first_funding", replace(former, formula=lambda g: former.formula(g) * 0.3))
    assert (await send(client, signal(customer, "contact_out", NOW - timedelta(days=1))))["transitions"] == []


async def test_a_confirm_window_that_was_broken_after_all_begins_anew(live_client, live, clock, settings, worker):
    customer = await make_customer(live_client)
    await send(live_client, *funded(customer))
    quiet = {"fact": "logins_14d", "op": "<=", "value": 0}
    document = wealth("matured", when=quiet, min_dwell_days=0, confirm_days=14)
    next(rule for rule in document["rules"] if rule["id"] == "matured").pop("guards", None)
    answer = await publish(live_client, await make_draft(live_client, document))
    await run_now(worker, UUID(answer.json()["id"]))
    for day in range(1, 29):
        clock.now = NOW + timedelta(days=day)
        async with live.transaction() as session:
            await evaluate_due(session, clock.now, settings.tz)
    late = await send(live_client, signal(customer, "login", NOW + timedelta(days=13)))
    assert [t["kind"] for t in late["transitions"]] == ["correction"]


async def test_taking_back_what_says_nothing_of_the_profile_leaves_the_profile_alone(client):
    customer = await make_customer(client)
    login = signal(customer, "login")
    await send(client, login)
    before = (await client.get(f"/v1/customers/{customer['id']}")).json()
    await send(client, retraction(customer, login))
    assert (await client.get(f"/v1/customers/{customer['id']}")).json() == before


async def test_a_retraction_that_stands_twice_in_a_batch_counts_once(client):
    customer = await make_customer(client)
    login = signal(customer, "login")
    await send(client, login)
    back = retraction(customer, login)
    assert [r["status"] for r in (await send(client, back, back))["results"]] == ["accepted", "duplicate"]


async def test_a_retraction_finds_no_signal_that_is_a_duplicate_of_somebody_elses(client):
    one, other = await make_customer(client), await make_customer(client)
    login = signal(one, "login")
    await send(client, login)
    results = (await send(client, login | {"customer": {"id": other["id"]}}, retraction(other, login)))["results"]
    assert [(r["status"], r["code"]) for r in results] == [("duplicate", None), ("rejected", "unknown_signal")]


async def test_a_move_by_hand_that_time_has_overtaken_finds_the_new_state_when_repeated(client, clock):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    clock.now = NOW + timedelta(days=200)
    tags = []
    for _ in range(2):
        read = await client.get(f"/v1/customers/{customer['id']}")
        tags.append(read.headers["ETag"])
        move = await client.post(
            f"/v1/customers/{customer['id']}/transitions",
            json={"to": "decline", "reason": "told me on the phone"},
            headers={"If-Match": tags[-1]},
        )
        assert move.status_code in (409, 412)
    assert tags[0] != tags[1]
    assert move.json()["blockers"] == [{"code": "same_stage", "stage": "decline"}]


async def test_a_worker_whose_clock_is_behind_rolls_out_all_the_same(live_client, worker, clock):
    await make_customer(live_client)
    document = wealth("dormant_growth", when={"fact": "days_since_activity", "op": ">=", "value": 35})
    answer = await publish(live_client, await make_draft(live_client, document))
    clock.now = NOW - timedelta(milliseconds=20)
    await run_now(worker, UUID(answer.json()["id"]))
    found = (await live_client.get(f"/v1/operations/{answer.json()['id']}")).json()
    assert (found["status"], found["result"]["customers"]) == ("succeeded", 1)
