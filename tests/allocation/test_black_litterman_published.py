"""The engine gives the figures that He and Litterman, and Idzorek, printed."""

import numpy as np
import pytest

from app.allocation.engine.assumptions import parse_assumptions
from app.allocation.engine.black_litterman import (
    confident_uncertainty,
    equilibrium_returns,
    own_variance,
    posterior,
    posterior_covariance,
)
from app.allocation.engine.views import apply_views, parse_views
from tests.allocation import published_black_litterman as paper
from tests.allocation.published_black_litterman import HE_LITTERMAN

PRINTED = 0.00055  # He and Litterman: half a tenth of a percent, and a tenth of that for their rounded inputs
LAST_DIGIT = 0.0001  # Idzorek: a hundredth of a percent; he computes with rounded intermediate results
COUNTRY_COVARIANCE = paper.COUNTRY_CORRELATION * np.outer(paper.COUNTRY_VOLATILITIES, paper.COUNTRY_VOLATILITIES)
COUNTRY_PRIOR = equilibrium_returns(COUNTRY_COVARIANCE, paper.COUNTRY_WEIGHTS, paper.COUNTRY_AVERSION)
IDZOREK_PRIOR = equilibrium_returns(paper.IDZOREK_COVARIANCE, paper.IDZOREK_WEIGHTS, paper.IDZOREK_AVERSION)
IDZOREK_SCALED = paper.IDZOREK_TAU * paper.IDZOREK_COVARIANCE
tables = pytest.mark.parametrize("table", HE_LITTERMAN, ids=lambda table: f"table {table.number}")


def assumptions_of(codes, covariance, market_weights, risk_aversion):
    """The published inputs as an assumption document with the equilibrium as its prior."""
    volatility = np.sqrt(np.diag(covariance))
    classes = [
        {
            "code": code,
            "names": {"zh": code, "en": code},
            "risk_level": "R3",
            "liquid": True,
            "growth": True,
            "expected_return": 0.0,
            "return_measure": "arithmetic",
            "volatility": float(volatility[place]),
            "annual_cost": 0.0,
            "market_weight": float(market_weights[place]),
            "source": "published",
        }
        for place, code in enumerate(codes)
    ]
    correlation = (covariance / np.outer(volatility, volatility)).round(12).tolist()
    document = {"currency": "USD", "horizon": "a year", "source": "published", "as_of": "2005-04-26"}
    document |= {"prior": "equilibrium", "market_risk_aversion": risk_aversion}
    return parse_assumptions(document | {"asset_classes": classes, "correlation": correlation})


def views_of(codes, rows, expected, **options):
    """Rows of P as a view document; `confidence` holds one for each view."""
    confidence = options.pop("confidence", None)
    views = []
    for place, row in enumerate(rows):
        sides = [
            {code: float(share) for code, share in zip(codes, row * sign, strict=True) if share > 0} for sign in (1, -1)
        ]
        views.append({"long": sides[0], "short": sides[1], "expected_return": float(expected[place])})
        if confidence is not None:
            views[-1]["confidence"] = float(confidence[place])
    return parse_views({"version": "published", "views": views, **options})


def countries():
    inputs = paper.COUNTRIES, COUNTRY_COVARIANCE, paper.COUNTRY_WEIGHTS, paper.COUNTRY_AVERSION
    return assumptions_of(*inputs)


def idzorek():
    inputs = paper.IDZOREK_CLASSES, paper.IDZOREK_COVARIANCE, paper.IDZOREK_WEIGHTS, paper.IDZOREK_AVERSION
    return assumptions_of(*inputs)


def idzorek_weights(returns):
    """Unconstrained optimal weights; Idzorek keeps the prior's covariance."""
    return np.linalg.solve(paper.IDZOREK_AVERSION * paper.IDZOREK_COVARIANCE, returns)


def test_he_and_litterman_table_2_is_the_equilibrium_of_seven_countries():
    np.testing.assert_allclose(COUNTRY_PRIOR, paper.COUNTRY_EQUILIBRIUM, rtol=0, atol=PRINTED)
    np.testing.assert_allclose(countries().expected_returns, COUNTRY_PRIOR, rtol=0, atol=1e-12)


@tables
def test_he_and_litterman_returns_weights_and_loadings_of_views(table):
    rows, scaled = np.array(table.rows), paper.COUNTRY_TAU * COUNTRY_COVARIANCE
    omega = np.array(table.doubt) * own_variance(scaled, rows)
    np.testing.assert_allclose(omega / paper.COUNTRY_TAU, table.omega_by_tau, rtol=0, atol=PRINTED)
    mean = posterior(COUNTRY_PRIOR, scaled, rows, np.array(table.expected), omega)
    if table.returns is not None:
        np.testing.assert_allclose(mean, table.returns, rtol=0, atol=PRINTED)
    covariance = posterior_covariance(COUNTRY_COVARIANCE, scaled, rows, omega)
    weights = np.linalg.solve(paper.COUNTRY_AVERSION * covariance, mean)
    np.testing.assert_allclose(weights, table.weights, rtol=0, atol=PRINTED)
    tilts = weights - paper.COUNTRY_WEIGHTS / (1 + paper.COUNTRY_TAU)
    np.testing.assert_allclose(tilts, table.tilts, rtol=0, atol=PRINTED)
    # w* = (w_eq + P' Lambda) / (1 + tau): the portfolio leaves the market only along the views.
    loadings, *_ = np.linalg.lstsq(rows.T, (1 + paper.COUNTRY_TAU) * tilts, rcond=None)
    np.testing.assert_allclose(rows.T @ loadings, (1 + paper.COUNTRY_TAU) * tilts, rtol=0, atol=1e-10)
    if table.loadings is not None:
        np.testing.assert_allclose(loadings, table.loadings, rtol=0, atol=PRINTED)


