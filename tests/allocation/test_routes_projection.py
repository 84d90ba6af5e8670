"""Projections over HTTP of described portfolios: what is asked, what is answered, what is refused."""

import json
import re
from pathlib import Path

import pytest

from app.allocation.projecting.schemas import ProjectionRead

HALF = {"weights": {"domestic_equity": "0.6", "bonds": "0.4"}, "initial": "50000"}
SAVE = {"amount": "500", "every": "month"}
GOAL = {"name": "A flat", "amount": "90000", "due_on": "2036-03-02"}
PAGE = Path(__file__).parents[2] / "docs" / "projection.md"


async def described(client, **body):
    answer = await client.post("/v1/allocation/projection", json={**HALF, **body})
    assert answer.status_code == 200, answer.text
    ProjectionRead.model_validate(answer.json())
    return answer.json()


def codes(shown):
    return [warning["code"] for warning in shown["warnings"]]


def assert_within(shown, expected, place=""):
    """Everything expected is in what is shown; of a list, entries may be left out."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert_within(shown[key], value, f"{place}/{key}")
    elif isinstance(expected, list):
        for entry in expected:
            known = {key: entry[key] for key in ("year", "name") if key in entry}
            [match] = [one for one in shown if known.items() <= one.items()]
            assert_within(match, entry, f"{place}/{known}")
    else:
        assert shown == expected, place


async def test_the_example_of_the_page_is_true(client):
    asked, answered = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL))
    answer = await client.post("/v1/allocation/projection", json=asked)
    assert answered["fan"]
    assert answered["goals"]
    assert_within(answer.json(), answered)


async def test_without_payments_the_answer_is_the_closed_form(client):
    shown = await described(client, years=2, goals=[{**GOAL, "amount": "50000", "due_on": "2028-03-02"}])
    assert (shown["method"], shown["paths"], len(shown["fan"])) == ("closed_form", None, 3)
    assert set(shown["fan"][0]["nominal"].values()) == {"50000.00"}
    lost = float(shown["value_at_risk"])
    assert float(shown["fan"][1]["nominal"]["p5"]) == pytest.approx(50_000 * (1 - lost), abs=0.06)
    assert float(shown["fan"][2]["real"]["p50"]) == pytest.approx(
        float(shown["fan"][2]["nominal"]["p50"]) / 1.02**2, abs=0.01
    )
    [goal] = shown["goals"]
    assert goal["amount_then"] == "52020.00"
    assert float(goal["probability"]) > 0.7
    assert codes(shown) == ["goal_unlikely", "may_lose", "estimates"]


async def test_payments_make_a_simulation_that_the_seed_decides(client):
    once = await described(client, contributions=[SAVE], seed=5)
    again = await described(client, contributions=[SAVE], seed=5)
    other = await described(client, contributions=[SAVE], seed=6)
    assert (once["method"], once["paths"], once["seed"]) == ("simulation", 10_000, 5)
    assert once == again
    assert once["fan"][1:] != other["fan"][1:]


async def test_what_is_paid_in_and_out_is_told_year_by_year(client):
    shown = await described(
        client,
        years=3,
        contributions=[{**SAVE, "growth": "0"}, {"amount": "1000", "every": "once", "from_year": 2, "growth": "0"}],
        withdrawals=[{"amount": "3000", "every": "year", "from_year": 2, "to_year": 3, "growth": "0.1"}],
        goals=[{**GOAL, "kind": "withdraw", "amount": "2000", "money": "then", "due_on": "2027-05-01"}],
    )
    assert [year["paid_in"] for year in shown["fan"]] == ["50000.00", "56000.00", "63000.00", "69000.00"]
    assert [year["paid_out"] for year in shown["fan"]] == ["0.00", "0.00", "5300.00", "8930.00"]


async def test_contributions_rise_with_inflation_unless_told_otherwise(client):
    rising = await described(client, years=2, contributions=[SAVE], inflation="0.05")
    assert rising["fan"][2]["paid_in"] == "62300.00"  # 500 and 525 a month


async def test_money_that_runs_out_is_warned_of(client):
    shown = await described(client, withdrawals=[{"amount": "800", "every": "month"}])
    assert float(shown["probability_of_running_out"]) > 0.9
    chances = [float(year["probability_of_running_out"]) for year in shown["fan"]]
    assert chances == sorted(chances)
    assert "may_run_out" in codes(shown)


async def test_the_required_contribution_makes_the_goal_as_likely_as_wanted(client):
    goal = {**GOAL, "amount": "150000"}
    shown = await described(client, goals=[goal], contributions=[SAVE], target_probability="0.9")
    required = shown["goals"][0]["required"]
    assert (required["status"], shown["goals"][0]["likely"]) == ("by_contribution", False)
    assert required["contribution"] in required["text"]
    more = {"amount": required["contribution"], "every": "month"}
    reached = await described(client, goals=[goal], contributions=[SAVE, more], target_probability="0.9")
    assert float(reached["goals"][0]["probability"]) >= 0.9
    assert reached["goals"][0]["required"]["status"] == "already_reached"
    less = {"amount": f"{float(required['contribution']) - 0.05:.2f}", "every": "month"}
    missed = await described(client, goals=[goal], contributions=[SAVE, less], target_probability="0.9")
    assert float(missed["goals"][0]["probability"]) < 0.9


async def test_a_goal_out_of_reach_says_why(client):
    soon, never = {**GOAL, "due_on": "2026-03-20"}, {**GOAL, "amount": "1000"}
    drained = [{"amount": "100000", "every": "month"}]
    shown = await described(client, goals=[soon, never], withdrawals=drained, language="zh")
    required = [goal["required"] for goal in shown["goals"]]
    assert [(r["status"], r["contribution"]) for r in required] == [("no_payment_left", None), ("beyond_bound", None)]
    assert all(re.search("[\u4e00-\u9fff]", r["text"]) for r in required)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"goals": [{**GOAL, "due_on": "2026-03-02"}]}, "/goals/0/due_on"),
        ({"goals": [GOAL, {**GOAL, "due_on": "2020-01-01"}]}, "/goals/1/due_on"),
        ({"goals": [{**GOAL, "due_on": "2036-04-02"}]}, "/goals/0/due_on"),
        ({"goals": [{**GOAL, "due_on": 1_900_022_400}]}, "/goals/0/due_on"),
        ({"goals": [{**GOAL, "due_on": "soon"}]}, "/goals/0/due_on"),
        ({"goals": [{**GOAL, "amount": "-5"}]}, "/goals/0/amount"),
        ({"goals": [{**GOAL, "amount": "0.00"}]}, "/goals/0/amount"),
        ({"goals": [{**GOAL, "amount": 90000}]}, "/goals/0/amount"),
        ({"goals": [{**GOAL, "kind": "dream"}]}, "/goals/0/kind"),
        ({"goals": [GOAL] * 11}, "/goals"),
        ({"contributions": [SAVE] * 11}, "/contributions"),
        ({"contributions": [{**SAVE, "amount": "-500"}]}, "/contributions/0/amount"),
        ({"contributions": [{**SAVE, "amount": "1e9"}]}, "/contributions/0/amount"),
        ({"contributions": [{**SAVE, "growth": "7"}]}, "/contributions/0/growth"),
        ({"contributions": [{**SAVE, "growth": "0.51"}]}, "/contributions/0/growth"),
        ({"contributions": [{**SAVE, "from_year": 5, "to_year": 4}]}, "/contributions/0/to_year"),
        ({"contributions": [{**SAVE, "from_year": 0}]}, "/contributions/0/from_year"),
        ({"contributions": [{**SAVE, "from_year": 11}]}, "/contributions/0/from_year"),
        ({"withdrawals": [{**SAVE, "to_year": 11}]}, "/withdrawals/0/to_year"),
        ({"withdrawals": [{**SAVE, "every": "once", "to_year": 1}]}, "/withdrawals/0/to_year"),
        ({"withdrawals": [{**SAVE, "every": "week"}]}, "/withdrawals/0/every"),
        ({"years": 0}, "/years"),
        ({"years": 61}, "/years"),
        ({"years": "10"}, "/years"),
        ({"initial": "-1"}, "/initial"),
        ({"initial": None}, "/initial"),
        ({"inflation": "0.6"}, "/inflation"),
        ({"inflation": 0.02}, "/inflation"),
        ({"target_probability": "0.49"}, "/target_probability"),
        ({"target_probability": "1"}, "/target_probability"),
        ({"seed": -1}, "/seed"),
        ({"seed": True}, "/seed"),
        ({"weights": {}}, "/weights"),
        ({"weights": {"bonds": "0.9"}}, "/weights"),
        ({"weights": {"bonds": "0.9", "cash": "0.1001"}}, "/weights"),
        ({"weights": {"tulips": "1"}}, "/weights/tulips"),
        ({"weights": {"bonds": "1.5"}}, "/weights/bonds"),
        ({"language": "fr"}, "/language"),
        ({"portfolio": "recommended"}, "/portfolio"),
    ],
)
async def test_bad_questions_are_refused_with_the_place(client, body, pointer):
    answer = await client.post("/v1/allocation/projection", json={**HALF, **body})
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]


async def test_the_largest_and_longest_question_is_answered(client):
    most = {"amount": "9" * 13, "every": "month", "growth": "0.5"}
    shown = await described(
        client,
        initial="9" * 13,
        years=60,
        contributions=[most] * 10,
        withdrawals=[most] * 9,
        inflation="-0.2",
        goals=[{**GOAL, "name": f"Goal {n}", "amount": "9" * 13, "due_on": "2086-03-02"} for n in range(10)],
    )
    assert (len(shown["fan"]), len(shown["goals"])) == (61, 10)
