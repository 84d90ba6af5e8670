"""Backtests over HTTP and on the command line: the figures of the engine, for whoever asks."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from app.allocation.backtesting.schemas import BacktestRead
from app.allocation.engine.backtest import Plan, backtest
from app.allocation.engine.defaults import default_assumptions, default_document, default_policy
from app.allocation.importing.returns_csv import parse_returns
from app.cli import main
from tests.allocation.engine_cases import people
from tests.allocation.return_panels import CODES, csv_of, market

ROUTE = "/v1/allocation/backtests"
CSV = csv_of(market(11, 96))
PERSON = {"age": 45, "risk_class": "C3"}


async def tested(client, status=200, **body):
    answer = await client.post(ROUTE, json={"csv": CSV, "person": PERSON, **body})
    assert answer.status_code == status, answer.text
    if status == 200:
        BacktestRead.model_validate(answer.json())
    return answer.json()


def engine(panel=None, plan=None, **person):
    customer = {"age": 45.0, "tolerance": 60.0, "capacity": 60.0, "horizon_years": 100.0, **person}
    panel = panel or parse_returns(CSV)
    return backtest(default_policy(), default_assumptions(), panel, people(customer), plan or Plan(60, 12))


def growth(shown, place=0):
    return [float(value) for value in shown["strategies"][place]["growth"]]


async def test_a_backtest_says_what_the_engine_computes(client):
    shown, expected = await tested(client), engine()
    assert [s["strategy"] for s in shown["strategies"]] == ["policy", "sixty_forty", "hundred_minus_age"]
    assert (shown["label"], shown["estimates"]) == ("past_only", "equilibrium")
    assert (shown["policy_version"], shown["assumption_version"]) == (default_policy().version, 1)
    assert (shown["first_on"], shown["last_on"], len(shown["dates"])) == ("2004-12-31", "2007-12-31", 37)
    assert (shown["history_periods"], shown["rebalance_every"], shown["left_out"]) == (60, 12, [])
    for place, figures in enumerate(expected.performances):
        told = shown["strategies"][place]
        assert growth(shown, place) == pytest.approx(expected.wealth[:, place].tolist(), abs=1e-6)
        for name in ("annualised_return", "volatility", "sharpe", "turnover"):
            assert float(told[name]) == pytest.approx(getattr(figures, name), abs=1e-6)
        assert float(told["drawdown"]["depth"]) == pytest.approx(figures.drawdown.depth, abs=1e-6)
        assert told["worst_year"]["to_on"] == figures.worst_year.end.isoformat()
    for told, step in zip(shown["rebalancings"], expected.rebalancings, strict=True):
        weights = {w["asset_class"]: float(w["weight"]) for w in told["weights"]}
        assert [weights.get(code, 0) for code in CODES] == pytest.approx(step.weights[0].tolist())
        assert told["on"] == step.on.isoformat()
    assert "R1" <= shown["rebalancings"][0]["risk_level"] <= "R3"


async def test_the_plan_can_be_chosen(client):
    asked = {"history_periods": 24, "window_periods": 36, "rebalance_every": 6, "estimates": "published"}
    shown = await tested(client, **asked, transaction_cost="0.02", bond_class="gold")
    plan = Plan(24, 6, window=36, estimates="published", transaction_cost=0.02, bonds="gold")
    expected = engine(plan=plan)
    assert shown["label"] == "in_sample"
    assert len(shown["rebalancings"]) == 12
    for place in range(3):
        assert growth(shown, place) == pytest.approx(expected.wealth[:, place].tolist(), abs=1e-6)


async def test_the_person_can_be_described(client):
    described = {"age": 70, "score": 95, "segment": "high_net_worth", "stage": "prospect"}
    shown = await tested(client, person=described)
    expected = engine(age=70.0, tolerance=95.0, capacity=95.0, segment="high_net_worth", stage="prospect")
    assert growth(shown) == pytest.approx(expected.wealth[:, 0].tolist(), abs=1e-6)
    business = await tested(client, person={"kind": "business", "risk_class": "C2"})
    assert [s["strategy"] for s in business["strategies"]] == ["policy", "sixty_forty"]
    cash = [float(w["weight"]) for w in business["rebalancings"][0]["weights"] if w["asset_class"] == "cash"]
    assert cash[0] >= 0.15


async def test_classes_without_returns_are_left_out_and_columns_may_have_other_names(client):
    text = csv_of(market(11, 96).of(("domestic_equity", "bonds", "cash"))).replace("domestic_equity", "S&P 500")
    shown = await tested(client, csv=text, columns={"S&P 500": "domestic_equity"})
    assert shown["asset_classes"] == ["domestic_equity", "bonds", "cash"]
    assert shown["left_out"] == ["emerging_equity", "real_estate", "gold", "commodities", "hedge_funds"]


async def test_a_draft_can_be_tried_on_the_past(client):
    policy = default_document("policy")
    policy["version"] = "careful"
    policy["volatility_ceilings"] = [0.02, 0.03, 0.04, 0.05, 0.06]
    answer = await client.post("/v1/allocation/policies", json={"document": policy})
    assert answer.status_code == 201, answer.text
    shown = await tested(client, policy_version=answer.json()["version"], assumption_version=1)
    assert shown["policy_version"] == "careful"
    assert all(float(step["volatility"]) <= 0.04 for step in shown["rebalancings"])
    assert float(shown["strategies"][0]["volatility"]) < float((await tested(client))["strategies"][0]["volatility"])


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"csv": CSV.replace(",", ";")}, "/csv", "wrong_separator"),
        ({"csv": CSV.replace("bonds", "stamps")}, "/csv", "unknown_asset_class"),
        ({"csv": csv_of(market(1, 61))}, "/csv", "too_few_rows"),
        ({"csv": csv_of(market(1, 601))}, "/csv", "too_many_rows"),
        ({"csv": csv_of(market(1, 600)), "rebalance_every": 1}, "/rebalance_every", "out_of_range"),
        ({"csv": csv_of(market(1, 80).of(("domestic_equity", "bonds")))}, "/csv", "missing_asset_class"),
        ({"equity_class": "stamps"}, "/equity_class", "missing_asset_class"),
        ({"bond_class": "stamps"}, "/bond_class", "missing_asset_class"),
        ({"policy_version": 99}, "/policy_version", "unknown_version"),
        ({"assumption_version": 99}, "/assumption_version", "unknown_version"),
        ({"columns": {"silver": "gold"}}, "/columns/silver", "unknown_column"),
        ({"person": {"age": 40}}, "/person", "value_error"),
        ({"person": {**PERSON, "score": 40}}, "/person", "value_error"),
        ({"person": {**PERSON, "kind": "business", "segment": "mass"}}, "/person", "value_error"),
        ({"history_periods": 11}, "/history_periods", "greater_than_equal"),
        ({"transaction_cost": "1"}, "/transaction_cost", "string_pattern_mismatch"),
        ({"estimates": "prophecy"}, "/estimates", "literal_error"),
    ],
)
async def test_what_does_not_fit_is_named(client, body, pointer, code):
    found = [(error["pointer"], error["code"]) for error in (await tested(client, 422, **body))["errors"]]
    assert (pointer, code) in found


async def test_nothing_is_stored(client, db, statements):
    statements.texts.clear()
    await tested(client)
    about_keys = "api_keys"  # the last use of the key is noted with every request
    assert [
        text for text in statements.texts if not text.lstrip().startswith("SELECT") and about_keys not in text
    ] == []


def command(tmp_path, *options, text=CSV):
    (tmp_path / "returns.csv").write_text(text)
    return CliRunner().invoke(main, ["backtest", str(tmp_path / "returns.csv"), *options], env={"COLUMNS": "160"})


def test_the_command_prints_a_table_and_a_chart_and_writes_the_paths(tmp_path):
    series = tmp_path / "paths.csv"
    result = command(tmp_path, "--age", "45", "--class", "C3", "--series", str(series))
    assert result.exit_code == 0, result.output
    expected = engine()
    assert "past only" in result.output
    for title, figures in zip(("policy C3", "60/40", "100 minus age"), expected.performances, strict=True):
        [row] = [line for line in result.output.splitlines() if line.startswith(f"│ {title}")]
        assert f"{figures.annualised_return:.1%}" in row
        [chart] = [line for line in result.output.splitlines() if line.strip().startswith(f"{title} ") and "▁" in line]
        assert chart.endswith(f" {expected.wealth[-1, expected.performances.index(figures)]:.2f}")
    header, *rows = series.read_text().splitlines()
    assert header == "date,policy C3,60/40,100 minus age"
    written = np.array([[float(cell) for cell in row.split(",")[1:]] for row in rows])
    np.testing.assert_allclose(written, expected.wealth, atol=1e-6)


def test_the_command_tries_documents_and_shows_every_class(tmp_path):
    policy = default_document("policy")
    policy["glide_path"] = [{"age": 0, "growth_maximum": 0.2}]
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    result = command(tmp_path, "--policy", str(tmp_path / "policy.json"), "--estimates", "published")
    assert result.exit_code == 0, result.output
    assert "in-sample" in result.output
    assert all(f"policy C{number}" in result.output for number in range(1, 6))
    assert "100 minus age" not in result.output  # the age is unknown
    five, four = (
        [line.split("│")[2:5] for line in result.output.splitlines() if f"│ policy C{n}" in line] for n in (5, 4)
    )
    assert five == four  # a fifth in growth holds both back


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (CSV.replace(",", ";"), (), "/csv: line 1: columns are separated by semicolons"),
        (CSV.replace("gold", "silver"), (), "/csv: line 1, column 6 (silver): the assumption set has only"),
        (CSV, ("--column", "gold"), "--column: must look like"),
        (CSV, ("--history", "95"), "/csv: needs 97 rows"),
        (CSV, ("--class", "C6"), "'C6' is not one of"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, text, options, words):
    result = command(tmp_path, *options, text=text)
    assert result.exit_code != 0
    assert words in result.output


def test_the_command_names_what_is_wrong_with_files(tmp_path):
    (tmp_path / "policy.json").write_text('{"version": "broken"}')
    result = command(tmp_path, "--policy", str(tmp_path / "policy.json"))
    assert result.exit_code == 1
    assert "/glide_path: glide_path is required" in result.output
    (tmp_path / "latin.csv").write_bytes("date,été\n".encode("latin-1"))
    result = CliRunner().invoke(main, ["backtest", str(tmp_path / "latin.csv")])
    assert "/csv: must be UTF-8" in result.output
