"""The policy in the past: nothing looks ahead, every figure follows from the weights, people grow older."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allocation.engine.backtest import ESTIMATES, RISK_AVERSION, Plan, assumptions_at, backtest
from app.allocation.engine.defaults import default_assumptions, default_document, default_policy
from app.allocation.engine.performance import performance
from app.allocation.engine.policy import parse_policy
from tests.allocation.engine_cases import people
from tests.allocation.return_panels import CODES, market, month_ends

POLICY, ASSUMPTIONS = default_policy(), default_assumptions()
PLAN = Plan(history=24, rebalance_every=6)
COSTS = (1 - ASSUMPTIONS.annual_costs) ** (1 / 12)
MODERATE = {"tolerance": 45.0}  # whom no rule but the score holds back
seeds = st.integers(0, 10**6)


def ran(panel, *customers, plan=PLAN, policy=POLICY):
    return backtest(policy, ASSUMPTIONS, panel, people(*(customers or ({},))), plan)


def flat(periods, **returns):
    """Months in which a class earns the same each time, and everything else nothing."""
    values = np.zeros((periods, len(CODES)))
    for code, value in returns.items():
        values[:, CODES.index(code)] = value
    return dataclasses.replace(market(0, periods), returns=values)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(24, 59), st.sampled_from(ESTIMATES), st.sampled_from([None, 12, 30]))
def test_the_future_never_changes_the_past(seed, known, estimates, window):
    panel, other = market(seed, 60), market(seed + 1, 60)
    changed = np.vstack([panel.returns[:known], other.returns[known:]])
    plan = dataclasses.replace(PLAN, estimates=estimates, window=window)
    customers = ({}, {"age": 70.0, "segment": "high_net_worth", "tolerance": 95.0, "capacity": 95.0})
    first = ran(panel, *customers, plan=plan)
    second = ran(dataclasses.replace(panel, returns=changed), *customers, plan=plan)
    held = known - plan.history + 1
    assert (first.wealth[:held] == second.wealth[:held]).all()
    last_known = panel.dates[known - 1]
    chosen = [(a, b) for a, b in zip(first.rebalancings, second.rebalancings, strict=True) if a.on <= last_known]
    assert chosen
    assert all((a.weights == b.weights).all() and (a.turnover == b.turnover).all() for a, b in chosen)


def test_the_future_does_change_what_comes_after_it():
    panel, other = market(1, 60), market(2, 60)
    changed = dataclasses.replace(panel, returns=np.vstack([panel.returns[:40], other.returns[40:]]))
    first, second = ran(panel, MODERATE), ran(changed, MODERATE)
    assert (first.rebalancings[-1].weights != second.rebalancings[-1].weights).any()
    assert (first.wealth[-1] != second.wealth[-1]).any()


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from(ESTIMATES), st.sampled_from([0.0, 0.001, 0.02]))
def test_wealth_follows_from_weights_month_by_month(seed, estimates, cost):
    panel = market(seed, 50)
    result = ran(panel, plan=dataclasses.replace(PLAN, estimates=estimates, transaction_cost=cost))
    for strategy in range(len(result.strategies)):
        wealth, held = 1.0, None
        for month in range(24, 50):
            if (month - 24) % 6 == 0:
                step = result.rebalancings[(month - 24) // 6]
                weights = dict(zip(CODES, step.weights[strategy].tolist(), strict=True))
                traded = 0.0 if held is None else sum(abs(weights[c] - held[c] / wealth) for c in CODES)
                assert step.turnover[strategy] == pytest.approx(traded / 2, abs=1e-12)
                assert step.on == panel.dates[month - 1]
                wealth *= 1 - cost * traded / 2
                held = {code: wealth * weight for code, weight in weights.items()}
            row = zip(CODES, panel.returns[month], COSTS, strict=True)
            held = {code: held[code] * (1 + earned) * kept for code, earned, kept in row}
            wealth = sum(held.values())
            assert result.wealth[month - 23, strategy] == pytest.approx(wealth, rel=1e-12)


def test_a_case_reckoned_by_hand():
    # Equity earns 10 % a month and nothing else anything. 60/40 is mended after six months: 0.6 * 1.1^6 + 0.4 = 1.462937,
    # of which equity 0.726577; the turnover is the 12.6577 % above 60 %, and costs 1 % of that.
    assumptions = dataclasses.replace(
        ASSUMPTIONS, asset_classes=tuple(dataclasses.replace(c, annual_cost=0.0) for c in ASSUMPTIONS.asset_classes)
    )
    plan = dataclasses.replace(PLAN, transaction_cost=0.01)
    result = backtest(POLICY, assumptions, flat(32, domestic_equity=0.1), people({}), plan)
    assert result.strategies == ("policy", "sixty_forty", "hundred_minus_age")
    assert result.wealth[6, 1] == pytest.approx(1.4629366)
    assert result.rebalancings[1].turnover[1] == pytest.approx(0.1265774, abs=1e-7)
    assert result.wealth[8, 1] == pytest.approx(1.4629366 * (1 - 0.001265774) * (0.6 * 1.21 + 0.4), rel=1e-7)


def test_what_earns_nothing_loses_its_annual_cost():
    result = ran(flat(36), plan=dataclasses.replace(PLAN, rebalance_every=12, transaction_cost=0.0))
    assert result.wealth[12, 1] == pytest.approx(1 - 0.6 * 0.002 - 0.4 * 0.0015)
    assert result.performances[1].annualised_return == pytest.approx(-0.0018)


def test_people_grow_older_under_the_glide_path_and_the_old_rule():
    bold = {"age": 50.0, "tolerance": 100.0, "capacity": 100.0}
    result = ran(market(3, 200), bold, plan=Plan(history=60, rebalance_every=12))
    growth = result.rebalancings[0].weights @ ASSUMPTIONS.growth
    years = [(step.on - result.dates[0]).days / 365.25 for step in result.rebalancings]
    shares = np.array([step.weights @ ASSUMPTIONS.growth for step in result.rebalancings])
    ages, caps = zip(*POLICY.glide_path, strict=True)
    allowed = np.interp([50 + year for year in years], ages, caps)
    assert (shares[:, 0] <= allowed + 1e-9).all()
    assert shares[-1, 0] < growth[0] <= 0.75
    assert shares[:, 1] == pytest.approx(0.6)
    assert shares[:, 2] == pytest.approx([0.5 - year / 100 for year in years])


def test_only_whose_age_is_known_has_the_benchmark_of_their_age():
    panel = market(4, 40)
    assert ran(panel, {"age": None}).strategies == ("policy", "sixty_forty")
    business = {"is_business": True, "segment": "small_business"}
    assert ran(panel, business).strategies == ("policy", "sixty_forty")
    several = ran(panel, {"age": 30.0}, {"age": 60.0}, {"age": 30.0})
    assert several.strategies == (*["policy"] * 3, "sixty_forty", *["hundred_minus_age"] * 2)
    assert several.rebalancings[0].weights[4:, 0].tolist() == pytest.approx([0.7, 0.4])
    old = ran(panel, {"age": 120.0}).rebalancings[0].weights[2]
    assert old[CODES.index("bonds")] == 1


def test_many_at_once_are_each_as_if_alone():
    panel, customers = market(5, 48), [{"age": 30.0, "tolerance": float(score)} for score in (10, 50, 90)]
    together = ran(panel, *customers)
    for place, customer in enumerate(customers):
        alone = ran(panel, customer)
        assert (alone.wealth[:, 0] == together.wealth[:, place]).all()
        assert alone.performances[0] == together.performances[place]


def test_a_window_forgets_and_without_one_nothing_is_forgotten():
    panel, other = market(6, 60), market(7, 60)
    changed = dataclasses.replace(panel, returns=np.vstack([other.returns[:12], panel.returns[12:]]))
    window = dataclasses.replace(PLAN, window=24)
    rolling = [ran(p, MODERATE, plan=window).rebalancings[-1].weights for p in (panel, changed)]
    growing = [ran(p, MODERATE).rebalancings[-1].weights for p in (panel, changed)]
    assert (rolling[0] == rolling[1]).all()
    assert (growing[0] != growing[1]).any()


def test_where_expected_returns_come_from():
    panel = market(8, 40)
    found = {
        name: assumptions_at(ASSUMPTIONS, panel, 36, dataclasses.replace(PLAN, estimates=name)) for name in ESTIMATES
    }
    equilibrium = found["equilibrium"]
    weights = np.array([c.market_weight for c in ASSUMPTIONS.asset_classes])
    # At the market portfolio one more of any class gains as much as it costs in risk.
    slope = equilibrium.expected_returns - RISK_AVERSION * equilibrium.covariance @ weights
    np.testing.assert_allclose(slope, 0, atol=1e-12)
    np.testing.assert_allclose(found["past_means"].expected_returns, panel.returns[:36].mean(axis=0) * 12)
    np.testing.assert_array_equal(found["published"].expected_returns, ASSUMPTIONS.expected_returns)
    assert (found["published"].covariance == equilibrium.covariance).all()
    labels = {name: dataclasses.replace(PLAN, estimates=name).label for name in ESTIMATES}
    assert labels == {"equilibrium": "past_only", "past_means": "past_only", "published": "in_sample"}


def test_without_a_suitable_portfolio_cash_is_held():
    document = default_document("policy")
    document["volatility_at_zero"] = 0.0001
    document["volatility_ceilings"] = [0.001, 0.0011, 0.0012, 0.0013, 0.0014]
    result = ran(market(9, 40), policy=parse_policy(document))
    assert all(step.recommended.risk_level[0] == 0 for step in result.rebalancings)
    assert all(step.weights[0].tolist() == [0, 0, 0, 0, 0, 0, 0, 1] for step in result.rebalancings)
    assert result.performances[0].turnover == pytest.approx(0, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(3, 12), st.sampled_from(ESTIMATES))
def test_short_histories_twins_and_classes_that_stand_still_are_in_order(seed, history, estimates):
    panel = market(seed, history + 8)
    returns = panel.returns.copy()
    returns[:, 1] = returns[:, 0]
    returns[:, -1] = 0.002
    plan = Plan(history=history, rebalance_every=3, estimates=estimates)
    result = ran(dataclasses.replace(panel, returns=returns), {"segment": "high_net_worth"}, plan=plan)
    for step in result.rebalancings:
        assert step.weights.sum(axis=1) == pytest.approx(1)
        assert (step.weights >= 0).all()
    assert np.isfinite(result.wealth).all()


@pytest.mark.parametrize(
    ("codes", "plan", "message"),
    [
        (("domestic_equity", "bonds"), PLAN, "the class of cash"),
        (("domestic_equity", "cash"), PLAN, "lacks bonds"),
        (CODES, Plan(history=39, rebalance_every=6), "two periods beyond"),
        (CODES, Plan(history=2, rebalance_every=6), "history of three"),
    ],
)
def test_what_a_backtest_needs_must_be_there(codes, plan, message):
    with pytest.raises(ValueError, match=message):
        ran(market(1, 40).of(codes), plan=plan)
    stranger = dataclasses.replace(market(1, 40), codes=("stamps", *CODES[1:]))
    with pytest.raises(ValueError, match="the assumption set lacks"):
        ran(stranger)


def test_a_panel_of_some_classes_is_enough():
    result = ran(market(1, 40).of(("cash", "bonds", "domestic_equity")))
    assert result.codes == ("domestic_equity", "bonds", "cash")
    assert all(step.weights[0].sum() == pytest.approx(1) for step in result.rebalancings)


def test_figures_of_a_path_reckoned_by_hand():
    wealth = np.array([1.0, 1.25, 1.0, 0.75, 1.5, 1.2])
    found = performance(wealth, month_ends(6), np.zeros(5), 4.0, turnover=0.5)
    returns = np.array([0.25, -0.2, -0.25, 1.0, -0.2])
    assert found.annualised_return == pytest.approx(1.2**0.8 - 1)
    assert found.volatility == pytest.approx(returns.std(ddof=1) * 2)
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * 2)
    assert found.turnover == pytest.approx(0.4)
    fall, year = found.drawdown, found.worst_year
    days = [dt.date(2000, month, day) for month, day in ((2, 29), (4, 30), (5, 31))]
    assert (fall.depth, fall.peak, fall.trough, fall.recovered) == (pytest.approx(0.4), *days)
    assert (year.growth, year.begin, year.end) == (pytest.approx(-0.04), dt.date(2000, 2, 29), dt.date(2000, 6, 30))


def test_a_path_may_never_fall_or_never_recover():
    rising = performance(np.array([1.0, 1.1, 1.21]), month_ends(3), np.full(2, 0.1), 12.0, turnover=0.0)
    assert rising.drawdown is None
    assert rising.worst_year is None
    assert np.isnan(rising.sharpe)
    falling = performance(np.array([1.0, 0.9, 0.95]), month_ends(3), np.zeros(2), 12.0, turnover=0.0)
    assert falling.drawdown.recovered is None
    with pytest.raises(ValueError, match="two periods"):
        performance(np.ones(2), month_ends(2), np.zeros(1), 12.0, turnover=0.0)
