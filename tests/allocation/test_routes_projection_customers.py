"""Projections of customers over HTTP: their portfolio, holdings, horizon and language."""

import re
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import insert

from app.allocation.engine.defaults import default_document
from app.allocation.models import AllocationVersion, Holding
from app.allocation.projecting.schemas import CustomerProjectionRead
from app.allocation.versions.store import digest
from tests.allocation.customers_and_answers import BOLD, SHORT, accept, complete, create, current, weights
from tests.conftest import NOW, make_key

HALF = {"weights": {"domestic_equity": "0.6", "bonds": "0.4"}, "initial": "50000"}
SAVE = {"amount": "500", "every": "month"}
GOAL = {"name": "A flat", "amount": "90000", "due_on": "2036-03-02"}


async def projected(client, customer_id, **body):
    answer = await client.post(f"/v1/customers/{customer_id}/projection", json=body)
    assert answer.status_code == 200, answer.text
    CustomerProjectionRead.model_validate(answer.json())
    return answer.json()


async def hold(db, customer_id, total):
    async with db.transaction() as session:
        row = {"customer_id": customer_id, "as_of": NOW, "amounts": {"cash": total}, "total": Decimal(total)}
        await session.execute(insert(Holding), [{**row, "source": "core-banking", "received_at": NOW}])


async def publish_version(db, kind, body):
    async with db.transaction() as session:
        row = {"kind": kind, "version": 2, "name": "second", "status": "published", "body": body}
        times = {"created_at": NOW, "published_at": NOW}
        await session.execute(insert(AllocationVersion), [{**row, "digest": digest(body), **times}])


def codes(shown):
    return [warning["code"] for warning in shown["warnings"]]


async def test_a_customer_is_projected_with_the_recommendation_and_the_holdings(client, db):
    customer = await create(client)
    profile = await complete(client, customer, BOLD)
    await hold(db, customer, "12345.60")
    shown, recommended = await projected(client, customer), await current(client, customer)
    assert shown["recommendation_id"] == recommended["id"]
    assert weights(shown) == weights(recommended)
    for figure in ("expected_return", "volatility", "annual_cost", "value_at_risk", "conditional_value_at_risk"):
        assert shown[figure] == recommended[figure], figure
    assert (shown["initial"], shown["holdings_as_of"], shown["basis"]) == (
        "12345.60",
        "2026-03-02T10:00:00Z",
        "advised",
    )
    assert shown["years"] == profile["facts"]["horizon_years"] == 15
    assert len(shown["fan"]) == 16


async def test_without_holdings_the_initial_amount_must_be_told(client):
    customer = await create(client)
    answer = await client.post(f"/v1/customers/{customer}/projection", json={})
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/initial"]
    shown = await projected(client, customer, initial="1000")
    assert (shown["initial"], shown["holdings_as_of"]) == ("1000.00", None)


async def test_without_a_valid_profile_ten_years_are_shown_of_an_indication(client, clock):
    customer = await create(client, birth_on=None)
    shown = await projected(client, customer, initial="1000")
    assert (shown["years"], shown["basis"], codes(shown)[0]) == (10, "indicative", "indicative")
    await complete(client, customer, SHORT)
    assert (await projected(client, customer, initial="1000"))["years"] == 2
    clock.now = NOW + timedelta(days=366)
    assert (await projected(client, customer, initial="1000"))["years"] == 10


async def test_the_accepted_portfolio_is_projected_when_asked_for(client):
    customer = await create(client)
    await complete(client, customer, BOLD)
    ask = {"portfolio": "accepted", "initial": "1000"}
    answer = await client.post(f"/v1/customers/{customer}/projection", json=ask)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_recommendation")
    bold = await current(client, customer)
    assert (await accept(client, customer, bold["id"])).status_code == 200
    await complete(client, customer, SHORT)
    assert (await projected(client, customer, **ask))["recommendation_id"] == bold["id"]
    assert (await projected(client, customer, initial="1000"))["recommendation_id"] != bold["id"]


