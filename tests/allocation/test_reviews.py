"""What opens and closes portfolio reviews: life events, new answers, drift, merges, and profiles that end."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.allocation.models import PortfolioReview
from app.allocation.reviews.due import remind_due
from app.allocation.reviews.service import Found, ask_after_life_events, close_reviews, follow_drift, open_reviews
from app.customers.service import lock
from app.events import HoldingsChanged, LifeEvent, LifeEventsTold, PortfolioReviewsOpened, take_published
from tests.allocation.customers_and_answers import MODERATE, accept, complete, create, current
from tests.allocation.holding_customers import advised, at_target, put
from tests.allocation.test_service_recommend import answer, counted, make
from tests.conftest import NOW
from tests.customers.merging import merged, undo
from tests.factories import send, signal

HALF = {"domestic_equity": "50000.00", "bonds": "50000.00"}


async def reviews(client, customer, status="all"):
    answer = await client.get(f"/v1/customers/{customer}/portfolio-reviews", params={"status": status})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def life_event(customer, at=NOW, kind="marriage"):
    return signal({"id": customer}, "life_event", at) | {"payload": {"kind": kind}}


async def marry(client, customer, at=NOW, kind="marriage"):
    await send(client, life_event(customer, at, kind))


async def log_of(db, customer):
    """Reviews that the customer's public events name: (review, reason), oldest first."""
    async with db.read() as connection:
        rows = await connection.execute(
            text(
                "SELECT CAST(body AS json) #>> '{data,review_id}', CAST(body AS json) #>> '{data,reason}' FROM events"
                " WHERE customer_id = :id AND type = 'portfolio.review_due' ORDER BY id"
            ),
            {"id": customer},
        )
        return [tuple(row) for row in rows]


async def remind(db, now, **limit):
    async with db.transaction() as session:
        return await remind_due(session, now, **limit)


async def test_a_life_event_asks_whether_the_answers_still_hold(client, db):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    await marry(client, customer)
    [review] = await reviews(client, customer, "open")
    assert review["reason"] == "life_event"
    assert review["details"] == {"kind": "marriage", "occurred_at": "2026-03-02T10:00:00Z"}
    assert review["opened_at"] == "2026-03-02T10:00:00Z"
    assert await log_of(db, customer) == [(review["id"], "life_event")]


async def test_who_never_answered_is_not_asked_again(client, db):
    customer = await create(client)
    await marry(client, customer)
    assert await reviews(client, customer) == []
    assert await log_of(db, customer) == []


async def test_a_second_life_event_keeps_the_time_and_takes_the_newer_details(client, db, clock):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    await marry(client, customer)
    clock.now += timedelta(days=3)
    await send(
        client,
        life_event(customer, clock.now, "inheritance"),
        life_event(customer, clock.now - timedelta(days=1), "funeral"),
    )
    [review] = await reviews(client, customer)
    assert review["opened_at"] == "2026-03-02T10:00:00Z"
    assert review["details"] == {"kind": "inheritance", "occurred_at": "2026-03-05T10:00:00Z"}
    assert len(await log_of(db, customer)) == 1
    await marry(client, customer, clock.now, kind="y" * 500)
    assert (await reviews(client, customer))[0]["details"]["kind"] == "y" * 100


async def test_new_answers_close_what_asked_for_them(client, db, clock):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    await marry(client, customer)
    clock.now += timedelta(days=350)
    await remind(db, clock.now)
    assert (await accept(client, customer, (await current(client, customer))["id"])).status_code == 200
    await put(client, customer, HALF, clock.now)
    assert {review["reason"] for review in await reviews(client, customer, "open")} == {
        "life_event",
        "profile_ends",
        "drift",
    }
    clock.now += timedelta(hours=1)
    await complete(client, customer, MODERATE)
    assert [review["reason"] for review in await reviews(client, customer, "open")] == ["drift"]
    for review in await reviews(client, customer, "closed"):
        assert (review["outcome"], review["closed_by"]) == ("profile_renewed", "stagefolio")
        assert review["closed_at"] == clock.now.isoformat().replace("+00:00", "Z")
    await marry(client, customer, clock.now)
    assert len(await reviews(client, customer, "open")) == 2, "what happens after the answers is asked about again"


async def test_nobody_has_drifted_from_what_was_only_proposed(client):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    assert (await put(client, customer, HALF)).json()["breached"]
    assert await reviews(client, customer, "open") == []


async def test_holdings_outside_their_bands_are_looked_at_until_they_are_within_them(client, db, clock):
    customer, weights = await advised(client)
    await put(client, customer, at_target(weights))
    assert await reviews(client, customer) == []
    clock.now += timedelta(days=1)
    shown = (await put(client, customer, HALF, clock.now)).json()
    [review] = await reviews(client, customer, "open")
    assert review["reason"] == "drift"
    assert review["details"] == {"drift": shown["drift"], "breached": shown["breached"]}
    assert shown["breached"]
    clock.now += timedelta(days=1)
    later = (await put(client, customer, {"cash": "100000.00"}, clock.now)).json()
    [worse] = await reviews(client, customer, "open")
    assert (worse["id"], worse["opened_at"]) == (review["id"], review["opened_at"])
    assert worse["details"]["drift"] == later["drift"] != shown["drift"]
    clock.now += timedelta(days=1)
    await put(client, customer, at_target(weights), clock.now)
    [closed] = await reviews(client, customer)
    assert (closed["outcome"], closed["closed_by"]) == ("within_bands", "stagefolio")
    assert await log_of(db, customer) == [(review["id"], "drift")]


