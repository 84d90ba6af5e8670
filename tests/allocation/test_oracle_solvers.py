"""The frontier against general solvers: daqp (quadratic) and HiGHS (linear), which know nothing of how it was traced."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.allocation.engine.frontier import trace_frontier
from tests.allocation.oracle_problems import assert_best, best_in_direction, hard_problem, solver_optimum, utility

seeds = st.integers(0, 10**9)
sizes = st.one_of(st.integers(2, 12), st.integers(13, 40))
risk_aversions = st.floats(-2, 4).map(lambda exponent: 10**exponent)


def assert_optimal_everywhere(seed, size):
    mean, covariance, constraints = hard_problem(seed, size)
    frontier = trace_frontier(mean, covariance, constraints)
    assert not constraints.violated(frontier.weights, 1e-8).any()
    finite = frontier.risk_aversion[1:]
    between = np.sqrt(finite[:-1] * finite[1:])
    rng = np.random.default_rng(seed)
    asked = np.r_[0.0, 0.5, 3.0, 40.0, rng.permuted(finite)[:3], rng.permuted(between)[:3]]
    for risk_aversion, weights in zip(asked, frontier.at_risk_aversion(asked), strict=True):
        assert_best(mean, covariance, constraints, risk_aversion, weights)
    assert_best(0 * mean, covariance, constraints, 1.0, frontier.weights[0])


@settings(max_examples=150, deadline=None)
@given(seeds, sizes)
def test_no_portfolio_is_better_than_ours_at_any_risk_aversion(seed, size):
    assert_optimal_everywhere(seed, size)


@pytest.mark.evidence
@settings(max_examples=5_000, deadline=None)
@given(seeds, sizes)
def test_no_portfolio_is_better_than_ours_in_thousands_of_hard_problems(seed, size):
    assert_optimal_everywhere(seed, size)


@settings(max_examples=150, deadline=None)
@given(seeds, sizes, risk_aversions)
def test_the_optimum_of_the_quadratic_solver_is_ours(seed, size, risk_aversion):
    mean, covariance, constraints = hard_problem(seed, size)
    frontier = trace_frontier(mean, covariance, constraints)
    [ours] = frontier.at_risk_aversion([risk_aversion])
    theirs = solver_optimum(mean, covariance, constraints, risk_aversion)
    assume(theirs is not None)
    variance = np.diag(covariance).mean()
    tolerance = 1e-5 * (np.ptp(mean) + risk_aversion * variance)
    values = [utility(mean, covariance, risk_aversion, weights) for weights in (ours, theirs)]
    assert values[0] == pytest.approx(values[1], rel=0, abs=tolerance)
    # How firmly the optimum is held in place: where not at all, many portfolios are as good.
    hold = np.linalg.eigvalsh(covariance)[0] * risk_aversion
    if hold > 1e-3:
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(seeds, sizes)
def test_without_risk_aversion_the_best_return_is_ours(seed, size):
    mean, covariance, constraints = hard_problem(seed, size)
    frontier = trace_frontier(mean, covariance, constraints)
    best = best_in_direction(mean, constraints)
    missed = (mean - mean.mean()) @ (best - frontier.weights[-1])
    assert missed <= 1e-5 * np.ptp(mean) + 1e-12
