"""Capital market assumptions: the asset classes, what they are expected to earn, and how they move together."""

import datetime as dt
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from app.allocation.engine.correlation import Array, nearest_correlation, read_only, smallest_eigenvalue
from app.allocation.engine.document import Cursor
from app.allocation.engine.prior import FIELDS as PRIOR_FIELDS
from app.allocation.engine.prior import HIGHEST_RETURN, LOWEST_RETURN, PUBLISHED, Prior, parse_prior

FEWEST_CLASSES, MOST_CLASSES = 2, 40
RISK_LEVELS = ("R1", "R2", "R3", "R4", "R5")
_ROUNDING = 1e-10  # an eigenvalue above minus this is zero in floating point
_CLASS_FIELDS = [
    "code",
    "names",
    "risk_level",
    "liquid",
    "growth",
    "expected_return",
    "return_measure",
    "volatility",
    "annual_cost",
    "market_weight",
    "source",
]
_SET_FIELDS = ("currency", "horizon", "source", "as_of", "asset_classes", "correlation")


@dataclass(frozen=True)
class AssetClass:
    """One asset class. `expected_return` (arithmetic, as published), `volatility` and `annual_cost` are for one year, as
    shares (0.05 is 5 %); `risk_level` is 1 to 5 for R1 to R5; `growth` counts towards the cap that age sets."""

    code: str
    names: Mapping[str, str]
    risk_level: int
    liquid: bool
    growth: bool
    expected_return: float
    volatility: float
    annual_cost: float
    market_weight: float
    source: str = ""


@dataclass(frozen=True)
class CorrelationRepair:
    """What a repair did to a matrix: its smallest eigenvalue before, and the largest change of an entry."""

    smallest_eigenvalue: float
    largest_change: float


@dataclass(frozen=True, eq=False)
class AssumptionSet:
    """A complete set: k asset classes and their correlation (k, k). Two sets that say the same are equal.

    `moved` holds the expected returns (k) after views; without it they are those of the `prior`.
    """

    asset_classes: tuple[AssetClass, ...]
    correlation: Array = field(repr=False)
    currency: str
    horizon: str
    source: str
    as_of: dt.date
    repair: CorrelationRepair | None = None
    prior: Prior = PUBLISHED
    moved: tuple[float, ...] | None = None

    @cached_property
    def identity(self) -> str:
        """A digest of everything that can change a portfolio: part of the key of every cached frontier."""
        figures = [
            (c.code, c.risk_level, c.liquid, c.growth, c.volatility, c.annual_cost, c.market_weight)
            for c in self.asset_classes
        ]
        content = json.dumps([figures, self.expected_returns.tolist(), self.correlation.tolist()]).encode()
        return hashlib.sha256(content).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssumptionSet) and self._said == other._said

    @property
    def _said(self) -> tuple[object, ...]:
        stated = (self.asset_classes, self.currency, self.horizon, self.source, self.as_of, self.repair, self.prior)
        return self.identity, *stated

    def __hash__(self) -> int:
        return hash(self.identity)

    @cached_property
    def codes(self) -> tuple[str, ...]:
        return tuple(c.code for c in self.asset_classes)

    @cached_property
    def expected_returns(self) -> Array:
        """(k,) arithmetic, one year: what portfolios are computed with, by the prior and the views applied to it."""
        if self.moved is not None:
            return read_only(self.moved)
        published = read_only([c.expected_return for c in self.asset_classes])
        market_weights = read_only([c.market_weight for c in self.asset_classes])
        return read_only(self.prior.returns(published, self.covariance, market_weights))

    @cached_property
    def volatilities(self) -> Array:
        """(k,) one year."""
        return read_only([c.volatility for c in self.asset_classes])

    @cached_property
    def annual_costs(self) -> Array:
        """(k,) share of the amount held, each year."""
        return read_only([c.annual_cost for c in self.asset_classes])

    @cached_property
    def growth(self) -> Array:
        """(k,) 1 for a growth class, 0 for a defensive one."""
        return read_only([c.growth for c in self.asset_classes])

    @cached_property
    def covariance(self) -> Array:
        """(k, k) one year."""
        return read_only(self.correlation * np.outer(self.volatilities, self.volatilities))


def arithmetic_return(expected_return: float, volatility: float, measure: str) -> float:
    """A one-year arithmetic mean from a published figure: a compound (geometric) one is raised by half the variance."""
    return expected_return + volatility**2 / 2 if measure == "compound" else expected_return


