"""What publishing a version would do, and frontiers to plot."""

import itertools
import json
from pathlib import Path

import pytest

from app.allocation.effects.schemas import EffectRead, FrontierList
from tests.allocation.customers_and_answers import weights
from tests.allocation.version_drafts import (
    PATHS,
    assumptions,
    bring_into_force,
    document_of,
    draft,
    problem,
    without,
)

RICH = {"segment": "high_net_worth", "age": 30}
FRONTIERS = "/v1/allocation/frontiers"


async def effect(client, kind, version=2, **query):
    answer = await client.get(f"{PATHS[kind]}/{version}/effect", params=query)
    assert answer.status_code == 200, answer.text
    EffectRead.model_validate(answer.json())
    return answer.json()


async def models(client, **query):
    answer = await client.get("/v1/allocation/model-portfolios", params=query)
    return [weights(item) for item in answer.json()["items"]]


async def frontiers(client, **query):
    answer = await client.get(FRONTIERS, params=query)
    assert answer.status_code == 200, answer.text
    FrontierList.model_validate(answer.json())
    return answer.json()


def shares(portfolio):
    return {code: float(share) for code, share in portfolio["weights"].items()}


def of_class(shown, code):
    return next(entry for entry in shown["asset_classes"] if entry["asset_class"] == code)


OTHERS = [
    ("assumptions", assumptions(bonds={"expected_return": 0.02}, gold={"volatility": 0.2})),
    ("views", document_of("views", outlook={"domestic_equity": "falling", "gold": "rising"})),
    ("policy", document_of("policy", bounds={"domestic_equity": {"maximum": 0.2}}, alternatives_minimum_class="C1")),
]


@pytest.mark.parametrize(("kind", "document"), OTHERS, ids=[kind for kind, _ in OTHERS])
async def test_the_effect_of_a_draft_is_what_publishing_it_does(client, kind, document):
    before = await models(client, **RICH)
    await draft(client, kind, document)
    shown = await effect(client, kind, **RICH)
    assert [shares(p["before"]) for p in shown["portfolios"]] == before
    assert await models(client, **RICH) == before
    await bring_into_force(client, kind, {**document, **({} if kind == "assumptions" else {"version": "published"})})
    after = await models(client, **RICH)
    assert [shares(p["after"]) for p in shown["portfolios"]] == after
    assert after != before
    for portfolio, old, new in zip(shown["portfolios"], before, after, strict=True):
        moved = sum(abs(new.get(code, 0) - old.get(code, 0)) for code in {*old, *new}) / 2
        assert float(portfolio["turnover"]) == pytest.approx(moved, abs=1e-9)
    assert (shown["kind"], shown["version"]) == (kind, 2)
    assert {name for name in shown["before"] if shown["before"][name] != shown["after"][name]} == {
        {"assumptions": "assumption_version", "views": "views_version", "policy": "policy_version"}[kind]
    }


async def test_views_are_shown_by_what_they_add_to_the_published_prior(client):
    await draft(client, "views", document_of("views", outlook={"gold": "rising"}, outlook_confidence=1))
    shown = await effect(client, "views")
    gold, bonds = of_class(shown, "gold"), of_class(shown, "bonds")
    assert gold["by_views"] == {"before": "0.000000", "after": "0.020000", "change": "0.020000"}
    assert gold["prior"]["change"] == gold["volatility"]["change"] == "0.000000"
    for entry in (gold, bonds):
        parts = [float(entry[name]["after"]) for name in ("prior", "by_views", "expected_return")]
        assert parts[0] + parts[1] == pytest.approx(parts[2], abs=2e-6)
    assert float(bonds["by_views"]["after"]) > 0  # bonds move with gold
    chinese = await effect(client, "views", language="zh")
    assert of_class(chinese, "gold")["name"] == "黄金"


async def test_classes_that_come_and_go_have_figures_on_one_side_only(client):
    await draft(client, "assumptions", without("gold"))
    shown = await effect(client, "assumptions", **RICH)
    gone = shown["asset_classes"][-1]
    assert (gone["asset_class"], gone["expected_return"]["after"], gone["expected_return"]["change"]) == (
        "gold",
        None,
        None,
    )
    assert all("gold" not in portfolio["after"]["weights"] for portfolio in shown["portfolios"])
    assert (await effect(client, "assumptions", 1))["portfolios"][2]["turnover"] == "0.000000"


async def test_an_effect_without_a_portfolio_has_no_turnover(client):
    bounds = {c["code"]: {"maximum": 0.05} for c in document_of("assumptions")["asset_classes"]}
    await draft(client, "policy", document_of("policy", bounds=bounds))
    shown = await effect(client, "policy")
    for portfolio in shown["portfolios"]:
        assert (portfolio["after"]["status"], portfolio["turnover"]) == ("no_suitable_portfolio", None)
        assert portfolio["after"]["limit"] == "conflict"


async def test_effects_of_what_cannot_be_used_are_refused(client):
    await draft(client, "policy", document_of("policy", cash_class="money"))
    refused = await client.get(f"{PATHS['policy']}/2/effect")
    assert problem(refused, 409, "conflict").keys() == {("/document/cash_class", "missing_cash_class")}
    for kind in ("assumptions", "views", "policy"):
        problem(await client.get(f"{PATHS[kind]}/9/effect"), 404, "not_found")
        problem(await client.get(f"{PATHS[kind]}/1/effect", params={"stage": "asleep"}), 422, "invalid")
    problem(await client.get(f"{PATHS['questionnaire']}/1/effect"), 404, "not_found")


