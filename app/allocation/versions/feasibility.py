"""Who would be left without a portfolio under a policy and a set of assumptions: everybody the service may meet. Pure."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.constraints import Constraints, InfeasibleConstraints
from app.allocation.engine.policy import POINTS_PER_CLASS, RISK_CLASSES, STAGES, Policy
from app.allocation.engine.profile import risk_scores
from app.allocation.engine.quadratic import QuadraticProgram
from app.allocation.engine.signatures import GROWTH_STEPS, constraints_of, growth_steps, signatures_of
from app.allocation.inputs import Inputs, people_from

SEGMENTS = {
    "mass": "individual",
    "affluent": "individual",
    "high_net_worth": "individual",
    "small_business": "business",
}
"""Every segment of customers, with the kind of those who belong to it."""

_LONG = 100.0  # years: so that no rule about horizons binds
_RIDGES = (1e-7, 1e-4)  # tell portfolios of the same variance apart; the second if the solver stumbles over the first


class Ages(NamedTuple):
    """Ages with the same cap on growth, after `after` up to and with `up_to`; None: from birth, or open, and unknown."""

    after: float | None
    up_to: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Customers of one segment who would be left without a portfolio.

    `horizon_under_years`: those alone whose horizon is shorter; None: whatever it is. `constraints` names those that
    cannot hold together; where these can, `volatility` is that of the least risky portfolio, above the ceiling of C1.
    """

    segment: str
    stages: tuple[str, ...]
    ages: Ages
    horizon_under_years: float | None
    constraints: tuple[str, ...]
    volatility: float | None

    def data(self) -> dict[str, Any]:
        """Who they are and what stands against a portfolio, as JSON values."""
        return {
            "segment": self.segment,
            "stages": list(self.stages),
            "ages": self.ages._asdict(),
            "horizon_under_years": self.horizon_under_years,
            "constraints": list(self.constraints),
        }

    @property
    def who(self) -> str:
        """In words."""
        parts = [self.segment, "at every stage" if len(self.stages) == len(STAGES) else "at " + ", ".join(self.stages)]
        after, up_to = self.ages
        if after is not None:
            parts.append(
                f"aged {after:g} to {up_to:g}" if up_to is not None else f"aged over {after:g} or of unknown age"
            )
        elif up_to is not None:
            parts.append(f"aged up to {up_to:g}")
        if self.horizon_under_years is not None:
            parts.append(f"with a horizon under {self.horizon_under_years:g} years")
        return ", ".join(parts)


_T = TypeVar("_T")
_Who = tuple[str, tuple[str, ...], Ages, float | None]


class _Verdict(NamedTuple):
    conflict: tuple[str, ...]
    volatility: float  # of the least risky portfolio


class _Place(NamedTuple):
    segment: str
    stage: str
    ages: Ages
    horizon: float | None


def left_without(policy: Policy, assumptions: AssumptionSet) -> list[Group]:
    """All groups of customers without a portfolio because of a conflict, then those without one that suits C1.

    Personal wishes and announced withdrawals are none of it. The assumptions must have the policy's cash class.
    """
    places, verdicts = _verdicts(policy, assumptions)
    conflicts: dict[_Place, tuple[str, ...]] = {}
    unsuited: dict[_Place, float] = {}
    ceiling = policy.volatility_ceilings[0] + 1e-9
    for place, of_classes in zip(places, verdicts, strict=True):
        found = next((v.conflict for v in of_classes if v.conflict), ())
        conflicts[place] = found
        if not found and of_classes[0].volatility > ceiling:
            unsuited[place] = round(of_classes[0].volatility, 6)
    volatilities = {place: unsuited.get(place, 0.0) for place in places}
    return [
        *(Group(*who, constraints=found, volatility=None) for who, found in _groups(conflicts)),
        *(Group(*who, constraints=(), volatility=found) for who, found in _groups(volatilities)),
    ]


