"""The review of everybody: who gets a new recommendation, who is told, and what a dry run says of it before."""

from uuid import UUID

import pytest
from sqlalchemy import text

from app.allocation.engine.defaults import default_document
from app.allocation.everybody import operation as review_operation
from app.allocation.everybody.operation import begin_review, review_after_publication
from app.events import AllocationVersionPublished, publish
from app.jobs import Worker
from app.operations.running import run_now
from tests.allocation.mixed_portfolios import count, make, mix, more_cash, next_version
from tests.conftest import NOW, make_key

PATH = "/v1/allocation/reviews"
_WRITTEN = "SELECT (SELECT count(*) FROM recommendations) + (SELECT count(*) FROM events WHERE customer_id IS NOT NULL)"


@pytest.fixture
def worker(db, settings, clock):
    return Worker(db, settings, clock, http=None)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Several chunks, and several transactions in each."""
    monkeypatch.setattr(review_operation, "CHUNK", 40)
    monkeypatch.setattr(review_operation, "BATCH", 3)


@pytest.fixture
async def customers(db):
    """Of 100, a quarter are small businesses."""
    return await make(db, 100)


async def publish_policy(db, **changes):
    """A policy comes into force; the ids of the reviews that follow."""
    db.reactions = {**db.reactions, AllocationVersionPublished: (review_after_publication,)}
    async with db.transaction() as session:
        session.add(next_version("policy", 2, **changes))
        publish(session, AllocationVersionPublished(NOW, "policy", 2))
    async with db.read() as connection:
        found = await connection.execute(text("SELECT id FROM operations WHERE kind = 'portfolio_review' ORDER BY id"))
        return list(found.scalars())


async def read(client, review_id):
    answer = await client.get(f"{PATH}/{review_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ask(client, **body):
    answer = await client.post(PATH, json={"filter": {}, **body})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['id']}"
    return UUID(answer.json()["id"])


async def recommended_to(db, since):
    """Customers with a record that came after so many others, and those with an event of it."""
    async with db.read() as connection:
        new = await connection.execute(
            text("SELECT customer_id FROM recommendations WHERE supersedes IS NOT NULL AND id > :since"),
            {"since": since},
        )
        told = await connection.execute(
            text(
                "SELECT e.customer_id FROM events e JOIN recommendations r"
                " ON r.id = CAST(CAST(body AS jsonb) #>> '{data,recommendation_id}' AS uuid)"
                " WHERE type = 'recommendation.created' AND r.supersedes IS NOT NULL AND r.id > :since"
            ),
            {"since": since},
        )
        return sorted(new.scalars()), sorted(told.scalars())


async def newest(db):
    return await count(db, "SELECT id FROM recommendations ORDER BY id DESC LIMIT 1")


async def test_a_publication_reaches_exactly_those_whose_weights_it_changes(db, client, worker, customers):
    since = await newest(db)
    [review_id] = await publish_policy(db, segments=more_cash())
    await run_now(worker, review_id)
    found = await read(client, review_id)
    new, told = await recommended_to(db, since)
    async with db.read() as connection:
        rows = await connection.execute(text("SELECT id FROM customers WHERE segment = 'small_business' ORDER BY id"))
        assert new == told == list(rows.scalars())
    assert (found["status"], found["actor"]) == ("succeeded", "stagefolio:publication")
    assert found["after_publication"] == {"kind": "policy", "version": 2}
    assert found["progress"] == {"done": 100, "total": 100, "share": 1.0}
    result = found["result"]
    assert (result["customers"], result["changed"], result["told"], result["sooner"]) == (100, 25, 25, 0)
    assert (result["without_portfolio"], result["superseded_by"]) == (0, None)
    assert {"segment": "small_business", "customers": 25, "changed": 25} in result["segments"]
    assert sum(row["customers"] for row in result["risk_classes"]) == 100
    assert sum(row["changed"] for row in result["risk_classes"]) == 25
    assert 0.2 < float(result["mean_turnover"]) <= float(result["largest_turnover"]) < 0.3


async def test_a_questionnaire_changes_no_portfolio_and_begins_nothing(db, customers):
    db.reactions = {**db.reactions, AllocationVersionPublished: (review_after_publication,)}
    async with db.transaction() as session:
        publish(session, AllocationVersionPublished(NOW, "questionnaire", 2))
    assert await count(db, "SELECT count(*) FROM operations") == 0


@pytest.mark.parametrize(("threshold", "changes"), [(0.0, True), (0.5, False)])
async def test_nothing_is_written_while_weights_stay_within_the_threshold(
    db, client, worker, customers, threshold, changes
):
    written = await count(db, _WRITTEN)
    upkeep = {"change_threshold": threshold}
    ceilings = [share * 1.05 for share in default_document("policy")["volatility_ceilings"]]
    [review_id] = await publish_policy(db, upkeep=upkeep, volatility_ceilings=ceilings)
    await run_now(worker, review_id)
    result = (await read(client, review_id))["result"]
    assert (result["changed"] > 50) is changes
    assert (result["customers"], result["told"]) == (100, result["changed"])
    assert await count(db, _WRITTEN) == written + 2 * result["changed"]


async def test_another_standing_makes_a_record_without_an_event(db, client, worker, customers):
    async with db.transaction() as session:
        await session.execute(
            text(
                "UPDATE recommendation_current SET standing = 'advised C5 R5 tolerance' WHERE customer_id = ANY(:ids)"
            ),
            {"ids": customers[:4]},
        )
    since = await newest(db)
    review_id = await ask(client, dry_run=False)
    await run_now(worker, review_id)
    assert await recommended_to(db, since) == (sorted(customers[:4]), [])
    result = (await read(client, review_id))["result"]
    assert (result["changed"], result["told"], result["mean_turnover"], result["largest_turnover"]) == (
        4,
        0,
        None,
        None,
    )


async def test_a_dry_run_says_what_the_review_does_and_writes_nothing(db, client, worker, customers):
    await mix(db, customers)
    async with db.transaction() as session:
        session.add(next_version("policy", 2, segments=more_cash()))
    written = await count(db, _WRITTEN)
    dry = await ask(client, dry_run=True)
    await run_now(worker, dry)
    assert await count(db, _WRITTEN) == written
    real = await ask(client, dry_run=False)
    await run_now(worker, real)
    would, did = (await read(client, dry))["result"], (await read(client, real))["result"]
    assert would == did
    assert did["changed"] > 30
    assert await count(db, _WRITTEN) == written + did["changed"] + did["told"]
    again = await ask(client, dry_run=False)
    await run_now(worker, again)
    assert (await read(client, again))["result"]["changed"] == 0


async def test_drafts_are_tried_on_everybody_before_they_are_published(db, client, worker, customers):
    async with db.transaction() as session:
        draft = next_version("policy", 2, segments=more_cash())
        draft.status, draft.published_at = "draft", None
        session.add(draft)
    review_id = await ask(client, dry_run=True, **{"with": {"policy": 2}})
    found = await read(client, review_id)
    assert found["with"] == {"assumptions": None, "views": None, "policy": 2}
    async with db.transaction() as session:
        await session.execute(text("DELETE FROM allocation_versions WHERE status = 'draft'"))
    await run_now(worker, review_id)
    assert (await read(client, review_id))["result"]["changed"] == 25
    assert await count(db, "SELECT count(*) FROM recommendations") == 100


async def test_a_review_of_some_looks_at_nobody_else(db, client, worker, customers):
    await publish_policy(db, segments=more_cash())
    chosen = {"segment": ["small_business", "mass"], "stage": ["growth", "mature"]}
    review_id = await ask(client, dry_run=False, filter=chosen)
    await run_now(worker, review_id)
    found = await read(client, review_id)
    of = (
        "SELECT count(*) FROM customers WHERE segment = ANY('{small_business,mass}') AND stage = ANY('{growth,mature}')"
    )
    assert found["filter"] == chosen
    assert found["result"]["customers"] == found["progress"]["total"] == await count(db, of)
    assert found["result"]["changed"] == await count(db, of + " AND segment = 'small_business'")


async def test_who_only_is_reviewed_sooner_gets_no_record(db, client, worker, customers):
    [review_id] = await publish_policy(db, upkeep={"review_days": {"A": 30, "B": 365, "C": 365}})
    await run_now(worker, review_id)
    result = (await read(client, review_id))["result"]
    of_tier = await count(db, "SELECT count(*) FROM customers WHERE tier = 'A'")
    assert (result["changed"], result["sooner"]) == (0, of_tier)
    due = "SELECT count(*) FROM recommendation_current WHERE review_at < :at"
    assert await count(db, due, at=NOW.replace(month=6)) == of_tier


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/dry_run", "missing"),
        ({"dry_run": True, "filter": None}, "/filter", "model_attributes_type"),
        ({"dry_run": 1}, "/dry_run", "bool_type"),
        ({"dry_run": False, "with": {"policy": 1}}, "/with", "dry_run_only"),
        ({"dry_run": True, "with": {"policy": 9}}, "/with/policy", "unknown_version"),
        ({"dry_run": True, "with": {"assumptions": 2}}, "/with", "missing_cash_class"),
        ({"dry_run": True, "filter": {"tier": ["A"]}}, "/filter/tier", "extra_forbidden"),
    ],
)
async def test_what_cannot_be_run_is_refused_with_the_field(db, client, body, pointer, code):
    async with db.transaction() as session:
        version = next_version("assumptions", 2)
        classes = [dict(c, code="money") if c["code"] == "cash" else c for c in version.body["asset_classes"]]
        version.body = version.body | {"asset_classes": classes}
        session.add(version)
    answer = await client.post(PATH, json={"filter": {}, **body})
    assert answer.status_code == 422, answer.text
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]


async def test_a_review_needs_the_scope_of_whoever_publishes(db, client):
    key = await make_key(db, "allocation:write", "allocation:read")
    headers = {"Authorization": f"Bearer {key}"}
    assert (await client.post(PATH, json={"dry_run": True, "filter": {}}, headers=headers)).status_code == 403
    assert (await client.get(f"{PATH}/{UUID(int=1)}", headers=headers)).status_code == 404


async def test_another_operation_is_no_review(db, client):
    async with db.transaction() as session:
        one = await begin_review(session, "test", NOW)
        await session.execute(text("UPDATE operations SET kind = 'simulation'"))
    assert (await client.get(f"{PATH}/{one}")).status_code == 404
