"""The laws that a prior with views on it obeys, on random problems."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.allocation.engine.black_litterman import (
    confident_uncertainty,
    equilibrium_returns,
    own_variance,
    posterior,
    posterior_covariance,
)

seeds = st.integers(0, 10**6)
sizes = st.integers(2, 20)
confidences = st.floats(0.01, 1)
laws = settings(max_examples=60, deadline=None)
TAU = 0.05


class Case:
    """`size` classes, positive definite unless a `rank` is given, and `count` views long and short of random classes."""

    def __init__(self, seed, size, count=None, rank=None):
        self.rng = rng = np.random.default_rng(seed)
        factors = rng.normal(size=(size, rank or size))
        covariance = factors @ factors.T + (0 if rank else np.diag(rng.uniform(0.2, 1, size)))
        scale = rng.uniform(0.02, 0.3, size) / np.sqrt(np.diag(covariance))
        self.covariance = covariance * np.outer(scale, scale)
        self.scaled = TAU * self.covariance
        self.prior = rng.normal(0.05, 0.03, size)
        count = count or int(rng.integers(1, min(size, 6) + 1))
        self.rows = rng.normal(size=(count, size)) * (rng.random((count, size)) < 0.6)
        self.rows[np.arange(count), rng.integers(0, size, count)] += 1.5
        self.expected = self.rows @ self.prior + rng.normal(0, 0.03, count)
        self.confidence = rng.uniform(0.05, 0.95, count)
        self.own = own_variance(self.scaled, self.rows)

    def mean(self, confidence=None, **changed):
        """The mean after the views with these confidences, or their own."""
        inputs = {"prior": self.prior, "rows": self.rows, "expected": self.expected, "scaled": self.scaled} | changed
        chosen = self.confidence if confidence is None else np.asarray(confidence, float)
        return posterior(**inputs, uncertainty=confident_uncertainty(self.own, chosen))


cases = st.builds(Case, seeds, sizes)
single = st.builds(Case, seeds, sizes, st.just(1))


@laws
@given(cases)
def test_no_view_and_no_confidence_leave_the_prior_exactly(case):
    none = np.zeros((0, len(case.prior)))
    np.testing.assert_array_equal(posterior(case.prior, case.scaled, none, np.zeros(0), np.zeros(0)), case.prior)
    np.testing.assert_array_equal(case.mean(np.zeros(len(case.rows))), case.prior)


@laws
@given(cases)
def test_a_view_without_confidence_changes_nothing_beside_others(case):
    confidence = np.r_[0.0, case.confidence[1:]]
    others = posterior(
        *(case.prior, case.scaled, case.rows[1:], case.expected[1:]),
        confident_uncertainty(case.own[1:], case.confidence[1:]),
    )
    np.testing.assert_allclose(case.mean(confidence), others, rtol=0, atol=1e-13)


@laws
@given(cases)
def test_views_that_say_what_the_prior_says_leave_it_exactly(case):
    agreed = {"expected": np.nextafter(case.rows @ case.prior, np.inf)}  # as near as rounding lets it
    np.testing.assert_array_equal(case.mean(**agreed), case.prior)
    np.testing.assert_array_equal(case.mean(np.ones(len(case.rows)), **agreed), case.prior)


@laws
@given(cases)
def test_certain_views_come_true(case):
    assume(np.linalg.cond(case.rows @ case.scaled @ case.rows.T) < 1e8)
    np.testing.assert_allclose(case.rows @ case.mean(np.ones(len(case.rows))), case.expected, rtol=0, atol=1e-10)


@laws
@given(single, confidences)
def test_a_view_alone_goes_its_share_of_the_way_for_every_mean_and_optimal_weight(case, confidence):
    certain = case.mean([1.0]) - case.prior
    np.testing.assert_allclose(case.mean([confidence]) - case.prior, confidence * certain, rtol=0, atol=1e-12)
    # Idzorek defines confidence by the weights that are optimal without constraints, for whatever risk aversion.
    tilt, most = (np.linalg.solve(2.5 * case.covariance, m) for m in (case.mean([confidence]) - case.prior, certain))
    np.testing.assert_allclose(tilt, confidence * most, rtol=1e-7, atol=1e-9)


@laws
@given(cases, confidences, confidences)
def test_more_confidence_goes_further_towards_the_view(case, first, second):
    less, more = sorted((first, second))
    assume(more - less > 1e-6)
    rest = case.confidence[1:]
    missing = [case.expected[0] - case.rows[0] @ case.mean(np.r_[c, rest]) for c in (0.0, less, more)]
    assert abs(missing[0]) + 1e-12 >= abs(missing[1]) >= abs(missing[2]) - 1e-12
    assert all(missing[0] * left >= -1e-15 for left in missing)  # never beyond the view
    if abs(missing[0]) > 1e-4:
        assert abs(missing[1]) > abs(missing[2])


@laws
@given(cases)
def test_the_order_of_views_is_irrelevant(case):
    order = case.rng.permutation(len(case.rows))
    uncertainty = confident_uncertainty(case.own, case.confidence)[order]
    shuffled = posterior(case.prior, case.scaled, case.rows[order], case.expected[order], uncertainty)
    np.testing.assert_allclose(shuffled, case.mean(), rtol=0, atol=1e-12)


@laws
@given(cases, st.floats(0.01, 100))
def test_returns_scale_and_the_unit_of_risk_cancels(case, factor):
    scaled = case.mean(prior=factor * case.prior, expected=factor * case.expected)
    np.testing.assert_allclose(scaled, factor * case.mean(), rtol=1e-9, atol=1e-12)
    # tau and the unit of S come in on both sides; so do the shares in which a view is stated.
    uncertainty = confident_uncertainty(factor * case.own, case.confidence)
    same = posterior(case.prior, factor * case.scaled, case.rows, case.expected, uncertainty)
    np.testing.assert_allclose(same, case.mean(), rtol=0, atol=1e-12)
    rows, expected = factor * case.rows, factor * case.expected
    doubled = confident_uncertainty(own_variance(case.scaled, rows), case.confidence)
    stated = posterior(case.prior, case.scaled, rows, expected, doubled)
    np.testing.assert_allclose(stated, case.mean(), rtol=0, atol=1e-12)


@laws
@given(cases, st.floats(1e-3, 1e3))
def test_mean_and_covariance_equal_the_information_form(case, factor):
    uncertainty = factor * case.own * case.rng.uniform(0.1, 10, len(case.own))
    prior_information, noise = np.linalg.inv(case.scaled), np.diag(1 / uncertainty)
    left = np.linalg.inv(prior_information + case.rows.T @ noise @ case.rows)
    direct = left @ (prior_information @ case.prior + case.rows.T @ noise @ case.expected)
    mean = posterior(case.prior, case.scaled, case.rows, case.expected, uncertainty)
    np.testing.assert_allclose(mean, direct, rtol=0, atol=1e-8)
    covariance = posterior_covariance(case.covariance, case.scaled, case.rows, uncertainty)
    np.testing.assert_allclose(covariance, case.covariance + left, rtol=0, atol=1e-10)


@laws
@given(cases)
def test_views_take_uncertainty_away_and_never_add_any(case):
    uncertainty = confident_uncertainty(case.own, case.confidence)
    covariance = posterior_covariance(case.covariance, case.scaled, case.rows, uncertainty)
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance - case.covariance)[0] > -1e-14
    assert np.linalg.eigvalsh(case.covariance + case.scaled - covariance)[0] > -1e-14


@laws
@given(seeds, st.integers(4, 15))
def test_a_singular_covariance_is_the_limit_of_regular_ones(seed, size):
    case = Case(seed, size, count=2, rank=3)
    limit = case.mean()
    ridge = 1e-9 * np.trace(case.scaled) * np.eye(size)
    nearly = posterior(
        *(case.prior, case.scaled + ridge, case.rows, case.expected),
        confident_uncertainty(own_variance(case.scaled + ridge, case.rows), case.confidence),
    )
    np.testing.assert_allclose(nearly, limit, rtol=0, atol=1e-6)
    certain = case.mean([1.0, 1.0])
    if np.linalg.cond(case.rows @ case.scaled @ case.rows.T) < 1e6:
        np.testing.assert_allclose(case.rows @ certain, case.expected, rtol=0, atol=1e-9)


@laws
@given(single, st.sampled_from([1e-3, 1e-9, 1e-15, 1e-40, 1e-300, 5e-324]))
def test_a_view_that_hardly_counts_leaves_the_others_as_they_are(case, barely):
    other = case.rng.normal(size=len(case.prior))
    rows, expected = np.vstack([case.rows, other]), np.r_[case.expected, 0.5]
    own = own_variance(case.scaled, rows)
    mean = posterior(case.prior, case.scaled, rows, expected, confident_uncertainty(own, np.array([0.5, barely])))
    np.testing.assert_allclose(mean, case.mean([0.5]), rtol=0, atol=50 * barely + 1e-13)


@laws
@given(cases)
def test_certain_views_that_others_imply_change_nothing(case):
    assume(np.linalg.cond(case.rows @ case.scaled @ case.rows.T) < 1e6)
    mix = case.rng.normal(size=(3, len(case.rows)))
    rows, expected = np.vstack([case.rows, mix @ case.rows]), np.r_[case.expected, mix @ case.expected]
    mean = posterior(case.prior, case.scaled, rows, expected, np.zeros(len(rows)))
    np.testing.assert_allclose(mean, case.mean(np.ones(len(case.rows))), rtol=0, atol=1e-8)


def test_contradictory_certainties_meet_in_the_middle():
    rows, expected = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0.04, 0.08])
    mean = posterior(np.array([0.05, 0.05]), np.diag([0.04, 0.01]), rows, expected, np.zeros(2))
    assert mean.tolist() == pytest.approx([0.06, 0.05])


@laws
@given(seeds, st.sampled_from([0.001, 0.5, 1.0]))
def test_nothing_moves_a_portfolio_without_variance(seed, confidence):
    rng = np.random.default_rng(seed)
    volatility, prior = rng.uniform(0.01, 0.3, 3), rng.normal(0.05, 0.02, 3)
    together = np.outer(volatility, volatility)  # every correlation is 1: what one earns, the others pay
    row = np.array([[1 / volatility[0], -1 / volatility[1], 0.0]])
    own = own_variance(together, row)
    assert own.tolist() == [0.0]
    mean = posterior(prior, together, row, np.array([0.5]), confident_uncertainty(own, np.array([confidence])))
    np.testing.assert_array_equal(mean, prior)


def test_in_equilibrium_the_market_portfolio_is_optimal():
    case = Case(7, 8)
    market = case.rng.dirichlet(np.ones(8))
    excess = equilibrium_returns(case.covariance, market, 2.5)
    np.testing.assert_allclose(np.linalg.solve(2.5 * case.covariance, excess), market, atol=1e-12)
