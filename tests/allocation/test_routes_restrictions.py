"""What customers ask of their portfolio, planned withdrawals, and closures that signals announce."""

from datetime import timedelta

import pytest

from app.allocation.reviewing import review_due
from tests.allocation.customers_and_answers import MODERATE, complete, create, current, move, told, weights
from tests.factories import send, signal

URL = "/v1/customers/{}/investment-restrictions"


async def ask(client, customer, tag='"0"', **wish):
    return await client.put(URL.format(customer), json=wish, headers={"If-Match": tag})


async def test_nobody_has_asked_for_anything_at_first(client):
    customer = await create(client)
    answer = await client.get(URL.format(customer))
    assert answer.json()["version"] == 0
    assert answer.json()["excluded"] == []
    assert answer.json()["withdrawal"] is None
    assert answer.headers["ETag"] == '"0"'


async def test_what_is_excluded_is_not_recommended_and_the_reason_says_so(client, db):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    before = await current(client, customer)
    assert "emerging_equity" in weights(before)
    answer = await ask(client, customer, excluded=["emerging_equity"], minimum_cash="0.1")
    assert answer.status_code == 200, answer.text
    after = await current(client, customer)
    assert "emerging_equity" not in weights(after)
    assert weights(after)["cash"] >= 0.1
    assert {"restriction_excluded", "restriction_minimum_cash"} <= {reason["code"] for reason in after["reasons"]}
    assert after["inputs"]["excluded"] == ["emerging_equity"]
    assert after["supersedes"] == before["id"]
    lifted = await ask(client, customer, answer.headers["ETag"])
    assert lifted.json()["version"] == 2
    assert weights(await current(client, customer)) == weights(before)


async def test_a_planned_withdrawal_is_held_in_cash_until_its_day(client, db, clock):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    before = weights(await current(client, customer))
    by = (clock.now + timedelta(days=60)).date().isoformat()
    assert (await ask(client, customer, withdrawal={"by": by, "share": "0.3"})).status_code == 200
    held = await current(client, customer)
    assert weights(held)["cash"] >= 0.3
    assert held["inputs"]["announced_withdrawal"] == "0.3000"
    assert "withdrawal_in_cash" in {reason["code"] for reason in held["reasons"]}
    clock.now += timedelta(days=61)
    async with db.transaction() as session:
        await review_due(session, clock.now)
    assert weights(await current(client, customer)) == before


async def test_a_withdrawal_far_away_waits_for_its_notice(client, db, clock):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    before = weights(await current(client, customer))
    by = (clock.now + timedelta(days=365 + 30)).date().isoformat()
    await ask(client, customer, withdrawal={"by": by, "share": "0.5"})
    assert weights(await current(client, customer)) == before
    clock.now += timedelta(days=31)
    async with db.transaction() as session:
        await review_due(session, clock.now)
    assert weights(await current(client, customer))["cash"] >= 0.5


async def test_an_announced_closure_is_held_in_cash_until_it_is_taken_back(client, db):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    await move(client, customer, "trial")
    before = weights(await current(client, customer))
    asked = signal({"id": customer}, "closure_requested")
    await send(client, asked)
    closing = await current(client, customer)
    assert weights(closing) == {"cash": 1.0}
    assert closing["inputs"]["announced_withdrawal"] == "1.0000"
    assert (await client.get(URL.format(customer))).json()["closure_announced_at"] is not None
    assert len(await told(db, customer)) == 3, "one event for the closure, though the stage changed with it"
    await send(client, signal({"id": customer}, "signal_retracted", source_event_id=asked["source_event_id"]))
    assert weights(await current(client, customer)) == before
    assert (await client.get(URL.format(customer))).json()["closure_announced_at"] is None


async def test_who_comes_back_out_of_decline_is_advised_as_before(client):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    await move(client, customer, "trial")
    before = weights(await current(client, customer))
    await send(client, signal({"id": customer}, "closure_requested"))
    await move(client, customer, "trial")
    assert weights(await current(client, customer)) == before


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"excluded": ["gold", "wine"]}, "/excluded/1"),
        ({"minimum_cash": "1.5"}, "/minimum_cash"),
        ({"withdrawal": {"by": "2020-01-01", "share": "0.5"}}, "/withdrawal/by"),
        ({"withdrawal": {"by": "2027-01-01", "amount": "100.00"}}, "/withdrawal/amount"),
        ({"withdrawal": {"by": "2027-01-01"}}, "/withdrawal"),
        ({"withdrawal": {"by": "2027-01-01", "share": "0.1", "amount": "5"}}, "/withdrawal"),
        ({"unknown": 1}, "/unknown"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_its_place(client, wish, pointer):
    customer = await create(client)
    answer = await ask(client, customer, **wish)
    assert answer.status_code == 422
    assert [problem["pointer"] for problem in answer.json()["errors"]] == [pointer]


async def test_a_change_names_the_version_that_it_is_based_on(client):
    customer = await create(client)
    assert (await client.put(URL.format(customer), json={})).status_code == 428
    assert (await ask(client, customer)).status_code == 200
    assert (await ask(client, customer)).status_code == 412
    assert (await ask(client, "00000000-0000-7000-8000-000000000000")).status_code == 404


async def test_wishes_that_conflict_leave_no_portfolio_and_name_the_conflict(client):
    customer = await create(client, segment="small_business", kind="business")
    answer = await ask(client, customer, excluded=["cash"])
    assert answer.status_code == 200
    shown = await current(client, customer)
    assert shown["status"] == "no_suitable_portfolio"
    assert "constraints_conflict" in {reason["code"] for reason in shown["reasons"]}
