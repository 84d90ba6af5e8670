"""What a portfolio may lose in a year, by the lognormal law."""

import math
from statistics import NormalDist

import numpy as np

from app.allocation.engine.correlation import Array

_erfc = np.frompyfunc(math.erfc, 1, 1)


def lognormal_parameters(expected_return: Array, volatility: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (m,) of the logarithm of one year's growth, whose own mean is 1 + expected_return and
    whose own standard deviation is volatility: s^2 = ln(1 + vol^2 / (1 + mu)^2), m = ln(1 + mu) - s^2 / 2."""
    growth = 1.0 + np.asarray(expected_return, dtype=np.float64)
    square = np.log1p((np.asarray(volatility, dtype=np.float64) / growth) ** 2)
    return np.log(growth) - square / 2, np.sqrt(square)


def value_at_risk(expected_return: Array, volatility: Array, confidence: float = 0.95) -> tuple[Array, Array]:
    """Value at risk and conditional value at risk over one year, (m,) each, as shares of the portfolio.

    The loss that is exceeded with probability 1 - confidence, and the mean loss in those cases. Positive is a loss;
    a negative figure says that even then something is earned. NaN stays NaN.

    Raises:
        ValueError: if the confidence does not lie strictly between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError("confidence must lie strictly between 0 and 1")
    mean, deviation = lognormal_parameters(expected_return, volatility)
    quantile = NormalDist().inv_cdf(1 - confidence)
    tail = np.asarray(_erfc((deviation - quantile) / math.sqrt(2)), dtype=np.float64) / 2
    growth = 1.0 + np.asarray(expected_return, dtype=np.float64)
    return 1 - np.exp(mean + deviation * quantile), 1 - growth * tail / (1 - confidence)
