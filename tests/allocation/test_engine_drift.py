"""Drift and bands."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.allocation.engine.drift import MONEY_UNITS, measure
from app.allocation.engine.rounding import UNITS
from app.allocation.engine.upkeep import Upkeep

POLICY = Upkeep(band_least=0.01, band_most=0.05, band_relative=0.25)


@st.composite
def portfolios(draw, largest=10**13):
    """Holdings and a target of one customer, in units of money and thousandths."""
    size = draw(st.integers(2, 12))
    cuts = sorted(draw(st.lists(st.integers(0, UNITS), min_size=size - 1, max_size=size - 1)))
    target = np.diff([0, *cuts, UNITS])
    held = draw(st.lists(st.integers(0, largest * MONEY_UNITS), min_size=size, max_size=size))
    return held, target.tolist()


def money(*amounts):
    return np.array([amounts], dtype=np.int64) * MONEY_UNITS


def target(*thousandths):
    return np.array([thousandths])


@pytest.mark.parametrize(
    ("weight", "band"),
    [(0, 0.01), (20, 0.01), (40, 0.01), (80, 0.02), (200, 0.05), (500, 0.05), (1000, 0.05)],
)
def test_the_band_is_a_quarter_of_the_target_between_one_and_five_points(weight, band):
    found = measure(money(1, 1), target(weight, 1000 - weight), POLICY)
    assert found.band[0, 0] == pytest.approx(band, abs=1e-12)


def test_drift_is_the_share_of_the_money_in_the_wrong_place():
    found = measure(money(60_000, 30_000, 10_000), target(500, 400, 100), POLICY)
    assert found.drift[0] == pytest.approx(0.1)
    assert found.breached.tolist() == [[True, True, False]]
    np.testing.assert_allclose(found.actual, [[0.6, 0.3, 0.1]])


@pytest.mark.parametrize(("beyond", "breached"), [(0, False), (100, False), (101, True)])
def test_a_class_breaches_beyond_its_band_and_a_cent(beyond, breached):
    equity = 55_000 * MONEY_UNITS + beyond
    held = np.array([[equity, 100_000 * MONEY_UNITS - equity]])
    assert measure(held, target(500, 500), POLICY).breached.tolist() == [[breached, breached]]


def test_a_class_without_target_may_be_held_up_to_a_point():
    assert measure(money(99_000, 1_000), target(1000, 0), POLICY).breached.tolist() == [[False, False]]
    assert measure(money(98_900, 1_100), target(1000, 0), POLICY).breached.tolist() == [[False, True]]


def test_without_money_there_is_no_drift_and_no_breach():
    found = measure(money(0, 0), target(500, 500), POLICY)
    assert np.isnan(found.drift[0])
    assert np.isnan(found.actual).all()
    assert not found.breached.any()
    assert not measure(money(5, 5), target(500, 500), POLICY, np.array([0])).breached.any()


def test_the_bands_are_those_of_the_policy():
    wide = Upkeep(band_least=0.2, band_most=0.3, band_relative=0.5)
    found = measure(money(69_000, 31_000), target(500, 500), wide)
    assert found.band.tolist() == [[0.25, 0.25]]
    assert not found.breached.any()


@given(portfolios())
def test_drift_lies_between_nothing_and_everything_and_equals_what_is_above_target(portfolio):
    held, weights = (np.array([part]) for part in portfolio)
    found = measure(held, weights, POLICY)
    if found.total[0] == 0:
        assert np.isnan(found.drift[0])
        return
    assert -1e-12 <= found.drift[0] <= 1 + 1e-12
    above = np.maximum(found.actual - found.target, 0).sum()
    assert found.drift[0] == pytest.approx(above, abs=1e-9)


@given(portfolios())
def test_breaches_are_exact_however_large_the_money(portfolio):
    held, weights = portfolio
    found = measure(np.array([held]), np.array([weights]), POLICY)
    total = sum(held)
    for i, (amount, weight) in enumerate(zip(held, weights, strict=True)):
        band = max(Fraction(1, 100), min(Fraction(5, 100), Fraction(weight, 4 * UNITS)))
        strays = abs(amount - Fraction(total * weight, UNITS)) - band * total
        if strays <= 99 or strays > 101:  # what is below one unit of money is rounded
            assert found.breached[0, i] == (strays > 100)


@given(st.lists(portfolios(), min_size=1, max_size=6))
def test_one_customer_equals_a_batch_of_one(crowd):
    size = max(len(held) for held, _ in crowd)
    held, weights = (
        np.array([part + [0] * (size - len(part)) for part in column]) for column in zip(*crowd, strict=True)
    )
    together = measure(held, weights, POLICY)
    for row in range(len(crowd)):
        alone = measure(held[row : row + 1], weights[row : row + 1], POLICY)
        for name in ("total", "goal", "width", "actual", "target", "band", "drift", "breached"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[row])


@given(portfolios(largest=10**6), st.integers(2, 10**6))
def test_the_size_of_a_portfolio_changes_no_share(portfolio, factor):
    held, weights = (np.array([part]) for part in portfolio)
    small, large = measure(held, weights, POLICY), measure(held * factor, weights, POLICY)
    np.testing.assert_allclose(small.drift, large.drift, atol=1e-12)
    # The cent counts for less in a larger portfolio.
    assert (small.breached <= large.breached).all()
