"""Points of a frontier to plot: in order, on the frontier, and none of its corners cut."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.allocation.engine.constraints import Constraints, unconstrained
from app.allocation.engine.curve import corners, points
from app.allocation.engine.defaults import default_assumptions
from app.allocation.engine.frontier import trace_frontier
from tests.allocation import published_critical_line as published
from tests.allocation.oracle_problems import hard_problem, sound_problem

seeds = st.integers(0, 10**9)
sizes = st.one_of(st.integers(2, 12), st.integers(13, 40))
counts = st.integers(2, 120)


def two_classes():
    return trace_frontier([0.02, 0.06], np.diag([0.01, 0.04]), unconstrained(("bonds", "equity")))


def test_two_classes_give_the_points_computed_by_hand():
    curve = points(two_classes(), 3)
    least, half = np.sqrt(0.008), (np.sqrt(0.008) + 0.2) / 2
    np.testing.assert_allclose(curve.volatility, [least, half, 0.2])
    # 0.01 (1 - x)² + 0.04 x² = half²
    equity = 0.2 + np.sqrt(0.04 - (0.01 - half**2) / 0.05)
    np.testing.assert_allclose(curve.weights[:, 1], [0.2, equity, 1.0])
    np.testing.assert_allclose(curve.expected_return, 0.02 + 0.04 * curve.weights[:, 1])
    assert curve.is_corner.tolist() == [True, False, True]


def test_a_point_that_falls_on_a_corner_counts_once():
    assert len(points(two_classes(), 2)) == 2
    frontier = trace_frontier([0.02, 0.06], np.diag([0.0, 0.04]), unconstrained(("cash", "equity")))
    assert len(points(frontier, 21)) == 21


def test_a_frontier_of_one_portfolio_is_one_point():
    frontier = trace_frontier([0.02, 0.06], np.diag([0.01, 0.04]), Constraints(("a", "b"), (0.3, 0.7), (0.3, 0.7)))
    curve = points(frontier, 50)
    assert len(curve) == len(corners(frontier)) == 1
    np.testing.assert_allclose(curve.weights, [[0.3, 0.7]])
    np.testing.assert_allclose(curve.expected_return, [0.048])


def test_a_portfolio_that_stays_best_for_a_while_is_one_corner():
    example = published.SHARPE
    frontier = trace_frontier(example.mean, example.covariance, example.constraints)
    assert len(frontier.weights) == 7
    np.testing.assert_allclose(corners(frontier).weights, example.weights[[0, 2, 3, 4, 6]], rtol=0, atol=5.1e-9)
    assert points(frontier, 2).is_corner.all()


def test_fewer_than_two_points_are_no_curve():
    with pytest.raises(ValueError, match="at least 2"):
        points(two_classes(), 1)


def test_nobody_can_change_a_curve():
    curve = points(two_classes(), 5)
    for column in (curve.volatility, curve.expected_return, curve.weights, curve.is_corner):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0


def test_the_curve_of_the_shipped_assumptions_is_evenly_spaced_but_for_its_corners():
    assumptions = default_assumptions()
    frontier = trace_frontier(assumptions.expected_returns, assumptions.covariance, unconstrained(assumptions.codes))
    curve = points(frontier, 100)
    assert curve.is_corner.sum() == len(corners(frontier)) > 4
    even = curve.volatility[~curve.is_corner]
    grid = np.linspace(frontier.volatility[0], frontier.volatility[-1], 100)
    assert np.isin(even, grid).all()
    assert len(even) >= 98 - curve.is_corner.sum()
    np.testing.assert_allclose(curve.expected_return, curve.weights @ assumptions.expected_returns, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(seeds, sizes, counts, st.booleans())
def test_points_rise_bend_one_way_and_lie_on_the_frontier(seed, size, count, grouped):
    mean, covariance, constraints = sound_problem(seed, size, grouped=grouped)
    frontier = trace_frontier(mean, covariance, constraints)
    assume(len(frontier.weights) > 1)
    curve = points(frontier, count)
    assert count <= len(curve) <= count + len(frontier.weights)
    assert (np.diff(curve.volatility) > 0).all()
    assert (np.diff(curve.expected_return) > 0).all()
    slopes = np.diff(curve.expected_return) / np.diff(curve.volatility)
    assert (np.diff(slopes) < 1e-6 * (1 + slopes[1:])).all()
    assert not constraints.violated(curve.weights).any()
    np.testing.assert_allclose(curve.expected_return, curve.weights @ mean, rtol=0, atol=1e-12)
    variances = ((curve.weights @ covariance) * curve.weights).sum(axis=1)
    np.testing.assert_allclose(np.sqrt(variances), curve.volatility, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(curve.weights[curve.is_corner], corners(frontier).weights)
    np.testing.assert_allclose(curve.weights, frontier.at_volatility(curve.volatility), rtol=0, atol=1e-7)


@settings(max_examples=80, deadline=None)
@given(seeds, sizes, counts)
def test_hard_problems_have_curves_too(seed, size, count):
    mean, covariance, constraints = hard_problem(seed, size)
    frontier = trace_frontier(mean, covariance, constraints)
    curve = points(frontier, count)
    assert (np.diff(curve.volatility) >= 0).all()
    assert not constraints.violated(curve.weights, 1e-8).any()
    np.testing.assert_allclose(curve.expected_return, curve.weights @ mean, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(curve.weights[[0, -1]], frontier.weights[[0, -1]])
