"""Which constraints apply to a customer: few distinct sets of them, however many customers."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.constraints import Constraints, Group
from app.allocation.engine.people import Floats, Kind, People, Restriction
from app.allocation.engine.policy import SCORES, STAGES, Policy, risk_class_of
from app.allocation.engine.profile import RiskScores

GROWTH_STEPS = 20  # the growth share is capped in steps of 5 points
GROWTH, ALTERNATIVES, LIQUID = "growth", "alternatives", "liquid"  # names of groups
_DENSE = 1 << 22


@dataclass(frozen=True)
class Signature:
    """Everything that decides a customer's constraints.

    `segment` is a place in `policy.segments`; `stage` one in `policy.stages` or their number; `growth_steps` the growth
    cap in steps of 5 points, 20 for none; `horizon_rule` a place in `policy.horizon_rules` or their number;
    `withdrawal_steps` the announced withdrawal in steps of the policy; `alternatives` is 0 where the risk class is too low
    for them.
    """

    segment: int
    stage: int
    growth_steps: int
    horizon_rule: int
    withdrawal_steps: int
    restriction: Restriction
    alternatives: int = 1


def growth_steps(policy: Policy, age: Floats, kind: NDArray[np.signedinteger]) -> NDArray[np.int8]:
    """The cap on the growth share at each age, in steps of 5 points rounded down: the policy's glide path.

    Human capital resembles a bond that runs off towards retirement, so the young can hold more growth: Z. Bodie,
    R. Merton, W. Samuelson, "Labor supply flexibility and portfolio choice in a life cycle model", Journal of Economic
    Dynamics and Control 16 (1992). An unknown age takes the strictest row; a business has no glide path.
    """
    ages, caps = zip(*policy.glide_path, strict=True)
    known = np.where(np.isnan(age), np.inf, age)
    steps: NDArray[np.int8] = (np.interp(known, ages, caps) * GROWTH_STEPS + 1e-6).astype(np.int8)
    steps[kind == Kind.BUSINESS] = GROWTH_STEPS
    return steps


def signatures_of(policy: Policy, people: People, scores: RiskScores) -> tuple[list[Signature], NDArray[np.int32]]:
    """The distinct signatures of n customers, and for each customer the place of theirs."""
    segment = np.array([policy.segment_places.get(code, 0) for code in people.segments], np.int32)[people.segment]
    stages = {rule.stage: place for place, rule in enumerate(policy.stages)}
    stage = np.array([stages.get(name, len(stages)) for name in STAGES], np.int32)[people.stage]
    withdrawal = np.nan_to_num(np.clip(people.announced_withdrawal, 0, 1)) / policy.withdrawal_step - 1e-6
    steps = np.maximum(np.ceil(withdrawal), 0).astype(np.int32)
    # Only a rule that names asset classes makes another signature.
    named = [place if rule.only else len(policy.horizon_rules) for place, rule in enumerate(policy.horizon_rules)]
    horizon = np.array([*named, len(named)], np.int32)[scores.horizon_rule]
    parts = [
        (segment, len(policy.segments)),
        (stage, len(policy.stages) + 1),
        (growth_steps(policy, people.age, people.kind), GROWTH_STEPS + 1),
        (horizon, len(named) + 1),
        (steps, math.ceil(1 / policy.withdrawal_step) + 1),
        (people.restriction, len(people.restrictions)),
        (_alternatives(policy, segment, scores), 2),
    ]
    sizes = [size for _, size in parts]
    space = math.prod(sizes)
    key: NDArray[Any] = np.zeros(len(people), np.int32 if space < 2**31 else np.int64)
    for codes, size in parts:
        key *= size
        key += codes.astype(key.dtype, copy=False)
    distinct, places = _distinct(key, space)
    decoded: list[list[int]] = np.column_stack(np.unravel_index(distinct, sizes)).tolist()
    signatures = [Signature(a, b, c, d, e, people.restrictions[f], last) for a, b, c, d, e, f, last in decoded]
    return signatures, places


def _alternatives(policy: Policy, segment: NDArray[np.int32], scores: RiskScores) -> NDArray[np.int8]:
    """1 where the risk class is high enough for alternatives, or the segment has none anyway."""
    classes = risk_class_of(np.arange(SCORES))[scores.score]
    none = np.array([rule.alternatives_maximum <= 0 for rule in policy.segments])
    return (none[segment] | (classes >= policy.alternatives_minimum_class)).astype(np.int8)


def _distinct(key: NDArray[Any], space: int) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Distinct keys, rising, and the place of each entry among them; without sorting where a table is cheaper."""
    if space > _DENSE or len(key) * 16 < space:
        distinct, places = np.unique(key, return_inverse=True)
        return distinct, places.astype(np.int32)
    present = np.zeros(space, np.bool_)
    present[key] = True
    distinct = np.flatnonzero(present)
    table = np.zeros(space, np.int32)
    table[distinct] = np.arange(len(distinct), dtype=np.int32)
    return distinct, table[key]


