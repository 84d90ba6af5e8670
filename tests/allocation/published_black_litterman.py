"""Worked examples of the Black-Litterman literature: inputs and results as they are printed.

HE_LITTERMAN: G. He, R. Litterman, "The Intuition Behind Black-Litterman Model Portfolios", Goldman Sachs (1999): tables 1
and 2 (inputs, delta = 2.5, tau = 0.05), tables 4 to 8 (results).
IDZOREK: T. Idzorek, "A Step-by-Step Guide to the Black-Litterman Model", draft of 26 April 2005: tables 1, 2 and 5 (inputs,
lambda = 3.07, tau = 0.025), table 6 and the section on implied confidence (results).
"""

from dataclasses import dataclass

import numpy as np

COUNTRIES = ("australia", "canada", "france", "germany", "japan", "united_kingdom", "united_states")
COUNTRY_WEIGHTS = np.array([0.016, 0.022, 0.052, 0.055, 0.116, 0.124, 0.615])
COUNTRY_VOLATILITIES = np.array([0.160, 0.203, 0.248, 0.271, 0.210, 0.200, 0.187])
COUNTRY_EQUILIBRIUM = np.array([0.039, 0.069, 0.084, 0.090, 0.043, 0.068, 0.076])
COUNTRY_CORRELATION = np.array(
    [
        [1.000, 0.488, 0.478, 0.515, 0.439, 0.512, 0.491],
        [0.488, 1.000, 0.664, 0.655, 0.310, 0.608, 0.779],
        [0.478, 0.664, 1.000, 0.861, 0.355, 0.783, 0.668],
        [0.515, 0.655, 0.861, 1.000, 0.354, 0.777, 0.653],
        [0.439, 0.310, 0.355, 0.354, 1.000, 0.405, 0.306],
        [0.512, 0.608, 0.783, 0.777, 0.405, 1.000, 0.652],
        [0.491, 0.779, 0.668, 0.653, 0.306, 0.652, 1.000],
    ]
)
COUNTRY_AVERSION, COUNTRY_TAU = 2.5, 0.05

# Germany against the rest of Europe by market weight; Canada against the United States; Canada against Japan.
GERMANY = np.array([0, 0, -0.052 / 0.176, 1, 0, -0.124 / 0.176, 0])
CANADA = np.array([0, 1, 0, 0, 0, 0, -1.0])
CANADA_JAPAN = np.array([0, 1, 0, 0, -1.0, 0, 0])


@dataclass(frozen=True)
class Table:
    """A table of He and Litterman: views, `doubt` (multiples of diag(P tau S P') in Omega), and what is printed.

    `tilts` is w* - w_eq / (1 + tau). None where the paper's figure could not be compared in two places.
    """

    number: int
    rows: tuple[np.ndarray, ...]
    expected: tuple[float, ...]
    doubt: tuple[float, ...]
    returns: tuple[float, ...] | None
    weights: tuple[float, ...]
    tilts: tuple[float, ...]
    omega_by_tau: tuple[float, ...]
    loadings: tuple[float, ...] | None


