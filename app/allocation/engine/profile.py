"""From a customer's tolerance and capacity to one score and risk class: the lower of the two, under the caps."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.people import People
from app.allocation.engine.policy import POINTS_PER_CLASS, Policy, SegmentRule

_ROUNDING = 1e-4  # points that a score in single precision may lack


class Limit(IntEnum):
    """What keeps a portfolio from taking more risk. The codes are part of stored records: only add to them."""

    TOLERANCE = 0  # the risk the customer is willing to take
    CAPACITY = 1  # the risk the customer can afford
    HORIZON = 2  # the money is needed too soon
    LIQUIDITY = 3  # too much of it is needed within a year
    NO_PROFILE = 4  # no valid questionnaire: an indication only
    AGE = 5  # the growth share allowed at this age
    MINIMUM_CASH = 6  # cash that must be kept
    PERMITTED_CLASSES = 7  # the asset classes and shares permitted go no further
    LEAST_RISK = 8  # this is the least risky portfolio permitted, above what was aimed at
    CLASS_CEILING = 9  # even the least risky portfolio lies above the ceiling: no portfolio
    CONFLICT = 10  # the rules that apply cannot be obeyed together: no portfolio


@dataclass(frozen=True, eq=False)
class RiskScores:
    """For n customers: `score` 0 to 100 (int8), the `limit` that set it, whether it rests on a valid profile
    (`advised`), and the place in `policy.horizon_rules` that applies (the number of rules if none does)."""

    score: NDArray[np.int8]
    limit: NDArray[np.int8]
    advised: NDArray[np.bool_]
    horizon_rule: NDArray[np.int8]


def risk_scores(policy: Policy, people: People) -> RiskScores:
    """Scores of n customers: min(tolerance, capacity) in whole points, rounded down, under the caps that horizon and
    liquidity need set.

    A profile counts if it is valid and its tolerance, capacity and horizon are known. Anybody else gets the indicative
    score of the segment, under the indicative cap. An unknown liquidity need sets no cap.
    """
    advised = people.has_valid_profile & np.isfinite(people.tolerance)
    advised &= np.isfinite(people.capacity) & np.isfinite(people.horizon_years)
    lower = np.minimum(people.tolerance, people.capacity)
    with np.errstate(invalid="ignore"):  # unknown values become numbers that nobody reads
        score = np.clip(np.where(advised, lower, 0.0) + _ROUNDING, 0, 100).astype(np.int8)
        limit = np.where(people.capacity < people.tolerance, Limit.CAPACITY, Limit.TOLERANCE).astype(np.int8)
    horizon_rule = _places([rule.under_years for rule in policy.horizon_rules], people.horizon_years, "right")
    caps = [rule.maximum_class for rule in policy.horizon_rules]
    _lower(score, limit, _class_caps(caps)[horizon_rule], Limit.HORIZON)
    need = _places([-rule.at_least for rule in policy.liquidity_rules], -people.liquidity_need, "left")
    caps = [rule.maximum_class for rule in policy.liquidity_rules]
    _lower(score, limit, _class_caps(caps)[need], Limit.LIQUIDITY)
    indicative = np.array([indicative_score(policy, rule) for rule in segment_rules(policy, people)], np.int8)
    np.copyto(score, indicative[people.segment], where=~advised)
    limit[~advised] = Limit.NO_PROFILE
    horizon_rule[~advised] = len(policy.horizon_rules)
    return RiskScores(score, limit, advised, horizon_rule)


def indicative_score(policy: Policy, rule: SegmentRule) -> int:
    """The score of a customer of the segment without a valid profile."""
    return min(rule.indicative_score, policy.indicative_maximum_class * POINTS_PER_CLASS)


def segment_rules(policy: Policy, people: People) -> list[SegmentRule]:
    """The rule of each entry of `people.segments`."""
    return [policy.segments[policy.segment_places.get(code, 0)] for code in people.segments]


def _places(borders: list[float], values: NDArray[np.floating], side: str) -> NDArray[np.int8]:
    found = np.searchsorted(np.array(borders, dtype=values.dtype), values, side="right" if side == "right" else "left")
    return found.astype(np.int8)


def _class_caps(classes: list[int]) -> NDArray[np.int8]:
    """The highest score for each rule, and 100 for none."""
    return np.array([*(highest * POINTS_PER_CLASS for highest in classes), 100], dtype=np.int8)


def _lower(score: NDArray[np.int8], limit: NDArray[np.int8], cap: NDArray[np.int8], reason: Limit) -> None:
    limit[cap < score] = reason
    np.minimum(score, cap, out=score)
