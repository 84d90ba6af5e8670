"""The frontier against cvxcla, another exact tracer, wherever it stands; and where it does not, who is right.

Its lambda is one over ours.
"""

import cvxcla
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allocation.engine.constraints import Constraints, Group
from app.allocation.engine.frontier import trace_frontier
from tests.allocation.oracle_problems import assert_best, sound_problem, utility

seeds = st.integers(0, 10**9)
sizes = st.one_of(st.integers(2, 12), st.integers(13, 25))


def turning_points(mean, covariance, constraints):
    """(lambda of theirs, weights) of each, from the best return to the least variance."""
    minimum, maximum = constraints.group_limits()
    traced = cvxcla.CLA(
        mean=mean,
        covariance=covariance,
        lower_bounds=np.array(constraints.lower),
        upper_bounds=np.array(constraints.upper),
        a=np.ones((1, len(mean))),
        b=np.ones(1),
        g=np.vstack([constraints.matrix, -constraints.matrix]),
        h=np.r_[maximum, -minimum],
    )
    points = traced.turning_points
    return np.array([point.lamb for point in points]), np.array([point.weights for point in points])


def assert_same_corners(seed, size, grouped):
    mean, covariance, constraints = sound_problem(seed, size, grouped=grouped)
    frontier = trace_frontier(mean, covariance, constraints)
    lambdas, weights = turning_points(mean, covariance, constraints)
    with np.errstate(divide="ignore"):
        ours = frontier.at_risk_aversion(1 / lambdas)
        np.testing.assert_allclose(ours, weights, rtol=0, atol=1e-7)
        corners = 1 / frontier.risk_aversion
    missing = np.abs(corners[:, None] - lambdas[np.isfinite(lambdas)]).min(axis=1) / (1 + corners)
    np.testing.assert_allclose(missing, 0, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(seeds, sizes, st.booleans())
def test_its_turning_points_are_our_corners_and_ours_its(seed, size, grouped):
    assert_same_corners(seed, size, grouped)


@pytest.mark.evidence
@settings(max_examples=1_500, deadline=None)
@given(seeds, st.integers(2, 40), st.booleans())
def test_its_turning_points_are_our_corners_in_a_thousand_problems(seed, size, grouped):
    assert_same_corners(seed, size, grouped)


def test_where_returns_are_tied_under_a_cap_its_path_is_not_the_best_and_ours_is():
    mean, covariance = np.array([0.04, 0.04, 0.02]), np.diag([0.01, 0.09, 0.02])
    capped = Constraints(("a", "b", "c"), (0, 0, 0), (1, 1, 1), (Group("cap", (1,), 0, 0.8),))
    frontier = trace_frontier(mean, covariance, capped)
    # By hand: the best return with the least variance divides a and b by their variances, 9 to 1.
    np.testing.assert_allclose(frontier.weights[-1], [0.9, 0.1, 0], atol=1e-12)
    lambdas, weights = turning_points(mean, covariance, capped)
    for risk_aversion, theirs in zip(1 / lambdas[1:-1], weights[1:-1], strict=True):
        [ours] = frontier.at_risk_aversion([risk_aversion])
        assert_best(mean, covariance, capped, risk_aversion, ours)
        assert utility(mean, covariance, risk_aversion, ours) > utility(mean, covariance, risk_aversion, theirs) + 0.1


def test_where_bounds_fix_a_class_it_gives_up_and_ours_is_right():
    mean, covariance = np.array([0.02, 0.06, 0.04]), np.diag([0.01, 0.04, 0.02])
    fixed = Constraints(("a", "b", "c"), (0, 0, 0.5), (1, 1, 0.5))
    with pytest.raises(cvxcla.CLAError):
        turning_points(mean, covariance, fixed)
    # By hand: half is left to a and b, by their variances 4 to 1 at the least variance.
    np.testing.assert_allclose(trace_frontier(mean, covariance, fixed).weights, [[0.4, 0.1, 0.5], [0, 0.5, 0.5]])
