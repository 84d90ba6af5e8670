"""Trades back to the target, over HTTP."""

import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.allocation.customers_and_answers import BOLD, MODERATE, accept, complete, create, current
from tests.allocation.holding_customers import advised, at_target, put, read, rebalance, refused

PAGES = Path(__file__).resolve().parents[2] / "docs"


async def test_a_class_outside_its_band_is_named_and_traded_back(client):
    customer, weights = await advised(client)
    largest, second = sorted(weights, key=weights.get)[-1:-3:-1]
    shown = (await put(client, customer, at_target(weights, **{largest: 6000, second: -6000}))).json()
    assert shown["drift"] == "0.060000"
    assert shown["breached"] == [
        code for code in (e["asset_class"] for e in shown["positions"]) if code in (largest, second)
    ]
    [entry] = [entry for entry in shown["positions"] if entry["asset_class"] == largest]
    assert (entry["difference"], entry["band"], entry["breached"]) == ("0.060000", "0.050000", True)
    assert Decimal(entry["actual"]) == weights[largest] + Decimal("0.06")
    found = await rebalance(client, customer)
    assert [(t["asset_class"], t["side"], t["amount"]) for t in found["trades"]] == [
        (largest, "sell", "6000.00"),
        (second, "buy", "6000.00"),
    ]
    assert (found["bought"], found["sold"], found["drift_after"]) == ("6000.00", "6000.00", "0.000000")
    assert found["reason"]["code"] == "rebalance"
    assert set(found["reason"]["params"]["asset_classes"]) == {largest, second}
    assert not any(entry["breached"] for entry in found["positions"])
    assert await read(client, customer) == shown


async def test_new_money_buys_before_anything_is_sold(client):
    customer, weights = await advised(client)
    second = sorted(weights, key=weights.get)[-2]
    await put(client, customer, at_target(weights, **{second: -6000}))
    found = await rebalance(client, customer, new_money="6000.55")
    assert (found["reason"]["code"], found["sold"], found["bought"]) == ("new_money", "0.00", "6000.55")
    assert {t["side"] for t in found["trades"]} == {"buy"}
    assert found["trades"][0]["asset_class"] == second
    assert (found["total"], found["total_after"], found["new_money"]) == ("94000.00", "100000.55", "6000.55")
    assert Decimal(found["drift_after"]) < Decimal(found["drift"])
    assert sum(Decimal(entry["amount"]) for entry in found["positions"]) == Decimal("100000.55")


async def test_a_withdrawal_is_raised_from_what_lies_above(client):
    customer, weights = await advised(client)
    largest = max(weights, key=weights.get)
    await put(client, customer, at_target(weights, **{largest: 3000}))
    found = await rebalance(client, customer, new_money="-2500")
    assert [(t["asset_class"], t["side"], t["amount"]) for t in found["trades"]] == [(largest, "sell", "2500.00")]
    assert found["reason"]["code"] == "withdrawal"
    answer = await client.get(f"/v1/customers/{customer}/rebalance", params={"new_money": "-103000.01"})
    assert refused(answer, "new_money") == "more_than_held"


async def test_the_minimum_may_be_chosen_and_makes_a_breach_not_worth_a_trade(client):
    customer, weights = await advised(client)
    largest, second = sorted(weights, key=weights.get)[-1:-3:-1]
    await put(client, customer, at_target(weights, **{largest: 6000, second: -6000}))
    found = await rebalance(client, customer, minimum_trade="0.07")
    assert (found["trades"], found["reason"]["code"], found["minimum_trade"]) == ([], "below_minimum", "0.070000")
    assert found["reason"]["params"]["minimum"] == 7.0


async def test_an_accepted_portfolio_counts_until_another_is_accepted(client, clock):
    customer, weights = await advised(client)
    await put(client, customer, at_target(weights))
    clock.now += timedelta(hours=1)
    await complete(client, customer, BOLD)
    newer = await current(client, customer)
    shown = await read(client, customer)
    assert (shown["drift"], shown["against"]["newer_id"]) == ("0.000000", newer["id"])
    assert (await rebalance(client, customer))["trades"] == []
    found = await rebalance(client, customer, against="recommended")
    assert found["trades"]
    assert found["against"] == {
        "recommendation_id": newer["id"],
        "state": "proposed",
        "basis": "advised",
        "newer_id": None,
    }
    await accept(client, customer, newer["id"])
    shown = await read(client, customer)
    assert shown["against"]["recommendation_id"] == newer["id"]
    assert shown["breached"]
    assert (await rebalance(client, customer))["trades"] == found["trades"]


async def test_without_an_accepted_portfolio_the_proposed_one_is_the_target(client):
    customer = await create(client)
    shown = (await put(client, customer)).json()
    assert (shown["against"]["state"], shown["against"]["basis"]) == ("proposed", "indicative")
    answer = await client.get(f"/v1/customers/{customer}/rebalance", params={"against": "accepted"})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_recommendation")


