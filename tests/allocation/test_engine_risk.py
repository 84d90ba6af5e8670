"""Value at risk by the lognormal law."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.allocation.engine.risk import lognormal_parameters, value_at_risk


def test_the_lognormal_law_has_the_mean_and_volatility_asked_for():
    mean, deviation = lognormal_parameters([0.07], [0.15])
    growth = math.exp(mean[0] + deviation[0] ** 2 / 2)
    assert growth == pytest.approx(1.07)
    assert growth * math.sqrt(math.exp(deviation[0] ** 2) - 1) == pytest.approx(0.15)


def test_value_at_risk_equals_a_large_sample_of_the_law():
    mean, deviation = lognormal_parameters([0.07], [0.15])
    # The quantiles of the normal law, evenly: a sample without chance.
    points = (np.arange(200_000) + 0.5) / 200_000
    normal = np.array([NormalDist().inv_cdf(point) for point in points[:10_000]])
    losses = 1 - np.exp(mean + deviation * normal)  # the worst 5 %
    var, cvar = value_at_risk([0.07], [0.15])
    assert var[0] == pytest.approx(losses[-1], abs=1e-5)
    assert cvar[0] == pytest.approx(losses.mean(), abs=1e-5)


def test_without_volatility_the_loss_is_minus_the_return():
    var, cvar = value_at_risk([0.03], [0.0])
    assert var[0] == pytest.approx(-0.03)
    assert cvar[0] == pytest.approx(-0.03)


def test_no_portfolio_has_no_figures():
    assert np.isnan(value_at_risk([np.nan], [np.nan])).all()


@given(st.floats(-0.2, 0.3), st.floats(0.001, 0.6), st.floats(0.5, 0.99))
def test_the_mean_of_the_worst_is_worse_than_where_it_begins(expected_return, volatility, confidence):
    var, cvar = value_at_risk([expected_return], [volatility], confidence)
    assert cvar[0] >= var[0] > -10
    assert cvar[0] < 1


@pytest.mark.parametrize("confidence", [0, 1, 1.5, -0.1])
def test_a_confidence_outside_its_range_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence"):
        value_at_risk([0.05], [0.1], confidence)