HE_LITTERMAN = (
    Table(
        number=4,
        rows=(GERMANY,),
        expected=(0.05,),
        doubt=(1,),
        returns=(0.043, 0.076, 0.093, 0.110, 0.045, 0.070, 0.081),
        weights=(0.015, 0.021, -0.040, 0.354, 0.110, -0.095, 0.586),
        tilts=(0, 0, -0.089, 0.302, 0, -0.213, 0),
        omega_by_tau=(0.021,),
        loadings=None,
    ),
    Table(
        number=5,
        rows=(GERMANY, CANADA),
        expected=(0.05, 0.03),
        doubt=(1, 1),
        returns=(0.044, 0.087, 0.095, 0.112, 0.046, 0.070, 0.075),
        weights=(0.015, 0.419, -0.034, 0.336, 0.110, -0.082, 0.188),
        tilts=(0, 0.398, -0.084, 0.284, 0, -0.200, -0.398),
        omega_by_tau=(0.021, 0.017),
        loadings=(0.298, 0.418),
    ),
    Table(
        number=6,
        rows=(GERMANY, CANADA),
        expected=(0.05, 0.04),
        doubt=(1, 1),
        returns=(0.044, 0.091, 0.095, 0.113, 0.046, 0.070, 0.073),
        weights=(0.015, 0.533, -0.033, 0.331, 0.110, -0.078, 0.073),
        tilts=(0, 0.513, -0.082, 0.278, 0, -0.196, -0.513),
        omega_by_tau=(0.021, 0.017),
        loadings=(0.292, 0.538),
    ),
    Table(
        number=7,
        rows=(GERMANY, CANADA),
        expected=(0.05, 0.04),
        doubt=(2, 1),
        returns=(0.043, 0.089, 0.093, 0.106, 0.046, 0.069, 0.072),
        weights=(0.015, 0.539, -0.005, 0.236, 0.110, -0.011, 0.068),
        tilts=(0, 0.518, -0.054, 0.184, 0, -0.130, -0.518),
        omega_by_tau=(0.043, 0.017),
        loadings=(0.193, 0.544),
    ),
    Table(
        number=8,
        rows=(GERMANY, CANADA, CANADA_JAPAN),
        expected=(0.05, 0.04, 0.0412),
        doubt=(2, 1, 1),
        returns=None,
        weights=(0.015, 0.539, -0.005, 0.236, 0.110, -0.011, 0.068),
        tilts=(0, 0.518, -0.054, 0.184, 0, -0.130, -0.518),
        omega_by_tau=(0.043, 0.017, 0.059),
        loadings=(0.193, 0.544, 0.000),
    ),
)

IDZOREK_CLASSES = (
    *("us_bonds", "international_bonds", "us_large_growth", "us_large_value", "us_small_growth", "us_small_value"),
    *("developed_equity", "emerging_equity"),
)
IDZOREK_WEIGHTS = np.array([0.1934, 0.2613, 0.1209, 0.1209, 0.0134, 0.0134, 0.2418, 0.0349])
IDZOREK_EQUILIBRIUM = np.array([0.0008, 0.0067, 0.0641, 0.0408, 0.0743, 0.0370, 0.0480, 0.0660])
IDZOREK_COVARIANCE = np.array(
    [
        [0.001005, 0.001328, -0.000579, -0.000675, 0.000121, 0.000128, -0.000445, -0.000437],
        [0.001328, 0.007277, -0.001307, -0.000610, -0.002237, -0.000989, 0.001442, -0.001535],
        [-0.000579, -0.001307, 0.059852, 0.027588, 0.063497, 0.023036, 0.032967, 0.048039],
        [-0.000675, -0.000610, 0.027588, 0.029609, 0.026572, 0.021465, 0.020697, 0.029854],
        [0.000121, -0.002237, 0.063497, 0.026572, 0.102488, 0.042744, 0.039943, 0.065994],
        [0.000128, -0.000989, 0.023036, 0.021465, 0.042744, 0.032056, 0.019881, 0.032235],
        [-0.000445, 0.001442, 0.032967, 0.020697, 0.039943, 0.019881, 0.028355, 0.035064],
        [-0.000437, -0.001535, 0.048039, 0.029854, 0.065994, 0.032235, 0.035064, 0.079958],
    ]
)
IDZOREK_AVERSION, IDZOREK_TAU = 3.07, 0.025
# Developed equity; international over US bonds; US growth over US value, large and small by market weight.
IDZOREK_ROWS = np.array(
    [[0, 0, 0, 0, 0, 0, 1, 0], [-1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0.9, -0.9, 0.1, -0.1, 0, 0]], dtype=float
)
IDZOREK_EXPECTED = np.array([0.0525, 0.0025, 0.02])
IDZOREK_CONFIDENCE = np.array([0.25, 0.50, 0.65])
IDZOREK_OMEGA = np.array([0.000709, 0.000141, 0.000866])  # diag(P tau S P')
IDZOREK_RETURNS = np.array([0.0007, 0.0050, 0.0650, 0.0432, 0.0759, 0.0394, 0.0493, 0.0684])
IDZOREK_TILTED = np.array([0.2988, 0.1559, 0.0935, 0.1482, 0.0104, 0.0165, 0.2781, 0.0349])
IDZOREK_CERTAIN = np.array([0.4382, 0.0165, 0.0381, 0.2037, 0.0042, 0.0226, 0.3521, 0.0349])  # all views at 100 %
IDZOREK_IMPLIED = np.array([0.4306, 0.4306, 0.3302, 0.3302, 0.3302, 0.3302, 0.3294])  # the share of the way, by class