async def test_a_frontier_rises_and_its_model_portfolios_lie_on_it(client):
    shown = await frontiers(client, **RICH, points=20)
    assert [item["risk_classes"] for item in shown["items"]] == [["C1", "C2"], ["C3", "C4", "C5"]]
    for item in shown["items"]:
        volatility = [float(point["volatility"]) for point in item["points"]]
        earned = [float(point["expected_return"]) for point in item["points"]]
        assert volatility == sorted(volatility)
        assert earned == sorted(earned)
        assert len([p for p in item["points"] if not p["is_corner"]]) in range(15, 19)
        for point in item["points"]:
            assert sum(shares(point).values()) == pytest.approx(1, abs=1e-5)
        for portfolio in item["portfolios"]:
            risk, gain = float(portfolio["volatility"]), float(portfolio["expected_return"])
            best = max(e for v, e in zip(volatility, earned, strict=True) if v <= risk + 0.01)
            assert gain <= best + 1e-6
            nearest = min(abs(v - risk) + abs(e - gain) for v, e in zip(volatility, earned, strict=True))
            assert nearest < 0.01
    listed = [shares(p) for item in shown["items"] for p in item["portfolios"]]
    assert listed == await models(client, **RICH)


async def test_every_point_obeys_the_limits_that_are_shown(client):
    shown = await frontiers(client, segment="small_business", kind="business", stage="trial")
    [item] = shown["items"]
    limits = {limit["name"]: limit for limit in item["constraints"]}
    assert {"cash.minimum", "hedge_funds.maximum"} <= set(limits)
    assert limits["cash.minimum"]["limit"] == "0.150000"
    for point, limit in itertools.product(item["points"], item["constraints"]):
        held = sum(shares(point).get(code, 0) for code in limit["asset_classes"])
        bound = float(limit["limit"])
        assert held >= bound - 1e-5 if limit["name"].endswith(".minimum") else held <= bound + 1e-5


async def test_each_asset_class_is_a_point_of_its_own_with_the_views_in_force(client):
    await bring_into_force(client, "views", document_of("views", outlook={"gold": "rising"}, outlook_confidence=1))
    shown = (await frontiers(client))["asset_classes"]
    document = (await client.get(f"{PATHS['assumptions']}/1")).json()["document"]
    assert [(entry["asset_class"], entry["name"]) for entry in shown] == [
        (c["code"], c["names"]["en"]) for c in document["asset_classes"]
    ]
    for entry, given in zip(shown, document["asset_classes"], strict=True):
        assert float(entry["volatility"]) == given["volatility"]
    gold = document["asset_classes"][4]
    published = gold["expected_return"] + gold["volatility"] ** 2 / 2
    assert float(shown[4]["expected_return"]) == pytest.approx(published + 0.02, abs=1e-6)


async def test_a_frontier_can_be_asked_for_under_assumptions_not_in_force(client):
    now = await frontiers(client, age=30)
    await draft(client, "assumptions", assumptions(domestic_equity={"expected_return": 0.2}))
    then = await frontiers(client, age=30, version=2)
    assert (now["versions"]["assumption_version"], then["versions"]["assumption_version"]) == (1, 2)
    assert float(then["items"][0]["points"][-1]["expected_return"]) > 0.15
    assert await frontiers(client, age=30, version=1) == now == await frontiers(client, age=30)


async def test_a_frontier_that_limits_leave_nothing_of_names_them(client):
    bounds = {"domestic_equity": {"minimum": 0.3}, "cash": {"maximum": 0.2}}
    await bring_into_force(client, "policy", document_of("policy", bounds=bounds))
    await draft(client, "assumptions", without("bonds"))
    [old] = (await frontiers(client, version=2, age=90))["items"]
    assert {"cash.maximum", "growth.maximum"} <= set(old["conflict"])
    assert old["points"] == []
    assert {portfolio["status"] for portfolio in old["portfolios"]} == {"no_suitable_portfolio"}
    assert {limit["name"] for limit in old["constraints"]} >= {*old["conflict"], "domestic_equity.minimum"}
    [young] = (await frontiers(client, version=2, age=30))["items"]
    assert young["conflict"] == []


async def test_frontiers_of_nobody_and_of_nothing_are_refused(client):
    problem(await client.get(FRONTIERS, params={"version": 9}), 404, "not_found")
    for query in ({"points": 1}, {"points": 501}, {"age": -1}, {"kind": "business", "segment": "mass"}, {"a": 1}):
        problem(await client.get(FRONTIERS, params=query), 422, "invalid")


async def test_the_example_of_the_documentation_is_true(client):
    page = (Path(__file__).parents[2] / "docs" / "assumptions.md").read_text()
    request, shown = (json.loads(block.split("```")[0]) for block in page.split("```json\n")[1:])
    created = await client.post(PATHS["views"], json=request)
    assert (created.status_code, created.json()["warnings"]) == (201, [])
    assert (await effect(client, "views", segment="affluent", age=45))["asset_classes"][0] == shown
