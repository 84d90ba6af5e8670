"""The efficient frontier: hand-computed cases, and the laws that any frontier obeys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allocation.engine.constraints import Constraints, Group, unconstrained
from app.allocation.engine.frontier import trace_frontier
from tests.allocation.engine_cases import random_problem
from tests.allocation.oracle_problems import solver_optimum, utility

seeds = st.integers(0, 10**6)
sizes = st.one_of(st.integers(2, 12), st.integers(13, 40))


def test_two_uncorrelated_classes_give_the_frontier_computed_by_hand():
    frontier = trace_frontier([0.02, 0.06], np.diag([0.01, 0.04]), unconstrained(("bonds", "equity")))
    # Least variance: weights inverse to variances. Then the share of equity is 0.2 + 0.04 / (lambda * 0.05).
    np.testing.assert_allclose(frontier.weights, [[0.8, 0.2], [0.0, 1.0]], atol=1e-12)
    np.testing.assert_allclose(frontier.risk_aversion, [np.inf, 1.0])
    np.testing.assert_allclose(frontier.expected_return, [0.028, 0.06])
    np.testing.assert_allclose(frontier.volatility, [np.sqrt(0.008), 0.2])
    np.testing.assert_allclose(frontier.at_risk_aversion([np.inf, 2.0, 1.0, 0.0])[:, 1], [0.2, 0.6, 1.0, 1.0])
    half = np.sqrt(0.25 * 0.01 + 0.25 * 0.04)
    np.testing.assert_allclose(frontier.at_volatility([0.0, half, 0.2, 0.9])[:, 1], [0.2, 0.5, 1.0, 1.0])


def test_a_cap_on_a_group_adds_a_corner_where_it_begins_to_bind():
    capped = Constraints(("bonds", "equity"), (0, 0), (1, 1), (Group("growth", (1,), 0, 0.6),))
    frontier = trace_frontier([0.02, 0.06], np.diag([0.01, 0.04]), capped)
    np.testing.assert_allclose(frontier.weights, [[0.8, 0.2], [0.4, 0.6]], atol=1e-12)
    np.testing.assert_allclose(frontier.risk_aversion, [np.inf, 2.0])


def test_bounds_that_leave_one_portfolio_give_a_frontier_of_one_point():
    frontier = trace_frontier([0.02, 0.06], np.diag([0.01, 0.04]), Constraints(("a", "b"), (0.3, 0.7), (0.3, 0.7)))
    np.testing.assert_allclose(frontier.weights, [[0.3, 0.7]])
    np.testing.assert_allclose(frontier.at_volatility([0.0, 0.5]), [[0.3, 0.7]] * 2)


def test_equal_expected_returns_leave_only_the_least_variance():
    frontier = trace_frontier([0.05] * 3, np.diag([0.01, 0.02, 0.04]), unconstrained(("a", "b", "c")))
    np.testing.assert_allclose(frontier.weights, [[4 / 7, 2 / 7, 1 / 7]], atol=1e-12)


def test_wrong_shapes_and_numbers_are_refused():
    free = unconstrained(("a", "b"))
    with pytest.raises(ValueError, match="shapes"):
        trace_frontier([0.1], np.eye(2), free)
    with pytest.raises(ValueError, match="finite"):
        trace_frontier([0.1, np.nan], np.eye(2), free)
    with pytest.raises(ValueError, match="share between"):
        Constraints(("a",), (-0.1,), (1.0,))
    with pytest.raises(ValueError, match="group names a class"):
        Constraints(("a",), (0.0,), (1.0,), (Group("g", (1,)),))
    with pytest.raises(ValueError, match="1 entries"):
        Constraints(("a",), (0.0, 0.0), (1.0,))


@settings(max_examples=120, deadline=None)
@given(seeds, sizes)
def test_every_optimum_equals_the_solvers(seed, size):
    mean, covariance, constraints = random_problem(seed, size, None)
    frontier = trace_frontier(mean, covariance, constraints)
    finite = frontier.risk_aversion[1:]
    asked = np.r_[finite, np.sqrt(finite[:-1] * finite[1:]), 0.5, 3.0, 40.0]
    for risk_aversion, weights in zip(asked, frontier.at_risk_aversion(asked), strict=True):
        np.testing.assert_allclose(weights, solver_optimum(mean, covariance, constraints, risk_aversion), atol=1e-6)


@settings(max_examples=120, deadline=None)
@given(seeds, sizes, st.one_of(st.none(), st.integers(1, 4)))
def test_the_frontier_is_feasible_monotone_and_concave(seed, size, rank):
    mean, covariance, constraints = random_problem(seed, size, rank)
    frontier = trace_frontier(mean, covariance, constraints)
    assert not constraints.violated(frontier.weights).any()
    assert (np.diff(frontier.expected_return) > -1e-8).all()
    assert (np.diff(frontier.volatility) >= 0).all()
    assert (np.diff(frontier.risk_aversion[1:]) <= 0).all()
    asked = np.linspace(frontier.volatility[0], frontier.volatility[-1], 41)
    points = frontier.at_volatility(asked)
    assert not constraints.violated(points).any()
    returns = points @ mean
    assert (np.diff(returns) > -1e-8).all()
    if rank is None:
        np.testing.assert_allclose(np.sqrt(((points @ covariance) * points).sum(axis=1)), asked, atol=1e-9)
        # Concave in volatility: a return is never below the chord of its neighbours.
        assert (returns[1:-1] >= (returns[:-2] + returns[2:]) / 2 - 1e-8).all()


@settings(max_examples=80, deadline=None)
@given(seeds, sizes, st.one_of(st.none(), st.integers(1, 4)))
def test_the_ends_are_the_least_variance_and_the_best_return(seed, size, rank):
    mean, covariance, constraints = random_problem(seed, size, rank)
    frontier = trace_frontier(mean, covariance, constraints)
    # The solver wants a little more on the diagonal than a singular covariance has.
    ridge = 1e-5 * np.diag(covariance).mean()
    regular = covariance + ridge * np.eye(size)
    safest = solver_optimum(0 * mean, regular, constraints, 1.0)
    assert frontier.volatility[0] ** 2 <= safest @ regular @ safest + 1e-9
    boldest = solver_optimum(mean, np.eye(size), constraints, 1e-6)
    assert frontier.expected_return[-1] >= mean @ boldest - 1e-6
    for risk_aversion in (0.3, 5.0, 60.0):
        ours = frontier.at_risk_aversion([risk_aversion])[0]
        best = utility(mean, covariance, risk_aversion, solver_optimum(mean, regular, constraints, risk_aversion))
        assert utility(mean, covariance, risk_aversion, ours) >= best - 1e-7 - risk_aversion * ridge
