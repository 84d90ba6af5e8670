"""The default policy over real returns, January 1997 to May 2021, with estimates from the past alone."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from app.allocation.engine.backtest import Plan, backtest
from app.allocation.engine.defaults import default_assumptions, default_policy
from app.allocation.engine.estimation import estimate
from tests.allocation.engine_cases import people
from tests.allocation.return_panels import CODES, real_panel

pytestmark = pytest.mark.evidence
POLICY, ASSUMPTIONS = default_policy(), default_assumptions()
AT_40 = [{"age": 40.0, "tolerance": s, "capacity": s, "horizon_years": 100.0} for s in (20.0, 40.0, 60.0, 80.0, 100.0)]
PAGE = Path(__file__).parents[2] / "docs" / "backtest.md"
CLASSES = tuple(f"policy C{number}" for number in range(1, 6))
# Printed in the notes of the data, from the same series.
VOLATILITIES = [0.159, 0.217, 0.034, 0.199, 0.158, 0.204, 0.056, 0.006]


def table(result, names):
    """What came of each, in percent."""
    lines = [f"{'':18} return    vol   fall  worst Sharpe turnover  wealth"]
    titles = [*names, *result.strategies[len(names) :]]
    for place, (title, figures) in enumerate(zip(titles, result.performances, strict=True)):
        shares = (figures.annualised_return, figures.volatility, -figures.drawdown.depth, figures.worst_year.growth)
        cells = " ".join(f"{share:6.1%}" for share in shares)
        lines.append(
            f"{title:18} {cells} {figures.sharpe:6.2f} {figures.turnover:8.1%} {result.wealth[-1, place]:7.2f}"
        )
    return "\n".join(lines)


def test_the_sample_covariance_has_the_figures_that_the_notes_print():
    found = estimate(real_panel().of(CODES).returns, 12, shrink=False)
    np.testing.assert_allclose(found.volatilities, VOLATILITIES, atol=0.0005 + 1e-9)
    np.testing.assert_allclose(found.correlation, ASSUMPTIONS.correlation, atol=0.005 + 1e-9)
    assert found.observations == 293


def test_shrinkage_moves_twenty_four_years_of_months_a_little():
    panel = real_panel().of(CODES)
    found, sample = estimate(panel.returns, 12), estimate(panel.returns, 12, shrink=False)
    assert 0.02 < found.shrinkage < 0.3
    np.testing.assert_array_equal(found.volatilities, sample.volatilities)
    assert np.abs(found.correlation - sample.correlation).max() < 0.15


@pytest.mark.parametrize("segment", ["mass", "high_net_worth"])
@pytest.mark.parametrize("estimates", ["equilibrium", "past_means", "published"])
def test_the_policy_in_the_past_keeps_to_its_risk(segment, estimates):
    plan = Plan(history=60, rebalance_every=12, estimates=estimates)
    result = backtest(POLICY, ASSUMPTIONS, real_panel(), people(*({**p, "segment": segment} for p in AT_40)), plan)
    print(f"\n{segment}, {estimates} ({plan.label}), {result.dates[0]} to {result.dates[-1]}\n{table(result, CLASSES)}")
    realised = np.array([figures.volatility for figures in result.performances])
    assert (realised[:5] <= 1.5 * np.array(POLICY.volatility_ceilings)).all()
    assert (np.diff(realised[:5]) > -0.002).all()
    falls = [figures.drawdown.depth for figures in result.performances[:5]]
    assert (np.diff(falls) > -1e-9).all()
    for step in result.rebalancings:
        assert (step.recommended.volatility <= np.array(POLICY.volatility_ceilings) + 1e-9).all()
        assert (step.recommended.risk_level > 0).all()
    growth = np.array([step.weights[:5] @ ASSUMPTIONS.growth for step in result.rebalancings])
    ages = [40 + (step.on - result.dates[0]).days / 365.25 for step in result.rebalancings]
    caps = np.interp(ages, *zip(*POLICY.glide_path, strict=True))
    assert (growth <= caps[:, None] + 1e-9).all()
    assert growth[-1, 4] < growth[0, 4]


def test_the_page_shows_what_was_computed():
    result = backtest(POLICY, ASSUMPTIONS, real_panel(), people(*AT_40), Plan(history=60, rebalance_every=12))
    names = ("C1", "C2", "C3", "C4", "C5", "60/40", "100 minus age")
    for name, figures in zip(names, result.performances, strict=True):
        shares = [figures.annualised_return, figures.volatility, figures.drawdown.depth, figures.worst_year.growth]
        earned, risk, fall, worst, turnover = (f"{share * 100:.1f} %" for share in (*shares, figures.turnover))
        assert (
            f"| {name} | {earned} | {risk} | {figures.sharpe:.2f} | {fall} | {worst} | {turnover} |" in PAGE.read_text()
        )


def test_older_people_took_less_risk_on_the_same_way():
    ages = (25, 40, 55, 70)
    customers = [{**AT_40[3], "age": float(age)} for age in ages]
    result = backtest(POLICY, ASSUMPTIONS, real_panel(), people(*customers), Plan(history=60, rebalance_every=12))
    print(
        f"\nC4 by age, {result.dates[0]} to {result.dates[-1]}\n{table(result, [f'policy, age {age}' for age in ages])}"
    )
    for step in result.rebalancings:
        assert (np.diff(step.weights[:4] @ ASSUMPTIONS.growth) <= 1e-9).all()
    assert (np.diff([figures.volatility for figures in result.performances[:4]]) < 0).all()


def test_nothing_looks_ahead_in_the_real_panel():
    panel = real_panel()
    known = 140  # until August 2008: what follows is turned upside down
    changed = np.vstack([panel.returns[:known], -panel.returns[known:] / 2])
    plan = Plan(history=60, rebalance_every=12)
    first, second = (
        backtest(POLICY, ASSUMPTIONS, p, people(*AT_40), plan)
        for p in (panel, dataclasses.replace(panel, returns=changed))
    )
    held = known - plan.history + 1
    assert (first.wealth[:held] == second.wealth[:held]).all()
    assert (first.wealth[held:] != second.wealth[held:]).any(axis=1).all()
    chosen = [step.on <= panel.dates[known - 1] for step in first.rebalancings]
    assert sum(chosen) == 7
    same = [(a.weights == b.weights).all() for a, b in zip(first.rebalancings, second.rebalancings, strict=True)]
    assert same[: sum(chosen)] == [True] * 7
    assert not all(same)
