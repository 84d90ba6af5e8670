"""Projections of wealth: closed forms, simulations that equal them, and laws that hold for every plan."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allocation.engine.goals import ABSURD, Reach, needed, project
from app.allocation.engine.projection import (
    QUANTILES,
    Flow,
    Goal,
    Plan,
    closed_form,
    payments,
    sample_market,
    simulated,
)
from app.allocation.engine.risk import lognormal_parameters, value_at_risk

STILL = Plan(initial=100_000, years=20, expected_return=0.06, volatility=0.12, annual_cost=0.004)
SAVING = replace(STILL, contributions=(Flow(500, monthly=True, first_year=1, last_year=20, growth=0.02),))
FEW = 400  # paths: the laws hold for any number


@st.composite
def plans(draw):
    """Plans with payments in and out and goals, of sizes that people have."""
    years = draw(st.integers(1, 6))

    def flows(most):
        first = draw(st.integers(1, years))
        last = draw(st.integers(first, years))
        growth = draw(st.floats(-0.1, 0.2))
        return (Flow(draw(st.floats(1, most)), draw(st.booleans()), first, last, growth),)

    goals = st.builds(Goal, st.floats(1, 1e6), st.integers(0, years * 12), st.booleans())
    return Plan(
        initial=draw(st.floats(0, 1e6)),
        years=years,
        expected_return=draw(st.floats(-0.1, 0.2)),
        volatility=draw(st.floats(0, 0.3)),
        annual_cost=draw(st.floats(0, 0.03)),
        contributions=flows(5_000),
        withdrawals=flows(5_000) if draw(st.booleans()) else (),
        goals=tuple(draw(st.lists(goals, max_size=3))),
    )


def wealth_of(plan, seed=1, paths=FEW):
    return simulated(plan, sample_market(plan, seed, paths))


def with_more(plan, amount, growth=0.02):
    return replace(plan, contributions=(*plan.contributions, Flow(amount, True, 1, plan.years, growth)))


def test_payments_fall_due_at_the_beginning_of_months_and_years_and_grow_from_today():
    monthly = payments([Flow(100, True, 2, 3, 0.1)], 48)
    assert monthly[:12].sum() == monthly[36:].sum() == 0
    assert monthly[12:24] == pytest.approx(np.full(12, 110))
    assert monthly[24:36] == pytest.approx(np.full(12, 121))
    yearly = payments([Flow(1000, False, 1, 2, 0.0), Flow(50, False, 2, 2, 0.0)], 24)
    assert np.flatnonzero(yearly).tolist() == [0, 12]
    assert yearly[[0, 12]].tolist() == [1000, 1050]


def test_quantiles_without_payments_are_those_of_the_lognormal_law():
    fan = closed_form(STILL).fan
    mean, deviation = lognormal_parameters(np.array(0.056), np.array(0.12))
    for place, quantile in enumerate(QUANTILES):
        normal = NormalDist().inv_cdf(quantile)
        assert fan[9, place] == pytest.approx(100_000 * math.exp(9 * mean + 3 * deviation * normal), rel=1e-12)
    assert fan[0] == pytest.approx(np.full(5, 100_000))


def test_the_lower_end_after_a_year_is_the_value_at_risk():
    [lost], _ = value_at_risk([0.056], [0.12])
    assert closed_form(STILL).fan[1, 0] == pytest.approx(100_000 * (1 - lost), rel=1e-12)


def test_the_probability_of_a_goal_is_the_one_of_which_its_amount_is_the_quantile():
    fan = closed_form(STILL).fan
    plan = replace(STILL, goals=tuple(Goal(amount, 120) for amount in fan[10].tolist()))
    assert closed_form(plan).reached == pytest.approx(1 - np.array(QUANTILES), abs=1e-12)


def test_a_plan_with_payments_has_no_closed_form():
    with pytest.raises(ValueError, match="closed form"):
        closed_form(SAVING)
    with pytest.raises(ValueError, match="closed form"):
        closed_form(replace(STILL, goals=(Goal(1, 12, pays=True),)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_simulation_equals_the_closed_form_within_its_error(seed):
    plan = replace(STILL, goals=tuple(Goal(amount, 100) for amount in (90_000, 120_000, 150_000, 250_000)))
    exact, sampled = closed_form(plan), wealth_of(plan, seed, paths=10_000)
    error = np.sqrt(exact.reached * (1 - exact.reached) / 10_000)
    assert (np.abs(sampled.reached - exact.reached) <= 4 * error).all()
    # A quantile is as wrong as the share of paths below it.
    levels = np.array(QUANTILES)
    below = 4 * np.sqrt(levels * (1 - levels) / 10_000)
    mean, deviation = lognormal_parameters(np.array(0.056), np.array(0.12))
    for year in (1, 7, 20):
        reached = (np.log(sampled.fan[year] / 100_000) - mean * year) / (deviation * math.sqrt(year))
        shares = np.array([NormalDist().cdf(normal) for normal in reached])
        assert (np.abs(shares - levels) <= below).all()


def test_mean_wealth_with_contributions_equals_its_closed_form():
    plan = replace(STILL, contributions=(Flow(500, True, 1, 20),), years=20)
    market = sample_market(plan, 5, 20_000)
    growth = 1.056 ** (1 / 12)
    expected = 100_000 * 1.056**20 + sum(500 * growth**left for left in range(1, 241))
    final = np.full((2, 10_000), 100_000.0)
    for month in range(240):
        final += 500
        market.grow(month, final)
    error = final.mean(axis=0).std() / math.sqrt(10_000)  # of antithetic pairs
    assert abs(final.mean() - expected) <= 4 * error
    assert np.quantile(final, QUANTILES) == pytest.approx(simulated(plan, market).fan[-1], rel=1e-9)


@given(st.floats(0, 1e6), st.floats(-0.2, 0.3), st.integers(1, 40))
def test_without_volatility_wealth_is_compound_interest(initial, net, years):
    fan = closed_form(Plan(initial, years, net, 0.0, 0.0)).fan
    compound = initial * (1 + net) ** np.arange(years + 1)
    assert np.allclose(fan, compound[:, None], rtol=1e-12, atol=0)


@given(st.floats(0, 1e6), st.floats(-0.2, 0.3), st.integers(1, 10), st.floats(1, 1e4))
def test_without_volatility_a_savings_plan_is_an_annuity_due(initial, net, years, amount):
    plan = Plan(initial, years, net, 0.0, 0.0, contributions=(Flow(amount, True, 1, years),))
    growth = (1 + net) ** (1 / 12)
    saved = sum(amount * growth ** (12 * years - month) for month in range(12 * years))
    assert wealth_of(plan, paths=2).fan[-1] == pytest.approx(np.full(5, initial * (1 + net) ** years + saved), rel=1e-9)


def test_wealth_never_falls_below_zero_and_running_out_is_told():
    plan = Plan(12_000, 3, 0.0, 0.0, 0.0, withdrawals=(Flow(1000, True, 1, 3),))
    wealth = wealth_of(plan, paths=2)
    assert wealth.fan[:, 2].tolist() == [12_000, 0, 0, 0]
    assert wealth.ran_out.tolist() == [0, 0, 1, 1]  # what there was just paid the first year


def test_money_paid_in_after_everything_was_spent_counts_again():
    plan = Plan(500, 2, 0.0, 0.0, 0.0, (Flow(100, True, 2, 2),), (Flow(1000, False, 1, 1),), (Goal(1200, 24),))
    wealth = wealth_of(plan, paths=2)
    assert wealth.fan[:, 0].tolist() == [500, 0, 1200]
    assert wealth.reached.tolist() == [1]


def test_a_goal_is_looked_at_before_what_is_paid_on_its_day_and_after_goals_before_it():
    goals = (Goal(1000, 12), Goal(600, 12, pays=True), Goal(600, 12), Goal(400, 24, pays=True))
    wealth = wealth_of(Plan(1000, 2, 0.0, 0.0, 0.0, withdrawals=(Flow(400, False, 2, 2),), goals=goals), paths=2)
    assert wealth.reached.tolist() == [1, 1, 0, 0]
    assert wealth.at_goals[:, 2].tolist() == [1000, 1000, 400, 0]
    assert wealth.fan[:, 2].tolist() == [1000, 400, 0]
    assert wealth.ran_out.tolist() == [0, 0, 1]  # the last goal could not be paid


@given(plans())
def test_quantiles_are_ordered_and_nothing_is_negative(plan):
    wealth = wealth_of(plan)
    assert (np.diff(wealth.fan, axis=1) >= 0).all()
    assert (wealth.fan >= 0).all()
    assert (np.diff(wealth.ran_out) >= 0).all()


@given(plans(), st.floats(0.01, 5_000))
def test_more_contribution_never_lowers_a_quantile_or_a_probability(plan, amount):
    less, more = wealth_of(plan), wealth_of(with_more(plan, amount))
    assert (more.fan >= less.fan * (1 - 1e-12)).all()
    assert (more.reached >= less.reached).all()
    assert (more.ran_out <= less.ran_out).all()


@given(plans(), st.floats(0.0001, 0.05))
def test_higher_costs_never_raise_the_closed_form(plan, cost):
    still = replace(plan, contributions=(), withdrawals=(), goals=tuple(replace(g, pays=False) for g in plan.goals))
    cheap, dear = closed_form(still), closed_form(replace(still, annual_cost=still.annual_cost + cost))
    assert (dear.fan <= cheap.fan).all()


@given(plans(), st.floats(0.001, 0.05))
def test_higher_costs_never_raise_a_quantile_of_a_savings_plan(plan, cost):
    saving = replace(plan, withdrawals=(), goals=())
    cheap, dear = wealth_of(saving), wealth_of(replace(saving, annual_cost=saving.annual_cost + cost))
    assert (dear.fan <= cheap.fan * (1 + 1e-9)).all()


@given(plans(), st.sampled_from([0.001, 0.5, 3.0, 1e6]))
def test_scaling_all_amounts_scales_the_fan(plan, factor):
    def scaled(flows):
        return tuple(replace(flow, amount=flow.amount * factor) for flow in flows)

    larger = replace(
        plan,
        initial=plan.initial * factor,
        contributions=scaled(plan.contributions),
        withdrawals=scaled(plan.withdrawals),
        goals=tuple(replace(goal, amount=goal.amount * factor) for goal in plan.goals),
    )
    scale = factor * (plan.initial + 1e6)
    assert np.allclose(wealth_of(larger).fan, wealth_of(plan).fan * factor, rtol=1e-9, atol=1e-12 * scale)


@given(plans(), st.integers(0, 2**31 - 1))
def test_the_same_seed_gives_the_same_answer(plan, seed):
    once, again = (project(plan, growth=0.02, seed=seed, paths=FEW) for _ in range(2))
    assert np.array_equal(once.wealth.fan, again.wealth.fan)
    assert np.array_equal(once.wealth.reached, again.wealth.reached)
    assert once.needed == again.needed


def test_another_seed_gives_another_sample():
    assert not np.array_equal(wealth_of(SAVING, 1).fan, wealth_of(SAVING, 2).fan)


@given(plans(), st.lists(st.floats(1, 1e7), min_size=2, max_size=6))
def test_a_larger_goal_is_never_more_likely(plan, amounts):
    goals = tuple(Goal(amount, 12 * plan.years) for amount in sorted(amounts))
    for wealth in (
        wealth_of(replace(plan, goals=goals)),
        closed_form(replace(plan, contributions=(), withdrawals=(), goals=goals)),
    ):
        assert (np.diff(wealth.reached) <= 0).all()


@settings(max_examples=200)
@given(plans(), st.integers(50, 99), st.floats(0, 0.1))
def test_the_contribution_needed_is_enough_and_slightly_less_is_not(plan, percent, growth):
    target = percent / 100
    market = sample_market(plan, 7, FEW)
    for place, goal in enumerate(plan.goals):
        found = needed(plan, place, market, growth, target)
        if found.reach is Reach.NO_PAYMENT_LEFT:
            assert goal.month == 0
            continue
        bound = ABSURD * goal.amount if found.contribution is None else found.contribution
        enough = simulated(with_more(plan, bound, growth), market).reached[place]
        if found.reach is Reach.BEYOND_BOUND:
            assert enough < target
            continue
        assert enough >= target
        if bound > 1e-3 * goal.amount:  # less is lost in the tolerance with which a goal counts as reached
            assert simulated(with_more(plan, bound * (1 - 1e-4), growth), market).reached[place] < target


def test_the_contribution_needed_without_volatility_is_the_savings_rate():
    plan = Plan(1000, 10, 0.0, 0.0, 0.0, goals=(Goal(13_000, 120),))
    [found] = project(plan, growth=0.0, seed=1).needed
    assert (found.reach, found.contribution) == (Reach.BY_CONTRIBUTION, pytest.approx(100))


def test_what_is_likely_enough_needs_nothing_and_what_is_due_at_once_cannot_be_saved_for():
    plan = replace(SAVING, goals=(Goal(50_000, 120), Goal(200_000, 0), Goal(100_000, 0)))
    answer = project(plan, growth=0.02, seed=1)
    assert [(n.reach, n.contribution) for n in answer.needed] == [
        (Reach.ALREADY, 0.0),
        (Reach.NO_PAYMENT_LEFT, None),
        (Reach.ALREADY, 0.0),
    ]


def test_a_goal_behind_withdrawals_beyond_all_measure_is_out_of_reach():
    plan = Plan(0, 5, 0.03, 0.1, 0.0, withdrawals=(Flow(1e6, True, 1, 5),), goals=(Goal(1000, 60),))
    [found] = project(plan, growth=0.0, seed=1).needed
    assert (found.reach, found.contribution) == (Reach.BEYOND_BOUND, None)


@pytest.mark.parametrize("target", [0, 1, 1.5])
def test_a_target_that_is_no_probability_is_refused(target):
    with pytest.raises(ValueError, match="target"):
        project(STILL, growth=0.0, seed=1, target=target)
