"""Expected returns from a prior and views on it: F. Black, R. Litterman, "Global portfolio optimization", Financial
Analysts Journal 48 (1992); notation of G. He, R. Litterman, "The intuition behind Black-Litterman model portfolios" (1999).

k asset classes, v views: `scaled` (k, k) is tau S, `rows` (v, k) is P, `expected` (v,) is Q, and `uncertainty` (v,) the
diagonal of Omega, where 0 is certainty and infinity no view at all.
"""

import numpy as np

from app.allocation.engine.correlation import Array

# Of the variance a portfolio could have at most: below, it has none but rounding errors.
NO_VARIANCE = 1e-12
_REDUNDANT = 1e-12  # an eigenvalue of the correlation of views below this is a view that others imply
_ROUNDING = 16 * float(np.finfo(np.float64).eps)


def equilibrium_returns(covariance: Array, market_weights: Array, risk_aversion: float) -> Array:
    """(k,) returns in excess of the riskless one at which the market portfolio (k,) is optimal: delta S w."""
    returns: Array = risk_aversion * covariance @ market_weights
    return returns


def posterior(prior: Array, scaled: Array, rows: Array, expected: Array, uncertainty: Array) -> Array:
    """(k,) mean after the views: prior + tau S P' (P tau S P' + Omega)^-1 (Q - P prior), for a prior mean (k,).

    A singular covariance is in order; a view on a portfolio without variance moves nothing. Certain views that imply
    each other are met if they agree, and otherwise as nearly as possible.
    """
    gap = expected - rows @ prior
    negligible = np.abs(gap) <= _ROUNDING * (np.abs(expected) + np.abs(rows) @ np.abs(prior))
    moved: Array = prior + _gain(scaled, rows, uncertainty) @ np.where(negligible, 0.0, gap)
    return moved


def posterior_covariance(covariance: Array, scaled: Array, rows: Array, uncertainty: Array) -> Array:
    """(k, k) covariance of returns after the views, their own (k, k) and that of the mean:
    S + ((tau S)^-1 + P' Omega^-1 P)^-1."""
    mean: Array = scaled - _gain(scaled, rows, uncertainty) @ rows @ scaled
    return covariance + (mean + mean.T) / 2


def _gain(scaled: Array, rows: Array, uncertainty: Array) -> Array:
    """(k, v) by how much the mean of each class moves for each view and unit of surprise: tau S P' (P tau S P' + Omega)^-1.

    Views are put on the scale of their own uncertainty first, so that none is lost beside one that hardly counts.
    """
    total = own_variance(scaled, rows) + uncertainty
    heard = np.isfinite(total) & (total > 0)
    scale = np.where(heard, 1 / np.sqrt(np.where(heard, total, 1.0)), 0.0)
    unit = rows * scale[:, None]
    inner = unit @ scaled @ unit.T
    np.fill_diagonal(inner, heard)
    gain: Array = scaled @ unit.T @ np.linalg.pinv(inner, rcond=_REDUNDANT, hermitian=True) * scale
    return gain


def own_variance(scaled: Array, rows: Array) -> Array:
    """(v,) prior variance of the mean of each view's portfolio: p tau S p', exactly 0 where it is but rounding."""
    own = np.einsum("ij,jk,ik->i", rows, scaled, rows)
    most = np.square(np.abs(rows) @ np.sqrt(np.diag(scaled)))
    return np.where(own > NO_VARIANCE * most, own, 0.0)


def confident_uncertainty(own: Array, confidence: Array) -> Array:
    """(v,) variance of each view from its confidence 0 to 1: own (1 - c) / c, where `own` (v,) is p tau S p'.

    With it a view alone moves its portfolio, and each unconstrained optimal weight, the share c of the way to certainty:
    T. Idzorek, "A step-by-step guide to the Black-Litterman model" (2005), in the closed form of J. Walters, "The factor
    tau in the Black-Litterman model" (2010). One half is He and Litterman's Omega = diag(P tau S P').
    """
    nothing: Array = np.full(np.shape(own), np.inf)
    with np.errstate(over="ignore"):
        return np.divide(own * (1 - confidence), confidence, out=nothing, where=np.asarray(confidence) > 0)