async def test_what_was_declined_is_no_target_unless_asked_for(client):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    recommendation = (await current(client, customer))["id"]
    await put(client, customer)
    body = {"recommendation_id": recommendation}
    assert (await client.post(f"/v1/customers/{customer}/recommendation/refusal", json=body)).status_code == 200
    shown = await read(client, customer)
    assert (shown["against"], shown["drift"], shown["breached"]) == (None, None, [])
    assert [entry["target"] for entry in shown["positions"]] == [None, None]
    answer = await client.get(f"/v1/customers/{customer}/rebalance")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_recommendation")
    found = await rebalance(client, customer, against="recommended")
    assert found["against"]["state"] == "declined"


async def test_holding_nothing_has_no_drift_and_first_money_buys_the_target(client):
    customer, weights = await advised(client)
    shown = (await put(client, customer, {})).json()
    assert (shown["total"], shown["drift"], shown["breached"]) == ("0.00", None, [])
    assert {entry["actual"] for entry in shown["positions"]} == {None}
    found = await rebalance(client, customer)
    assert (found["trades"], found["reason"]["code"], found["drift_after"]) == ([], "nothing_held", None)
    found = await rebalance(client, customer, new_money="10000")
    bought = {t["asset_class"]: Decimal(t["amount"]) for t in found["trades"]}
    assert bought == {code: weight * 10_000 for code, weight in weights.items()}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"new_money": "1.23456"}, "new_money"),
        ({"new_money": "NaN"}, "new_money"),
        ({"new_money": "10000000000000"}, "new_money"),
        ({"minimum_trade": "1.1"}, "minimum_trade"),
        ({"minimum_trade": "-0.1"}, "minimum_trade"),
        ({"against": "desired"}, "against"),
        ({"language": "fr"}, "language"),
        ({"unknown": "1"}, "unknown"),
    ],
)
async def test_questions_that_cannot_be_are_refused_by_name(client, query, pointer):
    customer = await create(client)
    await put(client, customer)
    refused(await client.get(f"/v1/customers/{customer}/rebalance", params=query), pointer)


async def test_the_largest_amounts_stay_exact(client):
    customer, weights = await advised(client)
    most = "9999999999999.9999"
    shown = (await put(client, customer, dict.fromkeys(weights, most))).json()
    assert Decimal(shown["total"]) == len(weights) * Decimal(most)
    found = await rebalance(client, customer, new_money=most)
    sides = {side: sum(Decimal(t["amount"]) for t in found["trades"] if t["side"] == side) for side in ("buy", "sell")}
    assert sides["buy"] - sides["sell"] == Decimal(most)
    assert sum(Decimal(entry["amount"]) for entry in found["positions"]) == Decimal(found["total_after"])


async def test_texts_are_in_the_language_of_the_customer_or_the_one_asked_for(client):
    customer, weights = await advised(client, language="zh-CN")
    shown = (await put(client, customer, at_target(weights))).json()
    assert shown["language"] == "zh"
    assert "债券" in {entry["name"] for entry in shown["positions"]}
    largest, second = sorted(weights, key=weights.get)[-1:-3:-1]
    await put(client, customer, at_target(weights, **{largest: 6000, second: -6000}))
    assert "、" in (await rebalance(client, customer))["reason"]["text"]
    english = await rebalance(client, customer, language="en")
    assert english["reason"]["text"].startswith("Outside their bands, and returned to their targets: ")


async def test_the_example_of_the_page_is_true(client):
    steps, page = ((PAGES / name).read_text() for name in ("first-steps.md", "holdings.md"))
    answers = json.loads(re.search(r'"answers": (\{.*?\})', steps, re.DOTALL)[1])
    told, drifted, invested = map(json.loads, re.findall(r"```json\n(.*?)```", page, re.DOTALL))
    customer, weights = await advised(client, answers, birth_on="1988-04-12")
    answer = await client.put(f"/v1/customers/{customer}/holdings", json=told)
    shown = {entry["asset_class"]: entry for entry in answer.json()["positions"]}
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) % \| ([\d.]+) % \| \S+ \| ([\d.]+) \| (breached)?", page, re.MULTILINE)
    assert {row[0] for row in rows} == set(weights) == set(shown)
    for code, *shares, breached in rows:
        figures = [float(shown[code][name]) * 100 for name in ("target", "actual", "band")]
        assert (figures, shown[code]["breached"]) == (pytest.approx([float(x) for x in shares]), bool(breached))
    for promised, query in ((drifted, {}), (invested, {"new_money": "4000"})):
        found = await rebalance(client, customer, **query)
        assert {name: found[name] for name in promised} == promised
