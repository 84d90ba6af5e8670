"""The frontier against a published example of the critical-line algorithm."""

import numpy as np
import pytest

from app.allocation.engine.constraints import unconstrained
from app.allocation.engine.frontier import trace_frontier
from tests.allocation import published_critical_line as published


@pytest.fixture(scope="module")
def frontier():
    codes = tuple(f"asset_{number}" for number in range(1, 11))
    return trace_frontier(published.MEAN, published.COVARIANCE, unconstrained(codes))


def test_the_ten_published_corner_portfolios_are_ours_and_no_others(frontier):
    np.testing.assert_allclose(frontier.weights[::-1], published.WEIGHTS, rtol=0, atol=5.1e-9)


def test_their_returns_risks_and_lambdas_are_ours(frontier):
    np.testing.assert_allclose(frontier.expected_return[::-1], published.RETURNS, rtol=0, atol=5.1e-4)
    np.testing.assert_allclose(frontier.volatility[::-1], published.RISKS, rtol=0, atol=5.1e-4)
    np.testing.assert_allclose(1 / frontier.risk_aversion[::-1], published.LAMBDAS, rtol=0, atol=5.1e-4)


def test_the_least_risk_is_the_published_one(frontier):
    assert frontier.volatility[0] == pytest.approx(published.LEAST_RISK, abs=5.1e-5)


def test_the_best_ratio_of_return_to_risk_is_the_published_one(frontier):
    asked = np.linspace(frontier.volatility[0], frontier.volatility[-1], 200_001)
    weights = frontier.at_volatility(asked)
    ratios = weights @ published.MEAN / asked
    best = ratios.argmax()
    assert ratios[best] == pytest.approx(published.BEST_SHARPE_RATIO, abs=5.1e-5)
    assert asked[best] == pytest.approx(published.RISK_OF_BEST_SHARPE_RATIO, abs=5.1e-5)
    np.testing.assert_allclose(weights[best], published.WEIGHTS_OF_BEST_SHARPE_RATIO, rtol=0, atol=1e-5)


@pytest.mark.parametrize("example", [published.MARKOWITZ, published.SHARPE], ids=["Markowitz", "Sharpe"])
def test_corners_and_tolerances_of_the_classics_are_ours(example):
    frontier = trace_frontier(example.mean, example.covariance, example.constraints)
    np.testing.assert_allclose(frontier.weights, example.weights, rtol=0, atol=5.1e-9)
    np.testing.assert_allclose(1 / frontier.risk_aversion, example.tolerances, rtol=0, atol=5.1e-9)
