"""Recommending to sets of customers: what is written, what is not, and how many statements it takes."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text

from app.allocation.engine.defaults import default_document
from app.allocation.models import AllocationVersion, Recommendation
from app.allocation.profiles import complete_profiles
from app.allocation.recomputing import recompute
from app.allocation.records import weights_of
from app.allocation.reviewing import review_due
from app.allocation.service import recommend
from app.allocation.versions.store import digest, ensure_versions, in_force
from app.customers.schemas import CustomerCreate
from app.customers.service import create_customers, lock
from app.events import take_published
from app.jobs import SWEEPS, Worker
from tests.allocation.customers_and_answers import BOLD, MODERATE, SHORT
from tests.conftest import NOW

KINDS = [("mass", "individual"), ("affluent", "individual"), ("high_net_worth", "individual")]
KINDS += [("small_business", "business")]
STAGES = ("prospect", "trial", "growth", "mature", "decline")


def customer(number):
    segment, kind = KINDS[number % len(KINDS)]
    return CustomerCreate(
        full_name=f"Customer {number}",
        segment=segment,
        kind=kind,
        stage=STAGES[number % len(STAGES)],
        playbook_mode="none",
        birth_on=None if number % 7 == 0 else date(1940 + number % 60, 1 + number % 12, 1 + number % 28),
    )


async def make(db, count, *, silent=False):
    async with db.transaction() as session:
        return await create_customers(session, [customer(i) for i in range(count)], NOW, zone="UTC", silent=silent)


async def answer(db, ids, now=NOW):
    sets = (BOLD, MODERATE, SHORT)
    async with db.transaction() as session:
        await lock(session, ids)
        rules = await in_force(session)
        await complete_profiles(session, rules, {one: sets[i % 3] for i, one in enumerate(ids)}, now)


async def stored(db):
    async with db.read() as connection:
        return (await connection.execute(select(Recommendation.__table__).order_by(Recommendation.id))).mappings().all()


async def counted(db, query, **values):
    async with db.read() as connection:
        return (await connection.execute(text(query), values)).scalar_one()


@pytest.mark.parametrize("count", [5, 500])
async def test_the_number_of_statements_does_not_depend_on_the_number_of_customers(db, statements, count):
    async with db.transaction() as session:
        ids = await create_customers(session, [customer(i) for i in range(count)], NOW, zone="UTC")
        take_published(session)
        statements.texts.clear()
        assert len(await recommend(session, ids, NOW)) == count
        [event] = take_published(session)
        assert len(event.items) == count
        first = [statement.split()[0] for statement in statements.texts]
        statements.texts.clear()
        assert await recommend(session, ids, NOW) == []
        assert take_published(session) == []
        again = [statement.split()[0] for statement in statements.texts]
    assert first == ["SELECT", "SELECT", "UPDATE", "INSERT", "INSERT"]
    assert again == ["SELECT", "SELECT"]


async def test_nobody_costs_nothing(db, statements):
    async with db.transaction() as session:
        statements.texts.clear()
        assert await recommend(session, [], NOW) == []
        assert statements.texts == []


async def test_one_customer_gets_the_same_alone_and_among_others(db):
    ids = await make(db, 20)
    await answer(db, ids)
    together = {row["customer_id"]: row["weights"] for row in await stored(db) if row["state"] == "proposed"}
    async with db.transaction() as session:
        await session.execute(text("DELETE FROM recommendation_current"))
        await session.execute(text("DELETE FROM recommendations"))
        for one in ids:
            await recommend(session, [one], NOW)
        take_published(session)
    alone = {row["customer_id"]: row["weights"] for row in await stored(db)}
    assert alone == together


async def test_computing_again_from_the_record_gives_the_same_weights(db):
    ids = await make(db, 40)
    await answer(db, ids[::2])
    rows = await stored(db)
    assert {row["basis"] for row in rows} == {"advised", "indicative"}
    for row in rows:
        async with db.read() as connection:
            result = (await recompute(connection, row["record"])).result
        assert weights_of(result.codes, result.weights[0]) == row["weights"]
        assert int(result.score[0]) == row["record"]["score"]


async def test_a_record_from_before_there_were_views_is_computed_again_without_any(db):
    ids = await make(db, 4)
    for row in await stored(db):
        versions = {k: v for k, v in row["record"]["versions"].items() if not k.startswith("views")}
        async with db.read() as connection:
            result = (await recompute(connection, row["record"] | {"versions": versions})).result
        assert weights_of(result.codes, result.weights[0]) == row["weights"]
    assert len(ids) == 4


async def test_the_record_names_the_profile_and_every_version(db):
    [one] = await make(db, 1)
    await answer(db, [one])
    record = (await stored(db))[-1]["record"]
    for kind in ("assumptions", "views", "policy"):
        assert record["versions"][f"{kind}_digest"] == digest(default_document(kind))
    assert record["profile"]["questionnaire_digest"] == digest(default_document("questionnaire"))
    assert record["profile"]["id"] == str(await counted(db, "SELECT id FROM risk_profiles"))
    assert record["customer_version"] >= 1
    assert record["computed_at"] == NOW.isoformat()


async def test_silent_customers_get_their_recommendation_in_silence(db):
    await make(db, 10, silent=True)
    assert len(await stored(db)) == 10
    assert await counted(db, "SELECT count(*) FROM events WHERE type = 'recommendation.created'") == 0


async def test_equal_weights_with_another_standing_make_a_record_without_an_event(db):
    ids = await make(db, 3)
    before = await stored(db)
    async with db.transaction() as session:
        await session.execute(text("UPDATE recommendation_current SET standing = 'advised C5 R5 tolerance'"))
        new = await recommend(session, ids, NOW)
        assert take_published(session) == []
    rows = {row["id"]: row for row in await stored(db)}
    assert len(new) == 3
    former = {row["customer_id"]: row for row in before}
    for one in new:
        assert rows[one]["weights"] == former[rows[one]["customer_id"]]["weights"]
        assert rows[one]["supersedes"] == former[rows[one]["customer_id"]]["id"]
    assert sorted(row["state"] for row in rows.values()) == ["proposed"] * 3 + ["superseded"] * 3


def published(version, body):
    return AllocationVersion(
        kind="assumptions",
        version=version,
        name="next",
        status="published",
        body=body,
        digest=digest(body),
        created_at=NOW,
        published_at=NOW,
    )


async def test_new_assumptions_reach_only_those_whose_portfolio_they_change(db):
    ids = await make(db, 12)
    body = default_document("assumptions")
    async with db.transaction() as session:
        session.add(published(2, body | {"name": "the same figures"}))
        await session.flush()
        assert await recommend(session, ids, NOW) == []
        classes = [dict(c, expected_return=c["expected_return"] / 2) for c in body["asset_classes"][:1]]
        session.add(published(3, body | {"asset_classes": classes + body["asset_classes"][1:]}))
        await session.flush()
        assert len(await recommend(session, ids, NOW)) == 12
    newest = [row for row in await stored(db) if row["state"] == "proposed"]
    assert {row["record"]["versions"]["assumptions"] for row in newest} == {3}


async def test_advice_becomes_an_indication_when_its_profile_ends(db):
    ids = await make(db, 4)
    await answer(db, ids)
    later = NOW + timedelta(days=366)
    async with db.transaction() as session:
        assert await review_due(session, NOW + timedelta(days=364)) == 0
        assert await review_due(session, later) == 4
    newest = [row for row in await stored(db) if row["state"] == "proposed"]
    assert {row["basis"] for row in newest} == {"indicative"}
    assert all(row["record"]["profile"] is None for row in newest)
    async with db.transaction() as session:
        assert await review_due(session, later) == 0, "nobody is looked at twice"


async def test_an_unchanged_recommendation_is_due_again_a_year_later(db):
    await make(db, 4)
    async with db.transaction() as session:
        assert await review_due(session, NOW + timedelta(days=366)) == 4
        assert await review_due(session, NOW + timedelta(days=366)) == 0
        assert await review_due(session, NOW + timedelta(days=740)) == 4


async def test_the_worker_reviews_what_is_due(db, settings, clock):
    await make(db, 3)
    clock.now += timedelta(days=400)
    assert await SWEEPS["review_recommendations"](Worker(db, settings, clock, None)) is False
    assert await counted(db, "SELECT count(*) FROM recommendation_current WHERE review_at > :now", now=clock.now) == 3


async def test_a_review_takes_as_many_as_it_is_told(db):
    await make(db, 7)
    async with db.transaction() as session:
        later = NOW + timedelta(days=400)
        assert [await review_due(session, later, limit=5) for _ in range(3)] == [5, 2, 0]


async def test_defaults_are_stored_once(db):
    async with db.transaction() as session:
        await ensure_versions(session, NOW)
        await ensure_versions(session, NOW)
    assert await counted(db, "SELECT count(*) FROM allocation_versions") == 4