async def test_answers_that_a_duplicate_once_gave_are_asked_about(client, clock):
    customer, duplicate = [{"id": await create(client)} for _ in range(2)]
    await complete(client, duplicate["id"], MODERATE)
    clock.now += timedelta(days=400)
    await merged(client, customer, duplicate)
    await marry(client, duplicate["id"], clock.now)
    assert [review["reason"] for review in await reviews(client, customer["id"])] == ["life_event"]


async def test_an_accepted_portfolio_is_asked_about_though_its_answers_left_with_a_duplicate(client):
    customer, duplicate = [{"id": await create(client)} for _ in range(2)]
    await complete(client, duplicate["id"], MODERATE)
    merge = await merged(client, customer, duplicate)
    recommendation = await current(client, customer["id"])
    assert (await accept(client, customer["id"], recommendation["id"])).status_code == 200
    await undo(client, merge)
    await marry(client, customer["id"])
    assert [review["reason"] for review in await reviews(client, customer["id"])] == ["life_event"]


async def test_a_recommendation_says_so_while_it_is_open_whether_the_answers_hold(client, clock):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    path = f"/v1/customers/{customer}/recommendation"
    before = await client.get(path)
    clock.now += timedelta(days=2)
    await marry(client, customer)
    told = await client.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert told.status_code == 200
    [warning] = [warning for warning in told.json()["warnings"] if warning["code"] == "life_event"]
    assert warning["params"] == {"date": "2026-03-04"}
    assert warning["text"].startswith("On 2026-03-04 we heard of a change in your life.")
    assert "2026-03-04" in (await current(client, customer, language="zh"))["warnings"][0]["text"]
    [review] = await reviews(client, customer)
    await client.post(f"/v1/portfolio-reviews/{review['id']}/close", json={"outcome": "kept"})
    after = await client.get(path)
    assert (after.json(), after.headers["ETag"]) == (before.json(), before.headers["ETag"])


async def test_nothing_is_left_of_the_erased(client, db):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    await marry(client, customer)
    tag = (await client.get(f"/v1/customers/{customer}")).headers["etag"]
    assert (await client.delete(f"/v1/customers/{customer}", headers={"If-Match": tag})).status_code == 204
    assert await counted(db, "SELECT count(*) FROM portfolio_reviews") == 0
    assert (await client.get(f"/v1/customers/{customer}/portfolio-reviews")).status_code == 410


async def test_of_a_reason_named_twice_the_last_counts_and_one_review_is_opened(db):
    [one] = await make(db, 1)
    async with db.transaction() as session:
        found = [Found(one, "drift", {"drift": d, "breached": ["gold"]}) for d in ("0.06", "0.07")]
        [review] = await open_reviews(session, found, NOW)
        [event] = take_published(session)
        assert event == PortfolioReviewsOpened(NOW, ((one, review, "drift"),))
        assert await open_reviews(session, found, NOW + timedelta(days=1)) == []
        assert take_published(session) == []
        row = await session.get(PortfolioReview, review)
        assert (row.details["drift"], row.opened_at) == ("0.07", NOW)


@pytest.mark.parametrize("count", [2, 200])
async def test_the_number_of_statements_does_not_depend_on_the_number_of_customers(db, statements, count):
    ids = await make(db, count)
    await answer(db, ids)
    later = NOW + timedelta(days=340)
    async with db.transaction() as session:
        await lock(session, ids)
        await remind_due(session, NOW)
        statements.texts.clear()
        assert await remind_due(session, later) == count
        reminded = [statement.split()[0] for statement in statements.texts]
        statements.texts.clear()
        assert await remind_due(session, later) == 0
        idle = len(statements.texts)
        await ask_after_life_events(session, LifeEventsTold(NOW, tuple(LifeEvent(i, None, NOW) for i in ids)))
        asked = len(statements.texts) - idle
        await follow_drift(session, HoldingsChanged(NOW, tuple(ids), tuple(ids[::2])))
        followed = len(statements.texts) - idle - asked
        take_published(session)
    assert reminded == ["SELECT", "SELECT", "UPDATE", "INSERT"]
    assert (idle, asked, followed) == (2, 2, 2)
    assert await counted(db, "SELECT count(*) FROM portfolio_reviews WHERE reason = 'life_event'") == count


async def test_two_at_once_open_one(live, live_client):
    customer = await create(live_client)
    await complete(live_client, customer, MODERATE)

    async def unlocked(number):
        async with live.transaction() as session:
            found = [Found(customer, "drift", {"drift": f"0.{number}", "breached": ["gold"]})]
            return await open_reviews(session, found, NOW)

    opened = await asyncio.gather(*(unlocked(number) for number in range(1, 7)))
    assert sum(len(new) for new in opened) == 1
    await asyncio.gather(*(marry(live_client, customer, kind=f"event {n}") for n in range(6)))
    later = NOW + timedelta(days=340)
    await asyncio.gather(*(remind(live, later) for _ in range(6)))
    found = await reviews(live_client, customer, "open")
    assert sorted(review["reason"] for review in found) == ["drift", "life_event", "profile_ends"]
    assert sorted(await log_of(live, customer)) == sorted((review["id"], review["reason"]) for review in found)


async def test_opening_and_closing_at_once_leave_at_most_one_open(live, live_client):
    customer = await create(live_client)
    await complete(live_client, customer, MODERATE)

    async def close():
        async with live.transaction() as session:
            await lock(session, [customer])
            await close_reviews(session, [customer], ["life_event"], NOW, "stagefolio", "profile_renewed")

    for _ in range(5):
        await asyncio.gather(marry(live_client, customer), close(), marry(live_client, customer), close())
        assert len(await reviews(live_client, customer, "open")) <= 1
    assert len(await log_of(live, customer)) == len(await reviews(live_client, customer))
    assert (await current(live_client, customer))["basis"] == "advised"
