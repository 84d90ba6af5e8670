"""The list of portfolios to look at, and what people do about them, over HTTP."""

import asyncio
from datetime import timedelta

import pytest

from app.allocation.reviews.schemas import ReviewPage, ReviewRead
from tests.allocation.customers_and_answers import MODERATE, change, complete, create
from tests.allocation.holding_customers import advised, put
from tests.allocation.test_reviews import life_event
from tests.conftest import NOW, make_key
from tests.factories import send

LIST = "/v1/portfolio-reviews"
UNKNOWN = "01900000-0000-7000-8000-000000000000"


async def told(client, clock, **fields):
    """A customer whose life has changed; each a minute after the one before."""
    customer = await create(client, **fields)
    await complete(client, customer, MODERATE)
    clock.now += timedelta(minutes=1)
    await send(client, life_event(customer, clock.now))
    return customer


async def listed(client, path=LIST, **query):
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    ReviewPage.model_validate(answer.json())
    return answer.json()["items"]


async def close(client, review, outcome="kept", **more):
    return await client.post(f"{LIST}/{review['id']}/close", json={"outcome": outcome, **more})


async def test_the_oldest_come_first_and_in_pages(client, clock):
    customers = [await told(client, clock) for _ in range(5)]
    seen, cursor = [], None
    while True:
        answer = await client.get(LIST, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        page = answer.json()
        ReviewPage.model_validate(page)
        seen += [item["customer_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        other = await client.get(LIST, params={"cursor": cursor, "reason": "drift"})
        assert (other.status_code, other.json()["code"]) == (400, "invalid_cursor")
    assert seen == customers


async def test_many_of_one_moment_are_listed_once_each(client, clock):
    customers = [await create(client) for _ in range(5)]
    for customer in customers:
        await complete(client, customer, MODERATE)
    await send(client, *(life_event(customer) for customer in customers))
    seen, cursor = [], None
    for _ in range(5):
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(LIST, params=query)).json()
        seen += [item["customer_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert sorted(seen) == sorted(customers)
    assert cursor is None


async def test_each_filter_narrows_the_list(client, clock):
    ann = await told(client, clock, owner="ann", segment="affluent", tier="A")
    bob = await told(client, clock, owner="bob", segment="mass", tier="B")
    drifted, _ = await advised(client, owner="ann", segment="high_net_worth", tier="C")
    await put(client, drifted)
    [closed] = await listed(client, owner="bob")
    await close(client, closed)

    async def found(**query):
        return {item["customer_id"] for item in await listed(client, **query)}

    assert await found() == {ann, drifted}
    assert await found(status="closed") == {bob}
    assert await found(status="all") == {ann, bob, drifted}
    assert await found(reason="drift") == {drifted}
    assert await found(reason=["drift", "life_event"], owner="ann") == {ann, drifted}
    assert await found(segment="affluent") == {ann}
    assert await found(status="all", tier=["A", "B"]) == {ann, bob}
    assert await found(owner="nobody") == set()
    await change(client, ann, owner="bob")
    assert await found(owner="bob") == {ann}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"status": "late"}, "status"),
        ({"reason": "boredom"}, "reason"),
        ({"segment": "rich"}, "segment"),
        ({"tier": "D"}, "tier"),
        ({"owner": ""}, "owner"),
        ({"language": "fr"}, "language"),
        ({"limit": 0}, "limit"),
        ({"customer": "x"}, "customer"),
    ],
)
async def test_a_wrong_filter_is_named(client, query, pointer):
    answer = await client.get(LIST, params=query)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_review_says_who_and_why_in_both_languages(client, db, clock):
    customer, _ = await advised(client, full_name="Wei Chen", language="zh-CN")
    shown = (await put(client, customer, {"gold": "100000.00"})).json()
    await send(client, life_event(customer))
    path = f"/v1/customers/{customer}/portfolio-reviews"
    texts = {}
    for language in ("zh", "en"):
        items = await listed(client, path, language=language)
        assert {(item["customer_id"], item["full_name"], item["language"]) for item in items} == {
            (customer, "Wei Chen", language)
        }
        texts[language] = {item["reason"]: item["text"] for item in items}
    away = f"{float(shown['drift']) * 100:.1f}".removesuffix(".0")
    assert f"{away} %" in texts["en"]["drift"]
    assert "Gold" in texts["en"]["drift"]
    assert f"{away}%" in texts["zh"]["drift"]
    assert "黄金" in texts["zh"]["drift"]
    assert texts["en"]["life_event"].startswith("Something changed in the customer's life on 2026-03-02 (marriage).")
    assert texts["zh"]["life_event"].startswith("客户的生活情况于2026-03-02发生变化（marriage）")
    assert {item["language"] for item in await listed(client)} == {"zh"}, "the customer's own unless asked for another"


