"""Trades back to the target: the laws that no proposal may break, and the examples that people expect."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.allocation.engine.drift import CENT, MONEY_UNITS, measure
from app.allocation.engine.rebalancing import Outcome, rebalance
from app.allocation.engine.rounding import UNITS
from app.allocation.engine.upkeep import Upkeep

POLICY = Upkeep(band_least=0.01, band_most=0.05, band_relative=0.25, minimum_trade=0.002)


@st.composite
def weights(draw):
    """A target in thousandths."""
    size = draw(st.integers(2, 8))
    cuts = sorted(draw(st.lists(st.integers(0, UNITS), min_size=size - 1, max_size=size - 1)))
    return np.diff([0, *cuts, UNITS]).tolist()


@st.composite
def cases(draw, largest=10**9, step=1):
    """Holdings, target and new money of one customer: anything at all, or one class off and the others nearly right."""
    target = draw(weights())
    if draw(st.integers(0, 3)) == 0:
        held = [draw(st.integers(0, largest)) * step for _ in target]
    else:
        thousandth = draw(st.integers(1, largest // UNITS)) * step
        off = [draw(st.integers(-12, 12)) for _ in target]
        off[draw(st.integers(0, len(off) - 1))] = draw(st.integers(-70, 70))
        held = [max(weight + by, 0) * thousandth for weight, by in zip(target, off, strict=True)]
    share = draw(st.sampled_from([0, 0, 1, 5, 20, 50, 300, 1000, 3000, -1, -5, -20, -50, -300, -1000]))
    return held, target, sum(held) // step * share // UNITS * step


minimums = st.sampled_from([0.0, 0.0005, 0.002, 0.005, 0.02, 0.3])


def proposed(held, target, money, minimum=0.0):
    return rebalance(np.array([held]), np.array([target]), np.array([money]), POLICY, minimum)


def amounts(*values):
    return [round(value * MONEY_UNITS) for value in values]


def traded(held, target, money=0, minimum=None):
    """The trades of one customer, in money."""
    found = rebalance(
        np.array([amounts(*held)]), np.array([target]), np.array([round(money * MONEY_UNITS)]), POLICY, minimum
    )
    return (found.trades[0] / MONEY_UNITS).tolist(), Outcome(found.outcome[0])


@settings(max_examples=120, deadline=None)
@given(cases(), minimums)
def test_money_is_conserved_and_nobody_sells_more_than_is_held(case, minimum):
    held, _, money = case
    trades = proposed(*case, minimum).trades[0]
    assert trades.sum() == money
    assert (np.array(held) + trades >= 0).all()


@settings(max_examples=120, deadline=None)
@given(cases())
def test_inside_the_bands_and_without_money_nothing_is_traded(case):
    held, target, _ = case
    assume(not measure(np.array([held]), np.array([target]), POLICY).breached.any())
    assert not proposed(held, target, 0).trades.any()


@settings(max_examples=120, deadline=None)
@given(cases(), st.sampled_from([0.0, 0.0005, 0.002, 0.005]))
def test_afterwards_nothing_breaches(case, minimum):
    assert not proposed(*case, minimum).after.breached.any()


@settings(max_examples=120, deadline=None)
@given(cases())
def test_a_rebalance_never_adds_drift(case):
    found = proposed(*case)
    assume(found.before.total[0] > 0)
    assume(found.after.total[0] > 0)
    assert found.after.drift[0] <= found.before.drift[0] + 10 / found.after.total[0] + 1e-12


@settings(max_examples=120, deadline=None)
@given(cases(), minimums)
def test_with_a_minimum_drift_rises_at_most_by_the_money_of_trades_left_out(case, minimum):
    held, _, money = case
    found = proposed(*case, minimum)
    assume(found.before.total[0] > 0)
    assume(found.after.total[0] > 0)
    left_out = minimum * (len(held) - 1) if money else 0
    assert found.after.drift[0] <= found.before.drift[0] + left_out + 10 / found.after.total[0] + 1e-12


@st.composite
def mended_by_money(draw):
    """Holdings that some way of investing the new money brings inside the bands."""
    target = draw(weights())
    thousandth = draw(st.integers(100, 10**6))
    good = [max(weight + draw(st.integers(-8, 8)), 0) * thousandth for weight in target]
    bought = [draw(st.integers(0, amount)) for amount in good]
    held = [amount - new for amount, new in zip(good, bought, strict=True)]
    assume(sum(bought) and not measure(np.array([good]), np.array([target]), POLICY).breached.any())
    return held, target, sum(bought)


@settings(max_examples=120, deadline=None)
@given(mended_by_money())
def test_nothing_is_sold_if_new_money_alone_suffices(case):
    found = proposed(*case)
    assert (found.trades >= 0).all()
    assert found.outcome[0] == Outcome.NEW_MONEY


@settings(max_examples=120, deadline=None)
@given(cases())
def test_what_is_sold_is_above_its_target_and_what_is_bought_below(case):
    held, target, money = case
    trades = proposed(*case).trades[0]
    ahead = measure(np.array([held]), np.array([target]), POLICY, np.array([sum(held) + money]))
    above = np.array(held) - ahead.goal[0]
    # Never beyond the target either; goals are rounded to a unit of money.
    assert (np.minimum(trades, 0) >= -np.maximum(above, 0) - 1).all()
    assert (np.maximum(trades, 0) <= np.maximum(-above, 0) + 1).all()


@settings(max_examples=120, deadline=None)
@given(cases())
def test_a_class_that_breaches_returns_to_its_target_when_something_must_be_sold_for_it(case):
    held, target, money = case
    found = proposed(*case)
    assume(found.outcome[0] == Outcome.REBALANCE)
    ahead = measure(np.array([held]), np.array([target]), POLICY, np.array([sum(held) + money]))
    reached = np.abs(np.array(held) + found.trades[0] - ahead.goal[0])
    assert (reached[ahead.breached[0]] <= 1).all()


@settings(max_examples=120, deadline=None)
@given(cases())
def test_no_more_is_sold_than_the_classes_that_breach_ask_for(case):
    held, target, money = case
    found = proposed(*case)
    assume(found.outcome[0] == Outcome.REBALANCE)
    ahead = measure(np.array([held]), np.array([target]), POLICY, np.array([sum(held) + money]))
    off = np.where(ahead.breached[0], np.array(held) - ahead.goal[0], 0)
    asked = max(off[off > 0].sum(), -off[off < 0].sum() - money)
    assert -found.trades[0][found.trades[0] < 0].sum() <= asked + len(held)


@settings(max_examples=120, deadline=None)
@given(cases(), minimums)
def test_trades_below_the_minimum_stay_only_where_money_would_not_add_up(case, minimum):
    held, _, money = case
    trades = proposed(*case, minimum).trades[0]
    least = minimum * (sum(held) + money)
    for side, room in ((trades, None), (-trades, np.array(held) + trades)):
        sizes = side[side > 0]
        small = sizes[sizes < least - 1]
        if len(small):
            alone = len(sizes) == 1
            sold_out = room is not None and room[side > 0].sum() - room[side == small.min()].min() < small.min()
            assert alone or sold_out


@settings(max_examples=60, deadline=None)
@given(st.lists(cases(), min_size=1, max_size=5), minimums)
def test_one_customer_equals_a_batch_of_one(crowd, minimum):
    size = max(len(held) for held, _, _ in crowd)
    held, target = (
        np.array([part + [0] * (size - len(part)) for part in column]) for column in list(zip(*crowd, strict=True))[:2]
    )
    money = np.array([case[2] for case in crowd])
    together = rebalance(held, target, money, POLICY, minimum)
    for row in range(len(crowd)):
        one = slice(row, row + 1)
        alone = rebalance(held[one], target[one], money[one], POLICY, minimum)
        np.testing.assert_array_equal(alone.trades[0], together.trades[row])
        assert alone.outcome[0] == together.outcome[row]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(cases(largest=10**4, step=1000 * MONEY_UNITS), st.sampled_from([10, 1000]))
def test_ten_times_the_money_means_ten_times_the_trades(case, factor):
    held, target, money = case
    small = proposed(held, target, money, 0.002)
    large = proposed([amount * factor for amount in held], target, money * factor, 0.002)
    assert small.outcome[0] == large.outcome[0]
    # The cent that belongs to a band does not grow.
    np.testing.assert_allclose(large.trades / factor, small.trades, atol=CENT * len(held))


def test_without_new_money_what_is_above_is_sold_for_what_is_below():
    assert traded([60_000, 30_000, 10_000], [500, 400, 100]) == ([-10_000, 10_000, 0], Outcome.REBALANCE)


def test_new_money_comes_first_and_may_be_enough():
    assert traded([60_000, 30_000, 10_000], [500, 400, 100], 20_000) == ([0, 18_000, 2_000], Outcome.NEW_MONEY)


def test_what_new_money_cannot_mend_is_sold():
    trades, outcome = traded([60_000, 30_000, 10_000], [500, 400, 100], 5_000)
    assert (trades, outcome) == ([-7_500, 12_000, 500], Outcome.REBALANCE)


def test_a_class_inside_its_band_is_not_traded_for_its_own_sake():
    # Equity and cash breach; bonds, 4 points below, take what is left of the sale, gold at 1 point above stays.
    trades, _ = traded([56_000, 26_000, 16_000, 2_000], [500, 300, 150, 50])
    assert trades == [-6_000, 3_000, 0, 3_000]


def test_a_withdrawal_is_raised_from_what_is_furthest_above():
    trades, outcome = traded([52_000, 39_000, 9_000], [500, 400, 100], -1_000)
    assert (trades, outcome) == ([-1_000, 0, 0], Outcome.WITHDRAWAL)


def test_everything_can_be_paid_out():
    assert traded([600, 300, 0], [500, 400, 100], -900) == ([-600, -300, 0], Outcome.WITHDRAWAL)


def test_a_first_investment_buys_the_target():
    assert traded([0, 0, 0], [500, 400, 100], 1_000) == ([500, 400, 100], Outcome.NEW_MONEY)
    assert traded([0, 0, 0], [500, 400, 100]) == ([0, 0, 0], Outcome.NOTHING_HELD)


def test_money_that_is_too_little_for_two_trades_makes_one():
    # A tenth of a percent, less than the minimum of two tenths: one trade, in what lies lowest.
    assert traded([50_100, 39_900, 10_000], [500, 400, 100], 100) == ([0, 100, 0], Outcome.NEW_MONEY)


def test_a_breach_that_is_not_worth_a_trade_stays():
    assert traded([60_000, 40_000], [500, 500], minimum=0.2) == ([0, 0], Outcome.BELOW_MINIMUM)


def test_the_minimum_is_a_share_of_the_money_afterwards():
    assert traded([0, 0], [999, 1], 1_000) == ([1_000, 0], Outcome.NEW_MONEY)
    assert traded([0, 0], [998, 2], 1_000) == ([998, 2], Outcome.NEW_MONEY)


def test_a_small_sale_stays_where_nothing_else_is_left_to_sell():
    assert traded([50_000, 2_000, 48_000], [0, 0, 1000], minimum=0.03) == (
        [-50_000, -2_000, 52_000],
        Outcome.REBALANCE,
    )


def test_a_class_that_breaches_gets_the_minimum_at_least():
    # Gold lies a little outside its band, and of 400 it would get 94: less than the minimum of 200.80.
    found = traded([44_160, 40_101, 3_835, 11_904], [400, 449, 51, 100], 400)
    assert found == ([0, 0, 400, 0], Outcome.NEW_MONEY)
    trades, _ = traded([44_160, 40_101, 3_835, 11_904], [400, 449, 51, 100], 402)
    assert trades == pytest.approx([0, 201.2, 200.8, 0], abs=0.01)


def test_amounts_that_cannot_be_divided_still_add_up():
    trades, _ = traded([0, 0, 0], [333, 333, 334], 0.0001)
    assert sum(trades) == pytest.approx(0.0001)
    trades, _ = traded([0, 0, 0], [333, 333, 334], 99.9999, 0.0)
    assert trades == pytest.approx([33.3, 33.3, 33.4], abs=2e-4)
    assert sum(trades) == pytest.approx(99.9999, abs=1e-9)


def test_more_than_is_held_cannot_be_paid_out():
    with pytest.raises(ValueError, match="paid out"):
        traded([100, 100], [500, 500], -201)


def test_weights_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match="sum to one"):
        traded([100, 100], [500, 400])
