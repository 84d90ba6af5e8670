"""Model portfolios, what-if portfolios, and the assumptions behind them."""

import itertools

import pytest
from sqlalchemy import text

from app.allocation.engine.defaults import default_document
from app.allocation.preview_schemas import ModelPortfolioList
from app.allocation.schemas import PreviewRead
from app.allocation.versions.schemas import AllocationVersionRead
from tests.allocation.customers_and_answers import BOLD, complete, create, current, weights

PROFILE = {"tolerance": 70, "capacity": 75, "horizon_years": 20}


async def preview(client, **body):
    answer = await client.post("/v1/allocation/preview", json=body)
    assert answer.status_code == 200, answer.text
    PreviewRead.model_validate(answer.json())
    return answer.json()


async def models(client, **query):
    answer = await client.get("/v1/allocation/model-portfolios", params=query)
    assert answer.status_code == 200, answer.text
    ModelPortfolioList.model_validate(answer.json())
    return answer.json()["items"]


async def test_model_portfolios_rise_from_class_to_class(client):
    items = await models(client, age=30, segment="high_net_worth")
    assert [item["risk_class"] for item in items] == ["C1", "C2", "C3", "C4", "C5"]
    for lower, higher in itertools.pairwise(items):
        assert float(lower["volatility"]) <= float(higher["volatility"])
        assert float(lower["expected_return"]) <= float(higher["expected_return"])


async def test_model_portfolios_obey_the_rules_of_stage_and_segment(client):
    rich = await models(client, age=30, segment="high_net_worth", stage="mature")
    mass = await models(client, age=30)
    trial = await models(client, age=30, segment="high_net_worth", stage="trial")
    assert ["real_estate" in weights(item) for item in rich] == [False, False, True, True, True]
    assert all("real_estate" not in weights(item) for item in mass)
    assert all("hedge_funds" not in weights(item) for item in trial)
    assert all("stage_excluded" in {reason["code"] for reason in item["reasons"]} for item in trial[2:])


async def test_a_preview_gives_what_the_customer_would_get(client):
    customer = await create(client, birth_on="1986-03-02", segment="affluent")
    await complete(client, customer, BOLD)
    real = await current(client, customer)
    shown = await preview(client, age=40, segment="affluent", stage="prospect", answers=BOLD)
    assert {key: real[key] for key in shown} == shown


async def test_a_preview_without_a_profile_is_an_indication(client):
    shown = await preview(client, age=40)
    assert (shown["basis"], shown["warnings"][0]["code"]) == ("indicative", "indicative")


async def test_restrictions_and_announced_withdrawals_shape_a_preview(client):
    free = await preview(client, age=30, segment="high_net_worth", profile=PROFILE)
    assert "emerging_equity" in weights(free)
    bound = await preview(
        client,
        age=30,
        segment="high_net_worth",
        profile=PROFILE,
        excluded=["emerging_equity"],
        minimum_cash="0.1",
        announced_withdrawal="0.25",
    )
    assert "emerging_equity" not in weights(bound)
    assert weights(bound)["cash"] >= 0.25
    assert {"restriction_excluded", "withdrawal_in_cash"} <= {reason["code"] for reason in bound["reasons"]}


async def test_what_cannot_be_satisfied_says_so_instead_of_advising(client):
    codes = [c["code"] for c in default_document("assumptions")["asset_classes"] if c["code"] != "domestic_equity"]
    shown = await preview(client, age=80, profile=PROFILE, excluded=codes)
    assert (shown["status"], shown["weights"], shown["risk_level"]) == ("no_suitable_portfolio", [], None)
    assert shown["expected_return"] is shown["safer"] is shown["bolder"] is None
    assert shown["reasons"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"age": -1}, "/age"),
        ({"age": "forty"}, "/age"),
        ({"age": True}, "/age"),
        ({"profile": {**PROFILE, "tolerance": 101}}, "/profile/tolerance"),
        ({"profile": {**PROFILE, "liquidity_need": 0.5}}, "/profile/liquidity_need"),
        ({"profile": {"tolerance": 50}}, "/profile/capacity"),
        ({"profile": PROFILE, "answers": BOLD}, ""),
        ({"kind": "business", "segment": "mass"}, ""),
        ({"answers": {"purpose": "grow"}}, "/answers/debt"),
        ({"excluded": ["cash", "tulips"]}, "/excluded/1"),
        ({"minimum_cash": "1.5"}, "/minimum_cash"),
        ({"stage": "asleep"}, "/stage"),
        ({"unknown": 1}, "/unknown"),
    ],
)
async def test_bad_descriptions_are_refused_with_the_place(client, body, pointer):
    answer = await client.post("/v1/allocation/preview", json=body)
    assert answer.status_code == 422
    assert pointer in [e["pointer"] for e in answer.json()["errors"]]


async def test_previews_write_nothing(client, session):
    await preview(client, age=30, profile=PROFILE)
    await models(client)
    counted = await session.execute(
        text("SELECT (SELECT count(*) FROM recommendations), (SELECT count(*) FROM events)")
    )
    assert tuple(counted.one()) == (0, 0)


async def test_the_assumptions_in_force_can_be_read_whole(client):
    listed = (await client.get("/v1/allocation/assumption-sets")).json()["items"]
    assert [(s["version"], s["status"]) for s in listed] == [(1, "published")]
    read = await client.get("/v1/allocation/assumption-sets/1")
    AllocationVersionRead.model_validate(read.json())
    assert read.json()["document"] == default_document("assumptions")
    assert (await client.get("/v1/allocation/assumption-sets/2")).status_code == 404
    assert (await client.get("/v1/allocation/assumption-sets/0")).status_code == 422
