"""How long customers are in their stages, of one and of all."""

from datetime import timedelta

from sqlalchemy import insert, update

from app.customers.models import Customer
from app.lifecycle.core.stages import STAGES
from app.lifecycle.explaining.schemas import LifecycleOverview
from app.lifecycle.models import LifecyclePolicy, LifecycleState
from app.lifecycle.policies import digest, shipped_document
from app.lifecycle.time_in_stage import by_stage, overdue_days
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal
from tests.lifecycle.test_explanation_routes import by_hand, lifecycle, same_shape

TARGETS = {"prospect": 60, "trial": 30, "growth": 365, "mature": 1095, "decline": 90}


def days(number):
    return timedelta(days=number)


def lines(answer):
    return {line["stage"]: line for line in answer["stages"]}


async def overview(client):
    answer = await client.get("/v1/lifecycle/overview")
    assert answer.status_code == 200, answer.text
    assert same_shape(answer.json(), LifecycleOverview)
    return answer.json()


async def at_day(client, clock, number, customer, *stages):
    """Move a customer by hand, a number of days after the beginning."""
    clock.now = NOW + days(number)
    for stage in stages:
        await by_hand(client, customer, stage)


async def test_every_stage_says_how_often_and_how_long(client, clock):
    customer = await make_customer(client)
    await at_day(client, clock, 10, customer, "trial")
    await at_day(client, clock, 30, customer, "prospect")
    await at_day(client, clock, 35, customer, "trial")
    clock.now = NOW + days(80)
    answer = await lifecycle(client, customer)
    found = lines(answer)
    assert list(found) == list(STAGES)
    shown = {
        name: (line["visits"], line["total_days"], line["current"], line["overdue"]) for name, line in found.items()
    }
    assert shown == {
        "prospect": (2, 15, False, False),
        "trial": (2, 65, True, True),
        "growth": (0, 0, False, False),
        "mature": (0, 0, False, False),
        "decline": (0, 0, False, False),
    }
    trial = found["trial"]
    entries = [trial[key] for key in ("first_entered_at", "last_entered_at", "last_exited_at")]
    assert entries == ["2026-03-12T10:00:00Z", "2026-04-06T10:00:00Z", "2026-04-01T10:00:00Z"]
    assert (answer["days_in_stage"], answer["target_days"], answer["overdue"], answer["overdue_days"]) == (
        45,
        30,
        True,
        15,
    )
    stays = (await client.get(f"/v1/customers/{customer['id']}/intervals")).json()["items"]
    for name, line in found.items():
        assert line["total_days"] == sum(stay["days"] for stay in stays if stay["stage"] == name)


async def test_a_customer_within_the_target_is_not_overdue(client, clock):
    customer = await make_customer(client)
    clock.now = NOW + days(60)
    on_time = await lifecycle(client, customer)
    assert (on_time["overdue"], on_time["overdue_days"], lines(on_time)["prospect"]["overdue"]) == (False, 0, False)
    clock.now = NOW + days(61)
    late = await lifecycle(client, customer)
    assert (late["overdue"], late["overdue_days"], lines(late)["prospect"]["overdue"]) == (True, 1, True)


def test_without_a_target_nobody_is_overdue():
    assert (overdue_days(500, None), overdue_days(31, 30), overdue_days(30, 30)) == (0, 1, 0)
    assert [line["target_days"] for line in by_stage([], "trial", 0, {"trial": 30})] == [None, 30, None, None, None]


async def test_the_overview_counts_each_open_customer_once(client, clock, session):
    made = [await make_customer(client) for _ in range(5)]
    await send(client, signal(made[0], "account_opened", account="main"))
    await make_customer(client, holds=["dispute"])
    clock.now = NOW + days(61)
    young = [await make_customer(client) for _ in range(2)]
    await by_hand(client, made[1], "trial")
    closed, merged = made[3], made[4]
    await session.execute(update(Customer).where(Customer.id == closed["id"]).values(relationship="closed"))
    await session.execute(update(Customer).where(Customer.id == merged["id"]).values(merged_into=made[0]["id"]))
    answer = await overview(client)
    found = lines(answer)
    assert list(found) == list(STAGES)
    assert (answer["as_of"], answer["policy_version"]) == ("2026-05-02T10:00:00Z", 1)
    prospect = found[
        "prospect"
    ]  # made[2], the one on hold, and the two young ones; made[0] was not yet looked at again
    assert (prospect["customers"], prospect["closed"], prospect["on_hold"], prospect["pinned"]) == (4, 1, 1, 0)
    assert (prospect["overdue"], prospect["target_days"], prospect["median_days_in_stage"]) == (2, 60, 0)
    trial = found["trial"]
    assert (trial["customers"], trial["closed"], trial["pinned"], trial["overdue"]) == (2, 0, 1, 1)
    assert (trial["median_days_in_stage"], trial["due_evaluations"]) == (0, 2)
    assert sum(line["customers"] for line in found.values()) == 2 + 4
    growth = {**found["growth"], "stage": "growth"}
    assert growth["median_days_in_stage"] is None
    assert young


async def test_the_overview_is_one_statement_beside_the_policy(client, statements):
    await make_customer(client)
    statements.texts.clear()
    await overview(client)
    mine = [text for text in statements.texts if "api_keys" not in text]
    assert len(mine) == 2
    assert sum("customers" in text for text in mine) == 1


async def test_a_customer_is_measured_by_the_policy_that_applies_to_them(client, session, clock):
    switched, waiting = await make_customer(client), await make_customer(client)
    document = {**shipped_document("wealth"), "target_days": {**TARGETS, "prospect": 10}}
    row = {"version": 2, "name": "wealth", "status": "published", "body": document, "digest": digest(document)}
    await session.execute(insert(LifecyclePolicy).values(**row, created_at=NOW, published_at=NOW))
    await session.execute(
        update(LifecycleState).where(LifecycleState.customer_id == switched["id"]).values(policy_version=2)
    )
    clock.now = NOW + days(20)
    found = [await lifecycle(client, customer) for customer in (switched, waiting)]
    assert [(a["policy_version"], a["target_days"], a["overdue_days"]) for a in found] == [(2, 10, 10), (1, 60, 0)]
    answer = await overview(client)
    assert answer["policy_version"] == 2
    assert lines(answer)["prospect"]["overdue"] == 2, "the overview measures all by the policy in force"


async def test_customers_can_be_listed_by_when_they_entered_their_stage(client, clock, session):
    old = await make_customer(client)
    clock.now = NOW + days(10)
    new = await make_customer(client)
    moved = await make_customer(client)
    clock.now = NOW + days(20)
    await send(client, *funded(moved, clock.now))

    async def names(**query):
        answer = await client.get("/v1/customers", params=query)
        assert answer.status_code == 200, answer.text
        return {item["id"] for item in answer.json()["items"]}

    moment = (NOW + days(10)).isoformat()
    assert await names(stage_entered_before=moment) == {old["id"]}
    assert await names(stage_entered_from=moment) == {new["id"], moved["id"]}
    assert await names(stage_entered_from=moment, stage_entered_before=(NOW + days(11)).isoformat()) == {new["id"]}
    assert await names(stage_entered_from=moment, stage="growth") == {moved["id"]}
    await session.execute(update(Customer).where(Customer.id == new["id"]).values(merged_into=old["id"]))
    assert await names() == {old["id"], moved["id"]}, "a merged duplicate is not listed"
    refused = await client.get("/v1/customers", params={"stage_entered_before": "yesterday"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "stage_entered_before")
