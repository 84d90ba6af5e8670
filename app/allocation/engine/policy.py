"""The institution's policy: how much risk each class may take, and which portfolios each customer may hold.

Every part tightens: the rules that apply to one customer are all obeyed together.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.correlation import Array, read_only
from app.allocation.engine.document import Cursor
from app.allocation.engine.problems import Problem
from app.allocation.engine.upkeep import UNSTATED, Upkeep, parse_upkeep

STAGES = ("prospect", "trial", "growth", "mature", "decline")
RISK_CLASSES = ("C1", "C2", "C3", "C4", "C5")
POINTS_PER_CLASS = 20  # scores 0 to 20 are C1, above 20 to 40 C2, and so on
SCORES = 101
DEFAULT_SEGMENT = "default"


@dataclass(frozen=True)
class HorizonRule:
    """A horizon under `under_years` allows at most `maximum_class` (1 to 5), and only these asset classes if any are
    named."""

    under_years: float
    maximum_class: int
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class LiquidityRule:
    """Needing at least this share of the money within a year allows at most `maximum_class`."""

    at_least: float
    maximum_class: int


@dataclass(frozen=True)
class SegmentRule:
    """Limits of a segment, as shares of the portfolio, and the score of a customer of whom no valid profile is known."""

    code: str
    alternatives_maximum: float
    minimum_cash: float
    minimum_liquid: float
    indicative_score: int


@dataclass(frozen=True)
class StageRule:
    """Asset classes that customers of a lifecycle stage are not offered."""

    stage: str
    excluded: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """All rules. Hashable. `volatility_ceilings` are those of C1 to C5 and also bound R1 to R5; `glide_path` holds
    (age, cap on the growth share) with ages rising and caps falling, linear in between. Alternatives are for customers of
    `alternatives_minimum_class` (1 to 5) and above."""

    version: str
    volatility_at_zero: float
    volatility_ceilings: tuple[float, ...]
    indicative_maximum_class: int
    profile_valid_days: int
    profile_warning_days: int
    glide_path: tuple[tuple[float, float], ...]
    cash_class: str
    alternatives: tuple[str, ...]
    alternatives_maximum: float
    bounds: tuple[tuple[str, float, float], ...]
    horizon_rules: tuple[HorizonRule, ...]
    liquidity_rules: tuple[LiquidityRule, ...]
    withdrawal_step: float
    segments: tuple[SegmentRule, ...]
    stages: tuple[StageRule, ...]
    alternatives_minimum_class: int = 1
    upkeep: Upkeep = UNSTATED

    @cached_property
    def _fingerprint(self) -> int:
        return hash(tuple(getattr(self, f.name) for f in fields(self)))

    def __hash__(self) -> int:
        """Computed once: a policy is part of the key of every cached set of constraints."""
        return self._fingerprint

    @cached_property
    def target_volatilities(self) -> Array:
        """(101,) the volatility aimed at for each score: straight between the ceilings of the classes."""
        scores = np.arange(0, SCORES, POINTS_PER_CLASS)
        return read_only(np.interp(np.arange(SCORES), scores, (self.volatility_at_zero, *self.volatility_ceilings)))

    @cached_property
    def score_ceilings(self) -> Array:
        """(101,) the ceiling of the class of each score."""
        return read_only(np.array(self.volatility_ceilings)[risk_class_of(np.arange(SCORES)) - 1])

    @cached_property
    def segment_places(self) -> Mapping[str, int]:
        """The position of each segment in `segments`; the default, which serves every other segment, is the first."""
        return MappingProxyType({rule.code: place for place, rule in enumerate(self.segments)})

    def risk_levels(self, volatility: Array) -> NDArray[np.int8]:
        """R of portfolios, 1 to 5, by their volatility."""
        ceilings = np.array(self.volatility_ceilings[:-1]) + 1e-12
        return (1 + np.searchsorted(ceilings, volatility)).astype(np.int8)


def risk_class_of(scores: NDArray[np.int_] | NDArray[np.int8]) -> NDArray[np.int8]:
    """C of whole scores 0 to 100, 1 to 5."""
    return np.maximum((np.asarray(scores, np.int16) + POINTS_PER_CLASS - 1) // POINTS_PER_CLASS, 1).astype(np.int8)


def unmatched_classes(policy: Policy, assumptions: AssumptionSet) -> list[Problem]:
    """Asset classes that the policy names and the assumption set lacks. A missing cash class makes the two unusable
    together (code `missing_cash_class`); any other (`unknown_asset_class`) has no effect, which is worth a warning."""
    problems = []
    known = set(assumptions.codes)
    if policy.cash_class not in known:
        detail = f"the assumption set has no class {policy.cash_class}, which the policy takes for cash"
        problems.append(Problem("/cash_class", "missing_cash_class", detail))
    named = [("/bounds", [code for code, _, _ in policy.bounds]), ("/alternatives", policy.alternatives)]
    named += [(f"/horizon_rules/{index}/only", rule.only) for index, rule in enumerate(policy.horizon_rules)]
    named += [(f"/stages/{rule.stage}/excluded", rule.excluded) for rule in policy.stages]
    for pointer, codes in named:
        problems += [
            Problem(pointer, "unknown_asset_class", f"the assumption set has no class {code}")
            for code in codes
            if code not in known
        ]
    return problems


def parse_policy(document: object) -> Policy:
    """The policy that a JSON document describes (`data/policy.json` shows every field).

    Raises:
        InvalidDocument: with one problem for each thing that is wrong.
    """
    root = Cursor(document)
    root.fields(
        (
            *("version", "volatility_at_zero", "volatility_ceilings", "indicative_maximum_class", "profile_valid_days"),
            *("profile_warning_days", "glide_path", "cash_class", "alternatives", "alternatives_maximum", "bounds"),
            *("horizon_rules", "liquidity_rules", "segments", "stages"),
        ),
        optional=("description", "withdrawal_step", "alternatives_minimum_class", "upkeep"),
    )
    at_zero, ceilings = _risk_scale(root)
    policy = Policy(
        version=root.text("version", longest=100),
        volatility_at_zero=at_zero,
        volatility_ceilings=ceilings,
        indicative_maximum_class=_risk_class(root, "indicative_maximum_class"),
        profile_valid_days=_days(root, "profile_valid_days", 1),
        profile_warning_days=_days(root, "profile_warning_days", 0),
        glide_path=_glide_path(root),
        cash_class=root.code("cash_class"),
        alternatives=root.codes("alternatives"),
        alternatives_maximum=root.share("alternatives_maximum"),
        bounds=tuple(_bounds(code, place) for code, place in root.members("bounds")),
        horizon_rules=_horizon_rules(root),
        liquidity_rules=_liquidity_rules(root),
        withdrawal_step=root.number("withdrawal_step", 0.001, 1, default=0.05),
        segments=_segments(root),
        stages=_stages(root),
        alternatives_minimum_class=_risk_class(root, "alternatives_minimum_class"),
        upkeep=parse_upkeep(root),
    )
    root.finish()
    return policy


def _days(root: Cursor, key: str, fewest: int) -> int:
    days = root.number(key, fewest, 3660, default=0)
    if days != int(days):
        root.child(key).problem("wrong_type", "must be a whole number of days")
    return int(days)


def _risk_class(place: Cursor, key: str) -> int:
    name = place.choice(key, RISK_CLASSES)
    return RISK_CLASSES.index(name) + 1 if name else 1


def _rising(place: Cursor, values: list[float], detail: str) -> None:
    if any(first >= second for first, second in itertools.pairwise(values)):
        place.problem("wrong_order", detail)


def _risk_scale(root: Cursor) -> tuple[float, tuple[float, ...]]:
    at_zero = root.number("volatility_at_zero", 0, 1)
    place = root.child("volatility_ceilings")
    count = len(root.items("volatility_ceilings", len(RISK_CLASSES), len(RISK_CLASSES)))
    ceilings = [place.number(index, 0, 2) for index in range(count)]
    _rising(place, [at_zero, *ceilings], "volatility_at_zero and the five ceilings must rise strictly")
    return at_zero, tuple(ceilings)


def _glide_path(root: Cursor) -> tuple[tuple[float, float], ...]:
    rows = []
    for place in root.items("glide_path", 1, 50):
        place.fields(("age", "growth_maximum"))
        rows.append((place.number("age", 0, 130), place.share("growth_maximum")))
    _rising(root.child("glide_path"), [age for age, _ in rows], "ages must rise strictly")
    if any(first[1] < second[1] for first, second in itertools.pairwise(rows)):
        root.child("glide_path").problem("wrong_order", "the growth share must not rise with age")
    return tuple(rows)


def _bounds(code: str, place: Cursor) -> tuple[str, float, float]:
    place.fields((), optional=("minimum", "maximum"))
    low, high = place.share("minimum", default=0.0), place.share("maximum", default=1.0)
    if low > high:
        place.problem("wrong_order", "the minimum is above the maximum")
    return code, low, high


def _horizon_rules(root: Cursor) -> tuple[HorizonRule, ...]:
    rules = []
    for place in root.items("horizon_rules", 0, 20):
        place.fields(("under_years", "maximum_class"), optional=("only",))
        years, highest = place.number("under_years", 0, 100), _risk_class(place, "maximum_class")
        rules.append(HorizonRule(years, highest, place.codes("only") if place.has("only") else ()))
    _rising(root.child("horizon_rules"), [rule.under_years for rule in rules], "under_years must rise strictly")
    return tuple(rules)


def _liquidity_rules(root: Cursor) -> tuple[LiquidityRule, ...]:
    rules = []
    for place in root.items("liquidity_rules", 0, 20):
        place.fields(("at_least", "maximum_class"))
        rules.append(LiquidityRule(place.number("at_least", 0, 1), _risk_class(place, "maximum_class")))
    _rising(root.child("liquidity_rules"), [-rule.at_least for rule in rules], "at_least must fall strictly")
    return tuple(rules)


def _segments(root: Cursor) -> tuple[SegmentRule, ...]:
    rules = []
    for code, place in root.members("segments"):
        place.fields(("alternatives_maximum", "minimum_cash", "minimum_liquid", "indicative_score"))
        score = place.number("indicative_score", 0, 100, default=0)
        alternatives, cash = place.share("alternatives_maximum"), place.share("minimum_cash")
        rules.append(SegmentRule(code, alternatives, cash, place.share("minimum_liquid"), int(score)))
    rules.sort(key=lambda rule: rule.code != DEFAULT_SEGMENT)
    if root.has("segments") and (not rules or rules[0].code != DEFAULT_SEGMENT):
        root.child("segments").problem("missing", "a rule named default must serve every other segment")
    return tuple(rules)


def _stages(root: Cursor) -> tuple[StageRule, ...]:
    rules = []
    for stage, place in root.members("stages"):
        if stage not in STAGES:
            place.problem("unknown_value", f"must be one of {', '.join(STAGES)}")
        place.fields(("excluded",))
        rules.append(StageRule(stage, place.codes("excluded")))
    return tuple(rules)
