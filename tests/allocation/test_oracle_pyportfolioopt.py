"""The frontier against PyPortfolioOpt: its convex optimiser, and its critical-line algorithm.

Its `risk_aversion` is our lambda; the lambda of its critical line is one over ours. It is asked for more digits than it
gives by default, in percent, which its solver takes further than shares.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.allocation.engine.frontier import trace_frontier
from tests.allocation.oracle_problems import hard_problem, sound_problem, utility

pypfopt = pytest.importorskip(
    "pypfopt", reason="for want of pyportfolioopt, whose solvers this machine has no wheels for"
)

seeds = st.integers(0, 10**9)
sizes = st.one_of(st.integers(2, 12), st.integers(13, 40))
shares = st.floats(0.02, 0.98)
PERCENT = 100.0


def optimiser(mean, covariance, constraints, tolerance):
    asked = {"tol_gap_abs": tolerance, "tol_gap_rel": tolerance, "tol_feas": tolerance}
    bounds = list(zip(constraints.lower, constraints.upper, strict=True))
    made = pypfopt.EfficientFrontier(mean, covariance, bounds, solver="CLARABEL", solver_options=asked)
    if constraints.groups:
        minimum, maximum = constraints.group_limits()
        made.add_constraint(lambda weights: constraints.matrix @ weights >= minimum)
        made.add_constraint(lambda weights: constraints.matrix @ weights <= maximum)
    return made


def values(weights):
    return np.array(list(weights.values()))


@settings(max_examples=120, deadline=None)
@given(seeds, sizes, st.floats(-1, 2).map(lambda exponent: 10**exponent))
def test_its_portfolio_of_greatest_utility_is_ours(seed, size, risk_aversion):
    mean, covariance, constraints = sound_problem(seed, size, grouped=True)
    [ours] = trace_frontier(mean, covariance, constraints).at_risk_aversion([risk_aversion])
    theirs = values(optimiser(mean, covariance, constraints, 1e-12).max_quadratic_utility(risk_aversion))
    one, other = (utility(mean, covariance, risk_aversion, weights) for weights in (ours, theirs))
    assert one == pytest.approx(other, rel=0, abs=1e-9)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(seeds, sizes, st.floats(0, 2).map(lambda exponent: 10**exponent))
def test_its_greatest_utility_is_ours_in_hard_problems_too(seed, size, risk_aversion):
    mean, covariance, constraints = hard_problem(seed, size)
    [ours] = trace_frontier(mean, covariance, constraints).at_risk_aversion([risk_aversion])
    theirs = values(optimiser(mean, covariance, constraints, 1e-9).max_quadratic_utility(risk_aversion))
    one, other = (utility(mean, covariance, risk_aversion, weights) for weights in (ours, theirs))
    assert one == pytest.approx(other, rel=0, abs=1e-7 * (1 + risk_aversion * np.diag(covariance).mean()))


# It says so where it cannot confirm the last of the digits it is asked for; what it found is compared all the same.
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate:UserWarning")
@settings(max_examples=120, deadline=None)
@given(seeds, sizes, shares)
def test_its_portfolio_of_a_given_risk_is_ours(seed, size, share):
    mean, covariance, constraints = sound_problem(seed, size, grouped=True)
    frontier = trace_frontier(mean, covariance, constraints)
    risk = float(frontier.volatility[0] + share * np.ptp(frontier.volatility))
    [ours] = frontier.at_volatility([risk])
    theirs = values(
        optimiser(PERCENT * mean, PERCENT**2 * covariance, constraints, 1e-12).efficient_risk(PERCENT * risk)
    )
    assert mean @ ours == pytest.approx(mean @ theirs, rel=0, abs=1e-8)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


class Finite(list):
    """Stops what goes round in circles, as its critical line does now and then, without end."""

    def append(self, item):
        assume(len(self) < 1_000)
        super().append(item)


@settings(max_examples=100, deadline=None)
@given(seeds, sizes)
def test_every_corner_of_its_critical_line_is_ours(seed, size):
    """Not the other way round: it throws away some corners at which a class reaches a bound, which cvxcla has."""
    mean, covariance, constraints = sound_problem(seed, size, grouped=False)
    frontier = trace_frontier(mean, covariance, constraints)
    line = pypfopt.CLA(mean, covariance, list(zip(constraints.lower, constraints.upper, strict=True)))
    line.w = Finite()
    line.min_volatility()
    corners = np.array([weights.ravel() for weights in line.w])
    distance = np.abs(corners[:, None] - frontier.weights).max(axis=2)
    np.testing.assert_allclose(distance.min(axis=1), 0, atol=1e-8)
    np.testing.assert_allclose([distance[0, -1], distance[-1, 0]], 0, atol=1e-8)  # the ends among them
