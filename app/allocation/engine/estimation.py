"""Risk figures from past returns: volatilities, correlations, means with how little they say.

The covariance is shrunk towards one with equal correlations, which keeps the volatility of each class: O. Ledoit,
M. Wolf, "Honey, I shrunk the sample covariance matrix", Journal of Portfolio Management 30 (2004). A target with equal
volatilities ("A well-conditioned estimator", 2004) would make cash riskier and equity safer than they were.
"""

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.correlation import SMALLEST_EIGENVALUE, Array, nearest_correlation, smallest_eigenvalue
from app.allocation.engine.prior import PUBLISHED

_CONSTANT = 1e-12  # a standard deviation below this, relative to the largest entry, is rounding


@dataclass(frozen=True, eq=False)
class ReturnPanel:
    """Total returns of k asset classes in T periods, (T, k), as shares: 0.012 is 1.2 %. `dates` are the ends of the
    periods; `periods_per_year` is 12 for months.

    Raises:
        ValueError: if the lengths differ, dates do not rise, a class appears twice, or a return is not finite or
            loses everything.
    """

    dates: tuple[dt.date, ...]
    codes: tuple[str, ...]
    returns: Array
    periods_per_year: float

    def __post_init__(self) -> None:
        if self.returns.shape != (len(self.dates), len(self.codes)):
            raise ValueError(f"returns must have the shape ({len(self.dates)}, {len(self.codes)})")
        if len(set(self.codes)) < len(self.codes) or any(a >= b for a, b in itertools.pairwise(self.dates)):
            raise ValueError("dates must rise and codes differ")
        if not (np.isfinite(self.returns).all() and (self.returns > -1).all() and self.periods_per_year > 0):
            raise ValueError("returns must be finite and above -1, periods_per_year positive")

    def __len__(self) -> int:
        return len(self.dates)

    def of(self, codes: Sequence[str]) -> "ReturnPanel":
        """These classes, in this order."""
        places = [self.codes.index(code) for code in codes]
        return replace(self, codes=tuple(codes), returns=self.returns[:, places])


@dataclass(frozen=True, eq=False)
class Estimate:
    """What T past returns of k classes say, for one year.

    `volatilities` (k,), `correlation` (k, k); `means` (k,) arithmetic, with their `standard_errors` (k,): history and no
    forecast, since after 25 years a mean is still uncertain by a fifth of the volatility. `shrinkage` 0 to 1 is the
    share of the target in the covariance.
    """

    volatilities: Array
    correlation: Array
    means: Array
    standard_errors: Array
    shrinkage: float
    observations: int

    @cached_property
    def covariance(self) -> Array:
        """(k, k) of one year."""
        covariance: Array = self.correlation * np.outer(self.volatilities, self.volatilities)
        return covariance


def estimate(returns: Array, periods_per_year: float, *, shrink: bool = True) -> Estimate:
    """Figures of one year from returns (T, k) of single periods, taken as independent of each other.

    With `shrink` the correlation is positive definite, however few returns there are. A class that never moved has
    volatility 0 and correlation 0 with all others.

    Raises:
        ValueError: with fewer than two periods, or a return that is not finite.
    """
    periods = len(returns)
    if periods < 2 or not np.isfinite(returns).all():
        raise ValueError("at least two periods of finite returns are needed")
    deviations = returns - returns.mean(axis=0)
    spread = np.sqrt((deviations**2).mean(axis=0))
    moving = spread > _CONSTANT * np.abs(returns).max(initial=0.0)
    spread = np.where(moving, spread, 0.0)
    correlation = np.eye(returns.shape[1])
    shrinkage = 0.0
    if moving.any():
        part = deviations[:, moving]
        shrinkage = shrinkage_intensity(part) if shrink else 0.0
        correlation[np.ix_(moving, moving)] = _correlation(part, shrinkage)
    if shrink and smallest_eigenvalue(correlation) < SMALLEST_EIGENVALUE:
        correlation = nearest_correlation(correlation)
    volatilities = spread * np.sqrt(periods / (periods - 1) * periods_per_year)
    return Estimate(
        volatilities=volatilities,
        correlation=correlation,
        means=returns.mean(axis=0) * periods_per_year,
        standard_errors=volatilities / np.sqrt(periods / periods_per_year),
        shrinkage=shrinkage,
        observations=periods,
    )


def shrinkage_intensity(deviations: Array) -> float:
    """The best share, 0 to 1, of the constant-correlation target for deviations from the mean (T, k) of classes that
    all moved: (pi - rho) / gamma / T of Ledoit and Wolf (2004), appendix B. It tends to 0 as T grows."""
    periods, size = deviations.shape
    sample = deviations.T @ deviations / periods
    variance = np.diag(sample)
    deviation = np.sqrt(variance)
    scale = np.outer(deviation, deviation)
    mean_correlation = _mean_correlation(sample / scale)
    target = np.where(np.eye(size, dtype=np.bool_), sample, mean_correlation * scale)
    gamma = float(((target - sample) ** 2).sum())
    if gamma <= 1e-24 * float(variance.sum()) ** 2:  # two classes, or equal correlations already
        return 0.0
    squares = deviations**2
    pi = squares.T @ squares / periods - sample**2
    theta = (squares * deviations).T @ deviations / periods - variance[:, None] * sample
    np.fill_diagonal(theta, 0.0)
    rho = np.trace(pi) + mean_correlation * (theta * deviation / deviation[:, None]).sum()
    return float(np.clip((pi.sum() - rho) / gamma / periods, 0.0, 1.0))


def _mean_correlation(correlation: Array) -> float:
    size = len(correlation)
    return float((correlation.sum() - size) / (size * (size - 1))) if size > 1 else 0.0


def _correlation(deviations: Array, shrinkage: float) -> Array:
    sample = deviations.T @ deviations
    scale = np.sqrt(np.diag(sample))
    correlation = np.clip(sample / np.outer(scale, scale), -1.0, 1.0)
    shrunk: Array = (1 - shrinkage) * correlation + shrinkage * _mean_correlation(correlation)
    np.fill_diagonal(shrunk, 1.0)
    return (shrunk + shrunk.T) / 2


def with_estimate(assumptions: AssumptionSet, found: Estimate, expected_returns: Array) -> AssumptionSet:
    """The assumption set with estimated volatilities and correlations, and exactly these arithmetic expected returns
    (k,), whatever prior and views it had."""
    figures = zip(assumptions.asset_classes, found.volatilities.tolist(), expected_returns.tolist(), strict=True)
    classes = [replace(known, volatility=vol, expected_return=mean) for known, vol, mean in figures]
    changed = replace(assumptions, asset_classes=tuple(classes), correlation=found.correlation, repair=None)
    return replace(changed, prior=PUBLISHED, moved=None)


def restricted(assumptions: AssumptionSet, codes: Sequence[str]) -> AssumptionSet:
    """The assumption set of some of its classes, in this order; market weights sum to 1 again, and expected returns stay
    what they were.

    Raises:
        ValueError: if the set lacks one of them.
    """
    places = [assumptions.codes.index(code) for code in codes]
    kept = [assumptions.asset_classes[place] for place in places]
    total = sum(c.market_weight for c in kept)
    weights = [c.market_weight / total if total > 0 else 1 / len(kept) for c in kept]
    classes = [replace(c, market_weight=weight) for c, weight in zip(kept, weights, strict=True)]
    correlation = assumptions.correlation[np.ix_(places, places)]
    moved = tuple(assumptions.expected_returns[places].tolist())
    return replace(assumptions, asset_classes=tuple(classes), correlation=correlation, moved=moved)