def _verdicts(policy: Policy, assumptions: AssumptionSet) -> tuple[list[_Place], list[list[_Verdict]]]:
    """Each place with what is found there for customers of C1 to C5."""
    places = list(_places(policy))
    borders = [0.0, *(rule.under_years for rule in policy.horizon_rules)]
    begin = {rule.under_years: borders[i] for i, rule in enumerate(policy.horizon_rules)}
    scores = [float(place * POINTS_PER_CLASS) for place in range(1, len(RISK_CLASSES) + 1)]
    people = people_from(
        [
            Inputs(
                kind=SEGMENTS[place.segment],
                segment=place.segment,
                stage=place.stage,
                age=place.ages.up_to,
                tolerance=score,
                capacity=score,
                horizon_years=_LONG if place.horizon is None else begin[place.horizon],
                has_valid_profile=True,
            )
            for place in places
            for score in scores
        ]
    )
    signatures, signature = signatures_of(policy, people, risk_scores(policy, people))
    known: dict[Constraints, _Verdict] = {}
    of_signature = []
    for each in signatures:
        constraints = constraints_of(policy, assumptions, each)
        if constraints not in known:
            known[constraints] = _verdict(assumptions, constraints)
        of_signature.append(known[constraints])
    rows = signature.reshape(len(places), len(scores)).tolist()
    return places, [[of_signature[place] for place in row] for row in rows]


def _places(policy: Policy) -> Iterator[_Place]:
    horizons = [None, *(rule.under_years for rule in policy.horizon_rules if rule.only)]
    for segment, kind in SEGMENTS.items():
        ages = [Ages(None, None)] if kind == "business" else bands(policy)
        for horizon, stage, band in itertools.product(horizons, STAGES, ages):
            yield _Place(segment, stage, band, horizon)


def bands(policy: Policy) -> list[Ages]:
    """All ages, cut where the cap on growth takes another step."""
    rows = policy.glide_path
    cuts = {age for age, _ in rows}
    for (age, cap), (later, lower) in itertools.pairwise(rows):
        steps = range(math.ceil(lower * GROWTH_STEPS - 1e-9), math.floor(cap * GROWTH_STEPS + 1e-9) + 1)
        cuts |= {age + (cap - k / GROWTH_STEPS) / (cap - lower) * (later - age) for k in steps if cap > lower}
    ages = np.array(sorted(cuts))
    steps_at = growth_steps(policy, ages, np.zeros(len(ages), np.int8))
    ends = [float(age) for age, change in zip(ages[:-1], np.diff(steps_at), strict=True) if change]
    # Rounded down: up, the last day would fall into the next step.
    borders = [None, *(math.floor(end * 1e4) / 1e4 for end in ends), None]
    return [Ages(after, up_to) for after, up_to in itertools.pairwise(borders)]


def _verdict(assumptions: AssumptionSet, constraints: Constraints) -> _Verdict:
    mean, covariance = assumptions.expected_returns, assumptions.covariance
    for ridge in _RIDGES:
        try:
            program = QuadraticProgram(mean, covariance, constraints, ridge)
            weights = program.full(program.solve(0.0)[0])
        except InfeasibleConstraints as error:
            return _Verdict(error.conflict, math.inf)
        except ArithmeticError:
            continue
        return _Verdict((), math.sqrt(max(float(weights @ covariance @ weights), 0.0)))
    return _Verdict((), 0.0)  # it exists, and only a warning would follow


def _groups(found: Mapping[_Place, _T]) -> Iterator[tuple[_Who, _T]]:
    """Places put together: ages that follow each other, then stages. Nothing is found where a value is empty."""
    stretches: dict[tuple[str, float | None, tuple[tuple[Ages, _T], ...]], list[str]] = {}
    by_stage = itertools.groupby(found.items(), key=lambda item: (item[0].segment, item[0].horizon, item[0].stage))
    for (segment, horizon, stage), items in by_stage:
        merged = tuple(_merged([(place.ages, value) for place, value in items]))
        stretches.setdefault((segment, horizon, merged), []).append(stage)
    for (segment, horizon, merged), stages in stretches.items():
        for ages, value in merged:
            if value:
                yield (segment, tuple(stages), ages, horizon), value


def _merged(items: Sequence[tuple[Ages, _T]]) -> Iterator[tuple[Ages, _T]]:
    for value, run in itertools.groupby(items, key=lambda item: item[1]):
        stretch = [ages for ages, _ in run]
        yield Ages(stretch[0].after, stretch[-1].up_to), value