async def test_a_life_event_of_no_kind_has_a_text_without_one(client, clock):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    await send(client, life_event(customer, kind=17))
    [review] = await listed(client)
    assert review["details"]["kind"] is None
    assert review["text"].startswith("Something changed in the customer's life on 2026-03-02. ")


async def test_closing_says_who_did_what(client, clock):
    await told(client, clock)
    [review] = await listed(client)
    clock.now += timedelta(days=1)
    answer = await close(client, review, "advice_given", note="Called on Monday")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    ReviewRead.model_validate(shown)
    assert shown == review | {
        "closed_at": clock.now.isoformat().replace("+00:00", "Z"),
        "closed_by": "key:test",
        "outcome": "advice_given",
        "note": "Called on Monday",
    }
    assert await listed(client) == []
    assert await listed(client, status="closed") == [shown]


async def test_closing_again_changes_nothing_and_otherwise_is_refused(client, clock):
    await told(client, clock)
    [review] = await listed(client)
    first = await close(client, review, "kept", note="As agreed")
    clock.now += timedelta(days=1)
    again = await close(client, review, "kept", note="Something else")
    assert (again.status_code, again.json()) == (200, first.json())
    other = await close(client, review, "rebalanced")
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert await listed(client, status="all") == [first.json()]


async def test_what_went_away_by_itself_cannot_be_closed_by_hand(client, clock):
    customer = await told(client, clock)
    [review] = await listed(client)
    await complete(client, customer, MODERATE)
    answer = await close(client, review, "profile_asked")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "profile_renewed" in answer.json()["detail"]


async def test_the_same_reason_can_come_up_again(client, clock):
    customer = await told(client, clock)
    [first] = await listed(client)
    await close(client, first)
    await send(client, life_event(customer, clock.now))
    [second] = await listed(client)
    assert second["id"] != first["id"]
    path = f"/v1/customers/{customer}/portfolio-reviews"
    assert [item["id"] for item in await listed(client, path, status="all")] == [first["id"], second["id"]]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/outcome"),
        ({"outcome": "within_bands"}, "/outcome"),
        ({"outcome": "merged"}, "/outcome"),
        ({"outcome": "kept", "note": "x" * 5001}, "/note"),
        ({"outcome": "kept", "note": 5}, "/note"),
        ({"outcome": "kept", "note": "a\x00b"}, "/note"),
        ({"outcome": "kept", "because": "x"}, "/because"),
    ],
)
async def test_a_wrong_answer_is_named_and_closes_nothing(client, clock, body, pointer):
    await told(client, clock)
    [review] = await listed(client)
    answer = await client.post(f"{LIST}/{review['id']}/close", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await listed(client) == [review]


async def test_unknown_reviews_and_customers_are_not_found(client):
    for answer in (
        await client.post(f"{LIST}/{UNKNOWN}/close", json={"outcome": "kept"}),
        await client.get(f"/v1/customers/{UNKNOWN}/portfolio-reviews"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_each_route_needs_its_scope(client, db, clock):
    await told(client, clock)
    [review] = await listed(client)
    reader = {"Authorization": f"Bearer {await make_key(db, 'allocation:read')}"}
    stranger = {"Authorization": f"Bearer {await make_key(db, 'customers:read')}"}
    path = f"{LIST}/{review['id']}/close"
    assert (await client.get(LIST, headers=reader)).status_code == 200
    assert (await client.get(LIST, headers=stranger)).status_code == 403
    own = f"/v1/customers/{review['customer_id']}/portfolio-reviews"
    assert (await client.get(own, headers=stranger)).status_code == 403
    assert (await client.post(path, json={"outcome": "kept"}, headers=reader)).status_code == 403


async def test_a_page_takes_two_statements(client, clock, statements):
    for _ in range(3):
        await told(client, clock)
    await listed(client)
    statements.texts.clear()
    assert len(await listed(client)) == 3
    assert len(statements.texts) == 2


async def test_of_two_who_close_at_once_with_different_outcomes_one_is_refused(live_client, clock):
    await told(live_client, clock)
    [review] = await listed(live_client)
    outcomes = ["kept", "rebalanced"] * 3
    answers = await asyncio.gather(*(close(live_client, review, outcome) for outcome in outcomes))
    [final] = await listed(live_client, status="all")
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200 if outcome == final["outcome"] else 409 for outcome in outcomes]
    assert final["closed_at"] == review["opened_at"] == (NOW + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
