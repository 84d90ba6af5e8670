"""Risk figures from returns: the laws of shrinkage, published figures, and what a mean is worth."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allocation.engine.correlation import smallest_eigenvalue
from app.allocation.engine.defaults import default_assumptions
from app.allocation.engine.estimation import ReturnPanel, estimate, restricted, shrinkage_intensity, with_estimate
from app.allocation.engine.prior import Prior
from tests.allocation.return_panels import market, month_ends

seeds = st.integers(0, 10**6)


def random_returns(seed, periods, size):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(size, 2))
    common = rng.normal(size=(periods, 2)) @ factors.T
    return (common + rng.normal(size=(periods, size))) * rng.uniform(0.002, 0.05, size) + 0.004


def intensity_word_by_word(returns):
    """Appendix B of Ledoit and Wolf (2004), sum by sum."""
    periods, size = returns.shape
    y = returns - returns.mean(axis=0)
    s = np.array([[np.mean(y[:, i] * y[:, j]) for j in range(size)] for i in range(size)])
    pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
    mean = np.mean([s[i, j] / np.sqrt(s[i, i] * s[j, j]) for i, j in pairs])
    pi = sum(np.mean((y[:, i] * y[:, j] - s[i, j]) ** 2) for i in range(size) for j in range(size))
    rho = sum(np.mean((y[:, i] ** 2 - s[i, i]) ** 2) for i in range(size))
    for i, j in pairs:
        first = np.mean((y[:, i] ** 2 - s[i, i]) * (y[:, i] * y[:, j] - s[i, j]))
        second = np.mean((y[:, j] ** 2 - s[j, j]) * (y[:, i] * y[:, j] - s[i, j]))
        rho += mean / 2 * (np.sqrt(s[j, j] / s[i, i]) * first + np.sqrt(s[i, i] / s[j, j]) * second)
    gamma = sum((mean * np.sqrt(s[i, i] * s[j, j]) - s[i, j]) ** 2 for i, j in pairs)
    return max(0.0, min(1.0, (pi - rho) / gamma / periods))


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(3, 60), st.integers(3, 8))
def test_the_intensity_is_that_of_the_published_sums(seed, periods, size):
    returns = random_returns(seed, periods, size)
    found = estimate(returns, 12).shrinkage
    assert 0 <= found <= 1
    assert found == pytest.approx(intensity_word_by_word(returns), abs=1e-9)


def test_a_small_case_has_the_figures_of_pyportfolioopt():
    # CovarianceShrinkage(..., frequency=1)._ledoit_wolf_constant_correlation() of PyPortfolioOpt 1.6.0, with the sample
    # covariance divided by T as in the paper.
    returns = np.array(
        [
            *((0.02, -0.01, 0.004), (0.031, 0.012, 0.001), (-0.045, -0.02, 0.006)),
            *((0.012, 0.034, -0.002), (0.007, -0.015, 0.003), (-0.021, 0.018, 0.0)),
        ]
    )
    found = estimate(returns, 1)
    assert found.shrinkage == pytest.approx(0.3938201057834085, rel=1e-9)
    expected = [
        [6.69555556e-04, 2.95465713e-05, -2.66439748e-05],
        [2.95465713e-05, 3.81472222e-04, -3.73551767e-05],
        [-2.66439748e-05, -3.73551767e-05, 7.00000000e-06],
    ]
    np.testing.assert_allclose(found.covariance * 5 / 6, expected, rtol=1e-8)


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(2, 12), st.integers(2, 20))
def test_even_few_returns_give_a_positive_definite_matrix(seed, periods, size):
    found = estimate(random_returns(seed, periods, size), 12)
    assert smallest_eigenvalue(found.correlation) > 0
    np.testing.assert_allclose(np.diag(found.correlation), 1.0)
    assert np.abs(found.correlation).max() <= 1
    assert (found.correlation == found.correlation.T).all()


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(4, 40), st.integers(3, 8), st.floats(0.01, 100))
def test_the_order_of_classes_and_their_common_scale_do_not_matter(seed, periods, size, scale):
    returns = random_returns(seed, periods, size)
    order = np.random.default_rng(seed).permutation(size)
    found, moved, scaled = (estimate(r, 12) for r in (returns, returns[:, order], returns * scale))
    assert moved.shrinkage == pytest.approx(found.shrinkage, abs=1e-9)
    np.testing.assert_allclose(moved.correlation, found.correlation[np.ix_(order, order)], atol=1e-9)
    np.testing.assert_allclose(moved.means, found.means[order])
    assert scaled.shrinkage == pytest.approx(found.shrinkage, abs=1e-9)
    np.testing.assert_allclose(scaled.volatilities, found.volatilities * scale)
    np.testing.assert_allclose(scaled.correlation, found.correlation, atol=1e-9)


def test_with_ever_more_returns_nothing_is_left_to_shrink():
    assumptions, errors = default_assumptions(), []
    for periods in (60, 1_000, 50_000):
        returns = market(5, periods).returns
        found, sample = estimate(returns, 12), estimate(returns, 12, shrink=False)
        errors.append(np.abs(found.correlation - sample.correlation).max())
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert found.shrinkage < 0.001
    np.testing.assert_allclose(found.correlation, assumptions.correlation, atol=0.02)
    np.testing.assert_allclose(found.volatilities, assumptions.volatilities, rtol=0.02)


def test_without_shrinkage_it_is_the_sample_covariance():
    returns = random_returns(7, 30, 4)
    found = estimate(returns, 12, shrink=False)
    assert found.shrinkage == 0
    np.testing.assert_allclose(found.covariance, np.cov(returns.T) * 12)
    np.testing.assert_allclose(found.means, returns.mean(axis=0) * 12)
    np.testing.assert_allclose(found.standard_errors, returns.std(axis=0, ddof=1) / np.sqrt(30) * 12)
    assert found.observations == 30


def test_a_mean_of_25_years_is_uncertain_by_a_fifth_of_the_volatility():
    found = estimate(random_returns(8, 300, 3), 12)
    np.testing.assert_allclose(found.standard_errors, found.volatilities / 5)


def test_a_class_that_never_moved_is_riskless_and_goes_with_nobody():
    returns = random_returns(9, 24, 4)
    returns[:, 2] = 0.0025
    found, others = estimate(returns, 12), estimate(returns[:, [0, 1, 3]], 12)
    assert found.volatilities[2] == 0
    assert found.correlation[2].tolist() == [0, 0, 1, 0]
    assert found.shrinkage == others.shrinkage
    still = estimate(np.full((5, 2), 0.001), 12)
    assert still.volatilities.tolist() == [0, 0]
    assert still.correlation.tolist() == [[1, 0], [0, 1]]


def test_two_classes_have_nothing_to_be_shrunk_towards():
    returns = random_returns(10, 24, 2)
    assert estimate(returns, 12).shrinkage == 0
    np.testing.assert_allclose(estimate(returns, 12).correlation, np.corrcoef(returns.T))
    assert shrinkage_intensity(np.array([[1.0], [-1.0]])) == 0


@pytest.mark.parametrize("returns", [np.zeros((1, 3)), np.array([[0.1, np.nan], [0.0, 0.0]])])
def test_too_few_returns_or_unknown_ones_are_refused(returns):
    with pytest.raises(ValueError, match="two periods of finite returns"):
        estimate(returns, 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": ("a",)}, "shape"),
        ({"codes": ("a", "a")}, "codes differ"),
        ({"dates": month_ends(3)[::-1]}, "rise"),
        ({"returns": np.array([[0.1, 0.1], [0.1, -1.0], [0.1, 0.1]])}, "above -1"),
        ({"periods_per_year": 0.0}, "positive"),
    ],
)
def test_a_panel_that_cannot_be_is_refused(change, message):
    fine = {"dates": month_ends(3), "codes": ("a", "b"), "returns": np.zeros((3, 2)), "periods_per_year": 12.0}
    ReturnPanel(**fine)
    with pytest.raises(ValueError, match=message):
        ReturnPanel(**fine | change)


def test_some_classes_of_a_panel_and_of_a_set():
    panel, assumptions = market(1, 12), default_assumptions()
    codes = ("cash", "domestic_equity")
    assert (panel.of(codes).returns == panel.returns[:, [7, 0]]).all()
    part = restricted(assumptions, codes)
    assert part.codes == codes
    assert [c.market_weight for c in part.asset_classes] == pytest.approx([0.02 / 0.44, 0.42 / 0.44])
    assert part.correlation[0, 1] == assumptions.correlation[7, 0]
    with pytest.raises(ValueError, match="not in tuple"):
        restricted(assumptions, ("cash", "stamps"))


def test_a_part_of_a_set_in_equilibrium_expects_what_the_whole_did():
    prior = Prior("equilibrium", market_risk_aversion=2.5, riskless_return=0.03)
    whole = dataclasses.replace(default_assumptions(), prior=prior)
    part = restricted(whole, ("cash", "bonds"))
    assert part.expected_returns.tolist() == whole.expected_returns[[7, 2]].tolist()
    found = estimate(market(3, 24).of(("cash", "bonds")).returns, 12)
    assert with_estimate(part, found, found.means).expected_returns.tolist() == found.means.tolist()


def test_an_estimate_takes_the_place_of_the_risk_figures_only():
    assumptions = default_assumptions()
    found = estimate(market(2, 120).returns, 12)
    changed = with_estimate(assumptions, found, assumptions.expected_returns)
    np.testing.assert_allclose(changed.covariance, found.covariance)
    np.testing.assert_array_equal(changed.expected_returns, assumptions.expected_returns)
    assert [c.annual_cost for c in changed.asset_classes] == [c.annual_cost for c in assumptions.asset_classes]
    assert changed.as_of == assumptions.as_of > dt.date(2020, 1, 1)
