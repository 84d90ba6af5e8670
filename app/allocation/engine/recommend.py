"""Recommendations for many customers at once: score, signature, portfolio. The same path for one as for a million."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.constraints import unconstrained
from app.allocation.engine.correlation import Array
from app.allocation.engine.people import People
from app.allocation.engine.policy import POINTS_PER_CLASS, SCORES, Policy, risk_class_of, unmatched_classes
from app.allocation.engine.portfolios import NO_LIMIT, FrontierCache, Portfolios, nothing
from app.allocation.engine.problems import InvalidDocument
from app.allocation.engine.profile import risk_scores
from app.allocation.engine.rounding import UNITS
from app.allocation.engine.signatures import Signature, constraints_of, signatures_of

ROUNDED = 0.0005
"""More than rounding to tenths of a percent can add to a volatility."""
_T = TypeVar("_T", bound=np.generic)


class Basis(IntEnum):
    """What a recommendation rests on."""

    INDICATIVE = 0  # age and segment only: never called advice
    ADVISED = 1  # a valid risk profile


class Status(IntEnum):
    """Whether there is a portfolio."""

    OK = 0
    NO_SUITABLE_PORTFOLIO = 1


@dataclass(frozen=True, eq=False)
class Recommendations:
    """n recommendations over the k classes of `codes`.

    `weights` (n, k) in tenths of a percent, summing to 1; `expected_return`, `volatility`, `annual_cost` (n,) of these
    weights for one year; `score` 0 to 100; `risk_class` C 1 to 5; `risk_level` R 1 to 5, never above C; `basis`,
    `status` and `limit` hold codes of `Basis`, `Status` and `Limit`. Without a suitable portfolio weights and figures
    are NaN and the level is 0. `signature` (n,) points into `signatures` and `portfolios`.
    """

    codes: tuple[str, ...]
    weights: Array
    expected_return: Array
    volatility: Array
    annual_cost: Array
    score: NDArray[np.int8]
    risk_class: NDArray[np.int8]
    risk_level: NDArray[np.int8]
    basis: NDArray[np.int8]
    status: NDArray[np.int8]
    limit: NDArray[np.int8]
    signature: NDArray[np.int32]
    signatures: tuple[Signature, ...]
    portfolios: tuple[Portfolios, ...]

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, eq=False)
class Step:
    """The portfolios one class safer or bolder, for m customers. `differs` is false where there is no such step, be it
    that the scale ends or that the same portfolio is the last permitted. A bolder one is for comparison only."""

    score: NDArray[np.int8]
    weights: Array
    expected_return: Array
    volatility: Array
    annual_cost: Array
    risk_level: NDArray[np.int8]
    differs: NDArray[np.bool_]


def recommend(policy: Policy, assumptions: AssumptionSet, people: People, cache: FrontierCache) -> Recommendations:
    """Recommendations for n customers, in their order. Each row depends on its own customer alone.

    Raises:
        InvalidDocument: if the assumption set lacks the class that the policy takes for cash.
    """
    missing = [p for p in unmatched_classes(policy, assumptions) if p.code == "missing_cash_class"]
    if missing:
        raise InvalidDocument(missing)
    scores = risk_scores(policy, people)
    signatures, signature = signatures_of(policy, people, scores)
    tables = [_table(policy, assumptions, s, cache) for s in signatures]
    tables = tables or [nothing(unconstrained(assumptions.codes))]  # nobody at all: keeps the shapes
    row = signature * SCORES
    row += scores.score
    risk_level = _gather([table.risk_level for table in tables], row)
    table_limit = _gather([table.limit for table in tables], row)
    unsuitable = risk_level == 0
    weights = np.divide(_gather([table.units for table in tables], row), UNITS, dtype=np.float64)
    weights[unsuitable] = np.nan
    return Recommendations(
        codes=assumptions.codes,
        weights=weights,
        expected_return=_gather([table.expected_return for table in tables], row),
        volatility=_gather([table.volatility for table in tables], row),
        annual_cost=_gather([table.annual_cost for table in tables], row),
        score=scores.score,
        risk_class=risk_class_of(np.arange(SCORES))[scores.score],
        risk_level=risk_level,
        basis=scores.advised.astype(np.int8),
        status=unsuitable.astype(np.int8),
        limit=np.where(table_limit == NO_LIMIT, scores.limit, table_limit),
        signature=signature,
        signatures=tuple(signatures),
        portfolios=tuple(tables),
    )


def _table(policy: Policy, assumptions: AssumptionSet, signature: Signature, cache: FrontierCache) -> Portfolios:
    """The portfolios of a signature. Alternatives may reach a better return at less risk than there is without them; who
    is not allowed them then takes no more risk than who is, or more tolerance would mean less risk."""
    constraints = constraints_of(policy, assumptions, signature)
    if signature.alternatives:
        return cache.portfolios(policy, assumptions, constraints)
    wider = cache.portfolios(
        policy, assumptions, constraints_of(policy, assumptions, replace(signature, alternatives=1))
    )
    boldest = float(wider.volatility[-1])
    return cache.portfolios(policy, assumptions, constraints, math.inf if math.isnan(boldest) else boldest - ROUNDED)


def one_step(recommendations: Recommendations, rows: Sequence[int] | NDArray[np.intp], classes: int) -> Step:
    """For some rows the portfolios `classes` risk classes away (-1 safer, +1 bolder) on the same frontier.

    A safer one counts from the lowest score that gives the customer's own portfolio, so that a customer whose score
    points beyond the frontier is shown something safer too.
    """
    used, place = np.unique(recommendations.signature[rows], return_inverse=True)
    tables = [recommendations.portfolios[index] for index in used.tolist()] or recommendations.portfolios
    own = recommendations.score[rows]
    if classes < 0:
        own = _gather([_lowest_scores(table) for table in tables], place * SCORES + own)
    score = np.clip(own.astype(np.int16) + classes * POINTS_PER_CLASS, 0, SCORES - 1).astype(np.int8)
    row = place * SCORES + score
    risk_level = _gather([table.risk_level for table in tables], row)
    weights = _gather([table.units for table in tables], row) / UNITS
    weights[risk_level == 0] = np.nan
    return Step(
        score=score,
        weights=weights,
        expected_return=_gather([table.expected_return for table in tables], row),
        volatility=_gather([table.volatility for table in tables], row),
        annual_cost=_gather([table.annual_cost for table in tables], row),
        risk_level=risk_level,
        differs=(risk_level > 0) & (weights != recommendations.weights[rows]).any(axis=1),
    )


def _gather(tables: Sequence[NDArray[_T]], row: NDArray[np.integer]) -> NDArray[_T]:
    """One row (score) of one table (signature) for each customer."""
    return np.concatenate(tables).take(row, axis=0)


def _lowest_scores(table: Portfolios) -> NDArray[np.int8]:
    """(101,) for each score the lowest with the same portfolio."""
    differs = np.append(True, (np.diff(table.units, axis=0) != 0).any(axis=1))
    return np.maximum.accumulate(np.where(differs, np.arange(SCORES), 0)).astype(np.int8)
