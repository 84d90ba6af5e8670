"""Reminders of risk profiles that end soon."""

from datetime import timedelta

from sqlalchemy import text

from app.jobs import SWEEPS, Worker
from tests.allocation.customers_and_answers import CAUTIOUS, MODERATE, complete, create
from tests.allocation.test_reviews import log_of, marry, remind, reviews
from tests.allocation.test_service_recommend import answer, counted, make
from tests.conftest import NOW
from tests.customers.merging import merged, undo


async def test_a_profile_that_ends_soon_is_reminded_of_once(client, db, clock):
    customer = await create(client)
    profile = await complete(client, customer, MODERATE)
    await create(client)
    assert await remind(db, NOW + timedelta(days=334)) == 0
    clock.now += timedelta(days=335)
    assert await remind(db, clock.now) == 1
    [review] = await reviews(client, customer, "open")
    assert (review["reason"], review["details"]) == ("profile_ends", {"valid_until": profile["valid_until"]})
    answer = await client.post(f"/v1/portfolio-reviews/{review['id']}/close", json={"outcome": "profile_asked"})
    assert answer.status_code == 200, answer.text
    for days in (1, 29, 31):
        assert await remind(db, clock.now + timedelta(days=days)) == 0
    assert await log_of(db, customer) == [(review["id"], "profile_ends")]
    clock.now += timedelta(days=20)
    await complete(client, customer, CAUTIOUS)
    assert await remind(db, clock.now) == 0
    assert await remind(db, clock.now + timedelta(days=336)) == 1, "the next profile has a reminder of its own"


async def test_the_policy_in_force_says_how_long_before(client, db):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    async with db.transaction() as session:
        await session.execute(
            text(
                """INSERT INTO allocation_versions (kind, version, name, status, body, digest, created_at, published_at)
                SELECT kind, 2, name, 'published', jsonb_set(body, '{profile_warning_days}', '60'), 'of a test', :now,
                    :now FROM allocation_versions WHERE kind = 'policy'"""
            ),
            {"now": NOW},
        )
    assert await remind(db, NOW + timedelta(days=304)) == 0
    assert await remind(db, NOW + timedelta(days=305)) == 1


async def test_the_worker_reminds_in_batches(db, settings, clock):
    ids = await make(db, 7)
    await answer(db, ids)
    clock.now += timedelta(days=340)
    assert [await remind(db, clock.now, limit=5) for _ in range(3)] == [5, 2, 0]
    await answer(db, ids[:2], clock.now)
    clock.now += timedelta(days=340)
    assert await SWEEPS["remind_of_profiles"](Worker(db, settings, clock, None)) is False
    assert await counted(db, "SELECT count(*) FROM portfolio_reviews WHERE closed_at IS NULL") == 7


async def test_nobody_looks_at_a_merged_duplicate_and_an_undone_merge_reminds_again(client, db, clock):
    customer, duplicate = [{"id": await create(client)} for _ in range(2)]
    for one in (customer, duplicate):
        await complete(client, one["id"], MODERATE)
    clock.now += timedelta(days=340)
    await marry(client, duplicate["id"], clock.now)
    assert await remind(db, clock.now) == 2
    merge = await merged(client, customer, duplicate)
    async with db.read() as connection:
        rows = await connection.execute(
            text("SELECT outcome FROM portfolio_reviews WHERE customer_id = :id"), duplicate
        )
        assert list(rows.scalars()) == ["merged", "merged"]
    assert [review["reason"] for review in await reviews(client, customer["id"], "open")] == ["profile_ends"]
    assert await remind(db, clock.now) == 0
    page = await client.get("/v1/portfolio-reviews", params={"status": "all"})
    assert {review["customer_id"] for review in page.json()["items"]} == {customer["id"]}
    assert (await undo(client, merge)).status_code == 200
    assert await remind(db, clock.now) == 1
    assert [review["reason"] for review in await reviews(client, duplicate["id"], "open")] == ["profile_ends"]