@pytest.mark.parametrize("table", HE_LITTERMAN[:3], ids=lambda table: f"table {table.number}")
def test_documents_with_proportional_uncertainty_give_he_and_littermans_returns(table):
    views = views_of(paper.COUNTRIES, table.rows, table.expected, uncertainty="proportional")
    moved = apply_views(countries(), views).expected_returns
    np.testing.assert_allclose(moved, table.returns, rtol=0, atol=PRINTED)


def test_a_third_of_confidence_is_he_and_littermans_doubled_omega():
    table = HE_LITTERMAN[3]
    views = views_of(paper.COUNTRIES, table.rows, table.expected, confidence=(1 / 3, 1 / 2))
    moved = apply_views(countries(), views).expected_returns
    np.testing.assert_allclose(moved, table.returns, rtol=0, atol=PRINTED)


def test_idzoreks_equilibrium_and_uncertainty_of_views():
    np.testing.assert_allclose(IDZOREK_PRIOR, paper.IDZOREK_EQUILIBRIUM, rtol=0, atol=1.5 * LAST_DIGIT)
    np.testing.assert_allclose(own_variance(IDZOREK_SCALED, paper.IDZOREK_ROWS), paper.IDZOREK_OMEGA, atol=5e-7)


def test_idzoreks_new_returns_and_weights():
    views = views_of(paper.IDZOREK_CLASSES, paper.IDZOREK_ROWS, paper.IDZOREK_EXPECTED, uncertainty="proportional")
    returns = apply_views(idzorek(), views).expected_returns
    np.testing.assert_allclose(returns, paper.IDZOREK_RETURNS, rtol=0, atol=LAST_DIGIT)
    np.testing.assert_allclose(idzorek_weights(returns), paper.IDZOREK_TILTED, rtol=0, atol=5 * LAST_DIGIT)


def test_idzoreks_weights_under_certainty_and_the_confidence_that_the_others_imply():
    inputs = paper.IDZOREK_CLASSES, paper.IDZOREK_ROWS, paper.IDZOREK_EXPECTED
    certain = idzorek_weights(apply_views(idzorek(), views_of(*inputs, confidence=(1, 1, 1))).expected_returns)
    # The tilt of developed equity rests on 5.25 % less 4.80 %, a small difference of rounded figures.
    np.testing.assert_allclose(certain, paper.IDZOREK_CERTAIN, rtol=0, atol=10 * LAST_DIGIT)
    views = views_of(*inputs, uncertainty="proportional")
    tilted = idzorek_weights(apply_views(idzorek(), views).expected_returns)
    implied = (tilted - paper.IDZOREK_WEIGHTS)[:7] / (certain - paper.IDZOREK_WEIGHTS)[:7]
    np.testing.assert_allclose(implied, paper.IDZOREK_IMPLIED, rtol=0, atol=0.002)


def departure(place, target, omega):
    """How far the weights of one view with that uncertainty are from a target: what Idzorek minimises, view by view."""
    row, expected = paper.IDZOREK_ROWS[[place]], paper.IDZOREK_EXPECTED[[place]]
    mean = posterior(IDZOREK_PRIOR, IDZOREK_SCALED, row, expected, np.array([omega]))
    return float(np.square(idzorek_weights(mean) - target).sum())


@pytest.mark.parametrize("place", range(3))
def test_the_closed_form_is_the_uncertainty_that_idzoreks_search_finds(place):
    row, expected = paper.IDZOREK_ROWS[[place]], paper.IDZOREK_EXPECTED[[place]]
    certain = idzorek_weights(posterior(IDZOREK_PRIOR, IDZOREK_SCALED, row, expected, np.zeros(1)))
    confidence = paper.IDZOREK_CONFIDENCE[place]
    target = paper.IDZOREK_WEIGHTS + confidence * (certain - paper.IDZOREK_WEIGHTS)
    low, high = 1e-7, 1e-1
    for _ in range(200):  # ternary search in the logarithm: the departure has one minimum
        first, second = low * (high / low) ** (1 / 3), low * (high / low) ** (2 / 3)
        if departure(place, target, first) < departure(place, target, second):
            high = second
        else:
            low = first
    found = confident_uncertainty(own_variance(IDZOREK_SCALED, row), np.array([confidence]))
    assert found[0] == pytest.approx(low, rel=1e-5)
    assert departure(place, target, found[0]) < 1e-24


def test_idzoreks_three_confidences_move_weights_only_along_the_views():
    inputs = paper.IDZOREK_CLASSES, paper.IDZOREK_ROWS, paper.IDZOREK_EXPECTED
    views = views_of(*inputs, confidence=paper.IDZOREK_CONFIDENCE)
    tilts = idzorek_weights(apply_views(idzorek(), views).expected_returns) - paper.IDZOREK_WEIGHTS
    loadings, *_ = np.linalg.lstsq(paper.IDZOREK_ROWS.T, tilts, rcond=None)
    np.testing.assert_allclose(paper.IDZOREK_ROWS.T @ loadings, tilts, rtol=0, atol=1e-10)
    assert np.sign(loadings).tolist() == [1, -1, -1]  # as in the paper: above the prior, below it, below it
