"""Simulations through the front door."""

import copy
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from app.lifecycle.policies import shipped_document
from app.lifecycle.sweeps import evaluate_due
from app.operations.running import run_now
from app.simulations import operation  # noqa: F401 - its kind is known then
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal


@pytest.fixture
def worker(live, settings, clock):
    return SimpleNamespace(database=live, settings=settings, clock=clock, http=None)


async def days_pass(live, clock, settings, days):
    for _ in range(days):
        clock.now += timedelta(days=1)
        async with live.transaction() as session:
            await evaluate_due(session, clock.now, settings.tz)


async def simulate(client, worker, **asked):
    answer = await client.post("/v1/lifecycle/simulations", json=asked)
    assert answer.status_code == 202, answer.text
    await run_now(worker, answer.json()["id"])
    found = (await client.get(f"/v1/lifecycle/simulations/{answer.json()['id']}")).json()
    assert found["status"] == "succeeded", found
    return found


def strict(days):
    """The shipped policy with a shorter patience for silence."""
    document = copy.deepcopy(shipped_document("wealth"))
    [dormant] = [rule for rule in document["rules"] if rule["id"] == "dormant_growth"]
    dormant["when"] = {"fact": "days_since_activity", "op": ">=", "value": days}
    return document


@pytest.fixture
async def population(live_client, live, clock, settings):
    """Three customers who grow; one falls silent for 40 days, one leaves, one of the three is moved by hand."""
    silent, leaving, moved = [await make_customer(live_client) for _ in range(3)]
    await send(live_client, *funded(silent), *funded(leaving), *funded(moved))
    await days_pass(live, clock, settings, 20)
    await send(live_client, signal(leaving, "closure_requested", clock.now), signal(moved, "login", clock.now))
    read = await live_client.get(f"/v1/customers/{moved['id']}")
    answer = await live_client.post(
        f"/v1/customers/{moved['id']}/transitions",
        json={"to": "decline", "reason": "told me on the phone"},
        headers={"If-Match": read.headers["ETag"]},
    )
    assert answer.status_code == 201, answer.text
    await days_pass(live, clock, settings, 20)
    return SimpleNamespace(silent=silent, leaving=leaving, moved=moved)


async def test_the_policies_that_applied_repeat_the_history(live_client, worker, population):
    found = await simulate(live_client, worker)
    result = found["result"]
    assert (result["customers"], result["differing"], result["listed"]) == (3, 0, 0)
    assert result["transitions"]["live"] == result["transitions"]["simulated"] == 5
    assert all(day["messages_live"] == day["messages_simulated"] for day in result["load"])
    assert sum(day["messages_live"] for day in result["load"]) > 0


async def test_another_policy_shows_who_would_be_elsewhere_and_why(live_client, worker, population):
    found = await simulate(live_client, worker, policy={"document": strict(30)})
    result = found["result"]
    assert result["differing"] == 1
    cells = {(c["live"], c["simulated"]): c["customers"] for c in result["matrix"]}
    assert cells == {("growth", "decline"): 1, ("decline", "decline"): 2}
    page = (await live_client.get(f"/v1/lifecycle/simulations/{found['id']}/customers")).json()
    [apart] = page["items"]
    assert apart["customer_id"] == population.silent["id"]
    assert apart["first_live"] is None
    step = apart["first_simulated"]
    assert (step["rule_id"], step["facts"]["days_since_activity"]) == ("dormant_growth", 30)


async def test_a_simulation_writes_nothing_live(live_client, live, worker, population):
    count = text(
        "SELECT (SELECT count(*) FROM transitions), (SELECT count(*) FROM actions), (SELECT max(version) FROM customers),"
        " (SELECT count(*) FROM lifecycle_inputs), (SELECT count(*) FROM events WHERE type <> 'operation.finished')"
    )
    async with live.read() as connection:
        before = (await connection.execute(count)).one()
    await simulate(live_client, worker, policy={"document": strict(30)})
    async with live.read() as connection:
        assert (await connection.execute(count)).one() == before


async def test_the_other_policy_applies_from_the_beginning_of_the_period_only(live_client, worker, population):
    late = (NOW + timedelta(days=38)).isoformat()
    found = await simulate(live_client, worker, policy={"document": strict(30)}, **{"from": late})
    page = (await live_client.get(f"/v1/lifecycle/simulations/{found['id']}/customers")).json()
    [apart] = page["items"]
    assert apart["first_simulated"]["evaluated_at"][:16] == late[:16]


async def test_a_filter_chooses_whom_to_simulate(live_client, worker, population):
    found = await simulate(live_client, worker, filter={"stage": ["growth"]})
    assert found["result"]["customers"] == 1


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"from": "2026-03-02T10:00:00Z", "to": "2026-03-02T10:00:00Z"}, "/from"),
        ({"from": "2026-03-02T10:00:00Z", "to": "2026-03-01T10:00:00Z"}, "/from"),
        ({"to": "2036-03-02T10:00:00Z"}, "/to"),
        ({"policy": {"version": 77}}, "/policy/version"),
        ({"policy": {}}, "/policy"),
        ({"policy": {"version": 1, "document": {}}}, "/policy"),
        ({"policy": {"document": {"rules": "none"}}}, "/policy/document/rules"),
        ({"filter": {"stage": ["nowhere"]}}, "/filter/stage/0"),
        ({"filter": {"one_in": 0}}, "/filter/one_in"),
        ({"knowledge": "as_wished"}, "/knowledge"),
    ],
)
async def test_what_cannot_be_simulated_is_refused_by_the_name_of_the_field(client, asked, pointer):
    answer = await client.post("/v1/lifecycle/simulations", json=asked)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_misspelt_fact_is_answered_with_the_nearest_name(client):
    document = strict(30)
    document["rules"][0]["when"]["fact"] = "trial_startd"
    answer = await client.post("/v1/lifecycle/simulations", json={"policy": {"document": document}})
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/policy/document/rules/0/when/fact"
    assert "did you mean trial_started?" in error["detail"]


async def test_an_operation_of_another_kind_is_no_simulation(client):
    answer = await client.get("/v1/lifecycle/simulations/00000000-0000-7000-8000-000000000000")
    assert answer.status_code == 404
