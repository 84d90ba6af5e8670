"""Published examples of the critical-line algorithm.

The long one is that of D. H. Bailey, M. Lopez de Prado, "An open-source implementation of the critical-line algorithm
for portfolio optimization", Algorithms 6 (2013), section 5: ten assets, each between 0 and 1. Their lambda multiplies the
return (maximise lambda mu'w - w'Sw / 2): it is one over ours.
"""

from dataclasses import dataclass

import numpy as np

from app.allocation.engine.constraints import Constraints, unconstrained

MEAN = np.array([1.175, 1.19, 0.396, 1.12, 0.346, 0.679, 0.089, 0.73, 0.481, 1.08])

_LOWER_TRIANGLE = """
0.40755159
0.03175842 0.9063047
0.05183923 0.03136385 0.19490901
0.05663904 0.02687256 0.04408485 0.19528471
0.0330226  0.01917172 0.03006772 0.02777345 0.34059105
0.00827775 0.00934384 0.01322738 0.00526665 0.00777055 0.15983874
0.02165938 0.02495043 0.03525971 0.01375808 0.02067844 0.02105575 0.68056711
0.01332419 0.00761036 0.0115493  0.00780878 0.00736409 0.00518686 0.01377882 0.95526918
0.0343476  0.02874874 0.0427563  0.02914176 0.02542657 0.01723737 0.04627027 0.0106553  0.31681584
0.02249903 0.01336866 0.02057303 0.01640377 0.01284075 0.00723779 0.01926088 0.00760955 0.01854318 0.11079287
"""


def _symmetric(text: str) -> np.ndarray:
    rows = [[float(entry) for entry in line.split()] for line in text.strip().splitlines()]
    lower = np.array([row + [0.0] * (len(rows) - len(row)) for row in rows])
    return lower + np.tril(lower, -1).T


COVARIANCE = _symmetric(_LOWER_TRIANGLE)

# Return, risk, lambda, then the ten weights: from the best return to the least variance.
_CORNERS = """
1.190 0.952 58.303 0          1          0          0          0          0          0          0          0          0
1.180 0.546  4.174 0.64936941 0.35063059 0          0          0          0          0          0          0          0
1.160 0.417  1.946 0.43398413 0.23124750 0          0.33476837 0          0          0          0          0          0
1.111 0.267  0.165 0.12688785 0.07234335 0          0.28125375 0          0          0          0          0          0.51951505
1.108 0.265  0.147 0.12320100 0.07044407 0          0.27899357 0          0          0          0.00643556 0          0.52092579
1.022 0.230  0.056 0.08692155 0.05045104 0          0.22359402 0          0.17383162 0          0.03017302 0          0.43502876
1.015 0.228  0.052 0.08467094 0.04925386 0          0.21963390 0          0.18003923 0          0.03102980 0.00648570 0.42888656
0.973 0.220  0.037 0.07378925 0.04382866 0          0.19897561 0.02615816 0.19815187 0          0.03341959 0.02790297 0.39777389
0.950 0.216  0.031 0.06834400 0.04138703 0.01521526 0.18813443 0.03416249 0.20231943 0          0.03392932 0.03363265 0.38287539
0.803 0.205  0     0.03696858 0.02690084 0.09494243 0.12577595 0.07674608 0.21935567 0.02998710 0.03596328 0.06134984 0.29201023
"""
_TABLE = np.array([[float(entry) for entry in line.split()] for line in _CORNERS.strip().splitlines()])
RETURNS, RISKS, LAMBDAS, WEIGHTS = _TABLE[:, 0], _TABLE[:, 1], _TABLE[:, 2], _TABLE[:, 3:]

LEAST_RISK = 0.2052
BEST_SHARPE_RATIO, RISK_OF_BEST_SHARPE_RATIO = 4.4535, 0.2274
WEIGHTS_OF_BEST_SHARPE_RATIO = np.array(
    [0.08397319, 0.04890599, 0, 0.21830926, 0.00167730, 0.18120065, 0, 0.03118304, 0.00785901, 0.42689156]
)


@dataclass(frozen=True)
class Example:
    """`tolerances` is the t of each corner, from the least variance: one over our lambda."""

    mean: np.ndarray
    covariance: np.ndarray
    constraints: Constraints
    weights: np.ndarray
    tolerances: tuple[float, ...]


# H. Markowitz, "Portfolio Selection" (1959), chapter VIII, "The computing procedure".
MARKOWITZ = Example(
    np.array([0.062, 0.146, 0.128]),
    np.array([[0.0146, 0.0187, 0.0145], [0.0187, 0.0854, 0.0104], [0.0145, 0.0104, 0.0289]]),
    unconstrained(("first", "second", "third")),
    np.array([[0.99310345, 0, 0.00689655], [0.84140518, 0, 0.15859482], [0, 0.22496808, 0.77503192], [0, 1, 0]]),
    (0, 0.03332765, 0.14080643, 4.16666667),
)

# W. F. Sharpe, "Macro-Investment Analysis", optimization: "over the range of risk tolerances from 22.30 to 22.94 the
# optimal composition remains the same". His risk tolerance is twice our t.
SHARPE = Example(
    np.array([2.8, 6.3, 10.8]),
    np.array([[1, 2.96, 2.31], [2.96, 54.76, 39.886], [2.31, 39.886, 237.16]]),
    Constraints(("cash", "bonds", "stocks"), (0.2, 0.2, 0.2), (0.5, 0.5, 0.5)),
    np.array(
        [
            [0.5, 0.3, 0.2],
            [0.5, 0.3, 0.2],
            [0.45191561, 0.34808439, 0.2],
            [0.22180738, 0.5, 0.27819262],
            [0.2, 0.5, 0.3],
            [0.2, 0.5, 0.3],
            [0.2, 0.3, 0.5],
        ]
    ),
    (0, 6.8672, 7.55192170, 10.51088812, 11.1475, 11.47004444, 20.89884444),
)
