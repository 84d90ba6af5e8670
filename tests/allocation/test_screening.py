"""Screening everybody says what recommending to each would do."""

from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import text

from app.allocation.engine.defaults import default_document
from app.allocation.everybody.bulk import CHUNK, EPOCH, Whom, read_chunk
from app.allocation.everybody.screening import Screen, next_reviews, people_in
from app.allocation.inputs import people_from
from app.allocation.knowing import inputs_of, known, next_review
from app.allocation.records import shares_of
from app.allocation.service import recommend
from app.allocation.versions.store import in_force
from app.customers.models import SEGMENTS
from app.events import take_published
from tests.allocation.mixed_portfolios import make, mix, next_version
from tests.conftest import NOW


def one_class_earns(factor):
    classes = default_document("assumptions")["asset_classes"]
    return [dict(c, expected_return=c["expected_return"] * factor) if c["code"] == "gold" else c for c in classes]


PUBLICATIONS = {
    "nothing": [],
    "more return of gold": [next_version("assumptions", 2, asset_classes=one_class_earns(1.2))],
    "views": [next_version("views", 2, outlook={"domestic_equity": "rising"})],
    "shorter periods": [next_version("policy", 2, upkeep={"review_days": {"A": 30, "B": 30, "C": 365}})],
    "without small changes": [
        next_version("assumptions", 2, asset_classes=one_class_earns(1.05)),
        next_version("policy", 2, upkeep={"change_threshold": 0.05, "withdrawal_notice_days": 30}),
    ],
}


async def screened(db, now=NOW, whom=None, after=None, most=CHUNK):
    async with db.snapshot() as connection:
        rules = await in_force(connection)
        chunk = await read_chunk(connection, rules, whom or Whom(), now, after, most)
    return rules, chunk, Screen(rules).judge(chunk, now)


def ids_of(found, chosen):
    return {UUID(bytes=one.item()) for one in found.ids[chosen]}


async def portfolios(session):
    rows = await session.execute(text("SELECT customer_id, portfolio, review_at FROM recommendation_current"))
    return {row.customer_id: (shares_of(row.portfolio), row.review_at) for row in rows}


def exchanged(former, new):
    if not former or not new:
        return 1.0
    return sum(abs(former.get(code, 0) - new.get(code, 0)) for code in former | new) / 2


@pytest.mark.parametrize("after_days", [0, 1, 95])
@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_read_in_bulk_is_what_is_known_of_each(db, seed, after_days):
    now = NOW + timedelta(days=after_days)
    ids = await make(db, 120, seed)
    await mix(db, ids, seed)
    rules, chunk, found = await screened(db, now)
    async with db.transaction() as session:
        rows = await known(session, list(ids_of(found, slice(None))))
    upkeep = rules.policy.upkeep
    each, together = people_from([inputs_of(row, upkeep, now) for row in rows]), people_in(rules, chunk.rows, now)
    for name in ("age", "kind", "tolerance", "capacity", "horizon_years", "liquidity_need", "has_valid_profile"):
        np.testing.assert_array_equal(getattr(together, name), getattr(each, name), err_msg=name)
    np.testing.assert_array_equal(together.announced_withdrawal, each.announced_withdrawal)
    assert together.stage.tolist() == each.stage.tolist()
    assert [SEGMENTS[i] for i in found.segment] == [row.segment for row in rows]
    held = set(rules.assumptions.codes)
    wishes = [(set(r.excluded) & held, r.minimum_cash) for r in (each.restrictions[i] for i in each.restriction)]
    assert [
        (set(r.excluded), r.minimum_cash) for r in (together.restrictions[i] for i in together.restriction)
    ] == wishes
    due = [(next_review(row, upkeep, now) - EPOCH) // timedelta(microseconds=1) for row in rows]
    assert next_reviews(rules, chunk.rows, now).tolist() == due


@pytest.mark.parametrize("published", PUBLICATIONS.values(), ids=PUBLICATIONS)
@pytest.mark.parametrize("adapted", [False, True], ids=["out of date", "up to date"])
async def test_the_verdict_is_that_of_recommending_to_each(db, published, adapted):
    ids = await make(db, 240)
    await mix(db, ids)
    async with db.transaction() as session:
        if adapted:
            await recommend(session, ids, NOW)
        await session.execute(text("DELETE FROM recommendation_current WHERE customer_id = :one"), {"one": ids[2]})
        another = "UPDATE recommendation_current SET standing = 'advised C5 R5 tolerance' WHERE customer_id = :one"
        await session.execute(text(another), {"one": ids[7]})
        for row in published:
            await session.merge(row)
    now = NOW + timedelta(minutes=1)
    _, _, found = await screened(db, now)
    everybody = list(ids_of(found, slice(None)))
    async with db.transaction() as session:
        before = await portfolios(session)
        take_published(session)
        new = await recommend(session, everybody, now)
        told = {item.customer_id: item for event in take_published(session) for item in event.items}
        after = await portfolios(session)
        whose = await session.scalars(
            text("SELECT customer_id FROM recommendations WHERE id = ANY(:new)"), {"new": new}
        )
        changed = set(whose)
    assert len(everybody) == 240 - 48
    assert ids_of(found, found.changed) == changed
    assert ids_of(found, found.told) == set(told)
    moved = {one for one in everybody if one in before and after[one][1] < before[one][1]} - changed
    assert ids_of(found, found.sooner) == moved
    expected = [
        exchanged(before[i][0] if i in before else {}, after[i][0]) if i in told else 0.0 for i in sorted(everybody)
    ]
    np.testing.assert_allclose(found.turnover, expected, atol=1e-12)
    assert found.suitable.tolist() == [bool(after[one][0]) for one in sorted(everybody)]


async def test_chunks_cover_everybody_once_in_order(db):
    ids = sorted(await make(db, 25))
    after, seen = None, []
    for _ in range(3):
        _, chunk, found = await screened(db, after=after, most=10)
        seen.append([UUID(bytes=one.item()) for one in found.ids])
        after = chunk.until
    assert seen == [ids[:10], ids[10:20], ids[20:]]
    assert after is None


async def test_whom_is_chosen_by_segment_and_stage(db):
    await make(db, 60)
    whom = Whom(("mass", "small_business"), ("growth",))
    _, chunk, found = await screened(db, whom=whom, most=5)
    async with db.read() as connection:
        query = "SELECT id FROM customers WHERE segment IN ('mass', 'small_business') AND stage = 'growth' ORDER BY id"
        ids = list((await connection.execute(text(query))).scalars())
    assert len(ids) > 5
    assert ids_of(found, slice(None)) == set(ids[:5])
    assert chunk.until == ids[4]


async def test_nobody_is_a_chunk_too(db):
    _, chunk, found = await screened(db)
    assert (len(found), chunk.until) == (0, None)


@pytest.mark.parametrize("count", [3, 300])
async def test_a_chunk_takes_the_same_statements_however_many_customers_it_has(db, statements, count):
    await make(db, count)
    await screened(db)
    statements.texts.clear()
    _, _, found = await screened(db)
    assert len(found) == count
    assert [statement.split()[0] for statement in statements.texts] == ["SELECT", "SET", "SELECT", "SELECT"]