async def test_texts_are_in_the_language_of_the_customer_or_the_one_asked_for(client):
    customer = await create(client, language="zh-CN")
    shown = await projected(client, customer, initial="1000")
    assert shown["language"] == "zh"
    assert all(re.search("[\u4e00-\u9fff]", warning["text"]) for warning in shown["warnings"])
    assert (await projected(client, customer, initial="1000", language="en"))["language"] == "en"


async def test_views_that_move_the_expected_return_are_warned_of(client, db):
    customer = await create(client)
    await complete(client, customer, BOLD)
    before = await projected(client, customer, initial="1000")
    await publish_version(db, "views", {"version": "bold", "outlook": {"domestic_equity": "rising"}})
    after = await projected(client, customer, initial="1000")
    assert float(after["expected_return"]) > float(before["expected_return"])
    assert (before["views_version"], after["views_version"]) == (1, 2)
    assert ("views_included" in codes(before), "views_included" in codes(after)) == (False, True)


async def test_a_portfolio_of_classes_that_are_gone_keeps_the_figures_of_its_record(client, db):
    customer = await create(client)
    await complete(client, customer, BOLD)
    before = await projected(client, customer, initial="1000")
    renamed = default_document("assumptions")
    renamed["asset_classes"][0]["code"] = "world_equity"
    await publish_version(db, "assumptions", renamed)
    after = await projected(client, customer, initial="1000")
    assert after["fan"][1]["nominal"] == before["fan"][1]["nominal"]
    assert (after["assumption_version"], "older_assumptions" in codes(after)) == (1, True)
    assert sorted(weights(after).items()) == sorted(weights(before).items())


async def test_nobody_and_the_erased_have_no_projection(client):
    gone = "019ab0c2-6f3a-7c51-9a54-0d4f6f0b6a11"
    assert (await client.post(f"/v1/customers/{gone}/projection", json={"initial": "1"})).status_code == 404
    customer = await create(client)
    tag = (await client.get(f"/v1/customers/{customer}")).headers["etag"]
    assert (await client.delete(f"/v1/customers/{customer}", headers={"If-Match": tag})).status_code == 204
    assert (await client.post(f"/v1/customers/{customer}/projection", json={"initial": "1"})).status_code == 410


async def test_projections_need_the_scope_to_read_and_write_nothing(client, db, session, statements):
    customer = await create(client)
    for scope, status in (("allocation:read", 200), ("customers:read", 403)):
        key = await make_key(db, scope)
        headers = {"Authorization": f"Bearer {key}"}
        body = {"initial": "1000"}
        answer = await client.post(f"/v1/customers/{customer}/projection", json=body, headers=headers)
        assert answer.status_code == status
        assert (await client.post("/v1/allocation/projection", json=HALF, headers=headers)).status_code == status
    statements.texts.clear()
    await projected(client, customer, initial="1000", contributions=[SAVE])
    assert statements.texts
    assert [sql for sql in statements.texts if not sql.lstrip().startswith("SELECT")] == []


async def test_a_customer_without_suitable_portfolio_has_no_projection(client):
    customer = await create(client, birth_on="1940-05-01")
    others = [c["code"] for c in default_document("assumptions")["asset_classes"] if c["code"] != "domestic_equity"]
    url, tag = f"/v1/customers/{customer}", {"If-Match": '"0"'}
    restricted = await client.put(f"{url}/investment-restrictions", json={"excluded": others}, headers=tag)
    assert restricted.status_code == 200, restricted.text
    answer = await client.post(f"{url}/projection", json={"initial": "1000"})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_recommendation")


async def test_goals_and_payments_beyond_the_horizon_of_the_profile_are_refused_together(client):
    customer = await create(client)
    await complete(client, customer, SHORT)
    body = {"initial": "1000", "contributions": [{**SAVE, "to_year": 3}], "goals": [GOAL]}
    answer = await client.post(f"/v1/customers/{customer}/projection", json=body)
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/contributions/0/to_year", "/goals/0/due_on"]
