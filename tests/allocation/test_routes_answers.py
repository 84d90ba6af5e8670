"""Accepting and declining what was recommended."""

from datetime import timedelta

from tests.allocation.customers_and_answers import (
    BOLD,
    MODERATE,
    SHORT,
    accept,
    complete,
    create,
    current,
    history,
    told,
)


async def decline(client, customer, recommendation):
    return await client.post(
        f"/v1/customers/{customer}/recommendation/refusal", json={"recommendation_id": recommendation}
    )


async def advised(client, answers=MODERATE):
    customer = await create(client)
    await complete(client, customer, answers)
    return customer, (await current(client, customer))["id"]


async def signals(client, customer):
    answer = await client.get(f"/v1/customers/{customer}/signals")
    return [(signal["source"], signal["type"]) for signal in answer.json()["items"]]


async def test_an_accepted_portfolio_is_in_force_and_the_lifecycle_knows(client, db, clock):
    customer, recommendation = await advised(client)
    clock.now += timedelta(hours=1)
    answer = await accept(client, customer, recommendation)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["id"], answer.json()["state"]) == (recommendation, "accepted")
    assert answer.json()["accepted_at"] == "2026-03-02T11:00:00Z"
    assert await told(db, customer) == ["recommendation.created"] * 2 + ["recommendation.accepted"]
    assert ("stagefolio", "portfolio_accepted") in await signals(client, customer)
    assert ("stagefolio", "risk_profile_completed") in await signals(client, customer)


async def test_accepting_again_changes_nothing(client, db):
    customer, recommendation = await advised(client)
    first = await accept(client, customer, recommendation)
    second = await accept(client, customer, recommendation)
    assert second.status_code == 200
    assert second.json() == first.json()
    assert (await told(db, customer)).count("recommendation.accepted") == 1


async def test_an_indication_cannot_be_accepted(client):
    customer = await create(client)
    answer = await accept(client, customer, (await current(client, customer))["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "no_recommendation")


async def test_what_was_superseded_cannot_be_answered(client):
    customer, recommendation = await advised(client)
    await complete(client, customer, BOLD)
    for answer in (await accept(client, customer, recommendation), await decline(client, customer, recommendation)):
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_advice_on_an_expired_profile_cannot_be_accepted(client, clock):
    customer, recommendation = await advised(client)
    clock.now += timedelta(days=366)
    answer = await accept(client, customer, recommendation)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_recommendation")


async def test_somebody_elses_recommendation_is_not_found(client):
    customer, _ = await advised(client)
    _, foreign = await advised(client)
    answer = await accept(client, customer, foreign)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_accepted_portfolio_stays_in_force_until_another_is_accepted(client):
    customer, first = await advised(client)
    await accept(client, customer, first)
    await complete(client, customer, SHORT)
    states = {item["id"]: item["state"] for item in await history(client, customer)}
    second = (await current(client, customer))["id"]
    assert (states[first], states[second]) == ("accepted", "proposed")
    await accept(client, customer, second)
    states = {item["id"]: item["state"] for item in await history(client, customer)}
    assert (states[first], states[second]) == ("superseded", "accepted")


async def test_declining_leaves_the_accepted_portfolio_in_force(client, db):
    customer, first = await advised(client)
    await accept(client, customer, first)
    await complete(client, customer, SHORT)
    second = (await current(client, customer))["id"]
    answer = await decline(client, customer, second)
    assert (answer.status_code, answer.json()["state"]) == (200, "declined")
    assert answer.json()["declined_at"] is not None
    assert (await decline(client, customer, second)).json() == answer.json()
    states = {item["id"]: item["state"] for item in await history(client, customer)}
    assert (states[first], states[second]) == ("accepted", "declined")
    refused = await decline(client, customer, first)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


async def test_people_may_change_their_mind_after_declining(client):
    customer, recommendation = await advised(client)
    await decline(client, customer, recommendation)
    answer = await accept(client, customer, recommendation)
    assert (answer.status_code, answer.json()["state"]) == (200, "accepted")
    refused = await decline(client, customer, recommendation)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


async def test_answers_of_nobody_are_not_found(client):
    nobody = "01900000-0000-7000-8000-000000000000"
    assert (await accept(client, nobody, nobody)).status_code == 404
    assert (await decline(client, nobody, nobody)).status_code == 404
