"""Whether another portfolio is news: one threshold for every occasion."""

from collections.abc import Mapping

import numpy as np

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.correlation import Array
from app.allocation.engine.policy import Policy
from app.allocation.engine.portfolios import Portfolios


def is_news(
    policy: Policy,
    assumptions: AssumptionSet,
    portfolios: Portfolios,
    risk_class: int,
    former: Mapping[str, float],
    weights: Array,
) -> bool:
    """Whether a customer of `risk_class` (1 to 5) must be told of `weights` (k,) after `former` (code -> share).

    It is none while half the sum of absolute differences stays within the threshold of the policy and the former
    portfolio is still suitable: it obeys today's limits, and its risk by today's assumptions is not above the class.
    Empty, or NaN, is no portfolio.
    """
    present = not np.isnan(weights).any()
    if not present or not former:
        return present or bool(former)
    if not former.keys() <= set(assumptions.codes):
        return True
    held = np.array([former.get(code, 0.0) for code in assumptions.codes])
    if np.array_equal(held, weights):
        return False
    if np.abs(held - weights).sum() / 2 > policy.upkeep.change_threshold + 1e-9:
        return True
    volatility = np.sqrt(max(float(held @ assumptions.covariance @ held), 0.0))
    unsuitable = portfolios.constraints.violated(held) | (policy.risk_levels(np.array([volatility])) > risk_class)
    return bool(unsuitable[0])