@lru_cache(maxsize=8192)
def constraints_of(policy: Policy, assumptions: AssumptionSet, signature: Signature) -> Constraints:
    """The constraints that a signature stands for: the policy's own, then every rule that tightens them.

    They come in a normal form without limits that say nothing, so that signatures which mean the same share a frontier.
    """
    codes = assumptions.codes
    lower, upper = dict.fromkeys(codes, 0.0), dict.fromkeys(codes, 1.0)
    for code, low, high in policy.bounds:
        if code in upper:
            lower[code], upper[code] = low, high
    segment = policy.segments[signature.segment]
    for code in _excluded(policy, codes, signature):
        upper[code] = 0.0
        lower[code] = 0.0
    alternatives = min(policy.alternatives_maximum, segment.alternatives_maximum) * signature.alternatives
    if alternatives <= 0:
        upper |= {code: 0.0 for code in policy.alternatives if code in upper}
        lower |= {code: 0.0 for code in policy.alternatives if code in lower}
    cash = max(segment.minimum_cash, signature.restriction.minimum_cash)
    cash = max(cash, min(signature.withdrawal_steps * policy.withdrawal_step, 1.0))
    lower[policy.cash_class] = max(lower[policy.cash_class], math.ceil(cash * 1000 - 1e-6) / 1000)
    growth = [c.code for c in assumptions.asset_classes if c.growth]
    liquid = [c.code for c in assumptions.asset_classes if c.liquid]
    limits = [
        (GROWTH, growth, 0.0, signature.growth_steps / GROWTH_STEPS),
        (ALTERNATIVES, list(policy.alternatives), 0.0, alternatives),
        (LIQUID, liquid, segment.minimum_liquid, 1.0),
    ]
    groups = [_group(codes, upper, *limit) for limit in limits]
    return Constraints(codes, tuple(lower.values()), tuple(upper.values()), tuple(g for g in groups if g is not None))


def _excluded(policy: Policy, codes: tuple[str, ...], signature: Signature) -> set[str]:
    excluded = set(signature.restriction.excluded)
    if signature.stage < len(policy.stages):
        excluded |= set(policy.stages[signature.stage].excluded)
    if signature.horizon_rule < len(policy.horizon_rules):
        excluded |= set(codes) - set(policy.horizon_rules[signature.horizon_rule].only)
    return excluded & set(codes)


def _group(
    codes: tuple[str, ...], upper: dict[str, float], name: str, members: list[str], minimum: float, maximum: float
) -> Group | None:
    """The limit on those of its members that can be held at all; None where it could not be broken."""
    held = [code for code in codes if code in members and upper[code] > 0]
    others = [code for code in codes if code not in members and upper[code] > 0]
    if sum(upper[code] for code in held) <= maximum + 1e-9:
        maximum = 1.0
    if not others:
        minimum = 0.0
    if minimum <= 0 and maximum >= 1:
        return None
    return Group(name, tuple(codes.index(code) for code in held), minimum, maximum)