def parse_assumptions(document: object, *, repair_tolerance: float = 0.05) -> AssumptionSet:
    """The assumption set that a JSON document describes (`data/assumptions.json` shows every field).

    A correlation matrix with a negative eigenvalue is replaced by the nearest correlation matrix if no entry changes
    by more than `repair_tolerance`; the change is kept in `repair`. Everything wrong is raised together.

    Raises:
        InvalidDocument: with one problem for each thing that is wrong.
    """
    root = Cursor(document)
    root.fields(_SET_FIELDS, optional=("name", "description", "correlation_source", *PRIOR_FIELDS))
    classes = tuple(_asset_class(place) for place in root.items("asset_classes", FEWEST_CLASSES, MOST_CLASSES))
    _check_together(root, classes)
    correlation, repair = _correlation(root, len(classes), repair_tolerance)
    as_of = _date(root)
    currency = root.text("currency", longest=3)
    if currency and not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        root.child("currency").problem("bad_currency", "must be an ISO 4217 code such as USD")
    horizon, source = root.text("horizon", longest=100), root.text("source")
    found = AssumptionSet(classes, correlation, currency, horizon, source, as_of, repair, parse_prior(root))
    _check_prior(root, found)
    root.finish()
    return found


def _asset_class(place: Cursor) -> AssetClass:
    place.fields(_CLASS_FIELDS)
    level = place.choice("risk_level", RISK_LEVELS)
    volatility = place.number("volatility", 0, 2)
    published = place.number("expected_return", LOWEST_RETURN, HIGHEST_RETURN)
    measure = place.choice("return_measure", ("arithmetic", "compound"))
    return AssetClass(
        code=place.code("code"),
        names=place.texts("names"),
        risk_level=RISK_LEVELS.index(level) + 1 if level else 0,
        liquid=place.flag("liquid"),
        growth=place.flag("growth"),
        expected_return=arithmetic_return(published, volatility, measure),
        volatility=volatility,
        annual_cost=place.number("annual_cost", 0, 0.2),
        market_weight=place.number("market_weight", 0, 1),
        source=place.text("source"),
    )


def _check_together(root: Cursor, classes: tuple[AssetClass, ...]) -> None:
    seen: set[str] = set()
    for index, asset_class in enumerate(classes):
        if asset_class.code and asset_class.code in seen:
            place = root.child("asset_classes").child(index).child("code")
            place.problem("duplicate", f"{asset_class.code} is used twice")
        seen.add(asset_class.code)
    total = sum(c.market_weight for c in classes)
    if classes and abs(total - 1) > 1e-6:  # false when a weight is missing, which is reported already
        root.child("asset_classes").problem("weights_sum", f"market weights must sum to 1, they sum to {total:.6g}")


def _check_prior(root: Cursor, found: AssumptionSet) -> None:
    if root.problems or found.prior == PUBLISHED:
        return
    earned = zip(found.asset_classes, found.expected_returns.tolist(), strict=True)
    beyond = [
        f"{c.code} {value:.1%}"
        for c, value in earned
        if value != c.expected_return and not LOWEST_RETURN <= value <= HIGHEST_RETURN
    ]
    if beyond:
        detail = f"gives returns that are not between -50 % and 100 %: {', '.join(beyond)}"
        root.child("market_risk_aversion").problem("out_of_range", detail)


def _correlation(root: Cursor, size: int, tolerance: float) -> tuple[Array, CorrelationRepair | None]:
    place = root.child("correlation")
    before = len(root.problems)
    rows = root.items("correlation", FEWEST_CLASSES, MOST_CLASSES)
    matrix = np.full((len(rows), len(rows)), math.nan)
    for i, row in enumerate(rows):
        entries = place.items(i, len(rows), len(rows))
        for j in range(len(entries)):
            matrix[i, j] = row.number(j, -1 - _ROUNDING, 1 + _ROUNDING)
            if math.isnan(matrix[i, j]) and entries[j].value is None:
                entries[j].problem("missing", "a correlation is required")
    if size and rows and len(rows) != size:
        place.problem("wrong_length", f"must have one row for each of the {size} asset classes")
    if len(root.problems) == before and rows:
        for i, j in np.argwhere(np.triu(np.abs(matrix - matrix.T) > 1e-9)).tolist():
            place.child(i).child(j).problem("not_symmetric", f"{matrix[i, j]:g} differs from {matrix[j, i]:g} opposite")
        for i in np.flatnonzero(np.abs(np.diag(matrix) - 1) > 1e-9).tolist():
            place.child(i).child(i).problem("bad_diagonal", "a class has correlation 1 with itself")
    if len(root.problems) > before or not rows:
        return read_only(np.eye(size)), None
    return _positive(place, np.clip((matrix + matrix.T) / 2, -1, 1), tolerance)


def _positive(place: Cursor, matrix: Array, tolerance: float) -> tuple[Array, CorrelationRepair | None]:
    eigenvalue = smallest_eigenvalue(matrix)
    if eigenvalue >= -_ROUNDING:
        return read_only(matrix), None
    repaired = nearest_correlation(matrix)
    change = float(np.abs(repaired - matrix).max())
    if change > tolerance:
        place.problem(
            "not_positive_semidefinite",
            f"smallest eigenvalue {eigenvalue:.6g}; the nearest correlation matrix changes an entry by {change:.4f}, "
            f"more than {tolerance:g}",
        )
    return read_only(repaired), CorrelationRepair(eigenvalue, change)


def _date(root: Cursor) -> dt.date:
    text = root.text("as_of", longest=10)
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        if text:
            root.child("as_of").problem("bad_date", "must be a date such as 2025-01-31")
        return dt.date.min
