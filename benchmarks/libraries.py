"""The portfolios of some customers, solved one by one with PyPortfolioOpt and skfolio: how long, and the same weights?

Run it with `python -m benchmarks libraries`. The floor is what the engine takes for a customer when it recommends to a
million of them, frontiers included. The libraries are timed as they come, on the question a customer poses: the best
return at this volatility, within these bounds and groups. For the weights they are asked for the least risk at the return
of our portfolio, with all the digits their solver has: the same portfolio, and a question that it answers more exactly.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from pypfopt import EfficientFrontier
from skfolio import RiskMeasure
from skfolio.optimization import MeanRisk, ObjectiveFunction
from skfolio.prior import BasePrior, ReturnDistribution

from app.allocation.engine.constraints import Constraints
from app.allocation.engine.correlation import Array
from app.allocation.engine.defaults import default_assumptions, default_policy
from app.allocation.engine.portfolios import FrontierCache
from app.allocation.engine.recommend import recommend
from benchmarks import Result
from benchmarks.recommend import CUSTOMERS, mixed_customers

SAMPLE = 48
TIMES = 1_000
_PERCENT = 100.0  # their solver takes percent further than shares
_ALL_DIGITS = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-14)


@dataclass(frozen=True)
class Question:
    """One customer's portfolio before rounding, `weights`, and what it follows from, in percent: the volatility aimed at,
    `risk`, and `least` if even the least risky portfolio permitted lies above that, `most` if the boldest lies below."""

    mean: Array
    covariance: Array
    constraints: Constraints
    risk: float
    least: bool
    most: bool
    weights: Array

    @property
    def limits(self) -> tuple[Array, Array]:
        """Rows and values of the groups: rows @ w <= values."""
        minimum, maximum = self.constraints.group_limits()
        return np.vstack([self.constraints.matrix, -self.constraints.matrix]), np.r_[maximum, -minimum]


Solver = Callable[[Question, bool], Array]


def questions(count: int, seed: int = 7) -> tuple[list[Question], float]:
    """Some of a million customers, all with portfolios, and the seconds that the engine takes for each of the million."""
    policy, assumptions, people = default_policy(), default_assumptions(), mixed_customers(CUSTOMERS)
    start = time.process_time()
    result = recommend(policy, assumptions, people, FrontierCache())
    seconds = (time.process_time() - start) / CUSTOMERS
    found: list[Question] = []
    for row in np.random.default_rng(seed).permutation(np.flatnonzero(result.status == 0))[:count].tolist():
        table = result.portfolios[result.signature[row]]
        frontier, risk = table.frontier, float(policy.target_volatilities[result.score[row]])
        if frontier is None:
            raise AssertionError("a customer with a portfolio has a frontier")
        found.append(
            Question(
                mean=_PERCENT * assumptions.expected_returns,
                covariance=_PERCENT**2 * assumptions.covariance,
                constraints=table.constraints,
                risk=_PERCENT * risk,
                least=risk <= frontier.volatility[0],
                most=risk >= frontier.volatility[-1],
                weights=frontier.at_volatility(np.array([risk]))[0],
            )
        )
    return found, seconds


def with_pyportfolioopt(question: Question, exact: bool) -> Array:
    """The weights (k,) by PyPortfolioOpt."""
    bounds = list(zip(question.constraints.lower, question.constraints.upper, strict=True))
    settings = {"solver": "CLARABEL", "solver_options": _ALL_DIGITS} if exact else {}
    problem = EfficientFrontier(question.mean, question.covariance, bounds, **settings)
    rows, values = question.limits
    if len(rows):
        problem.add_constraint(lambda weights: rows @ weights <= values)
    if question.least:
        weights = problem.min_volatility()
    elif question.most or not exact:
        weights = problem.efficient_risk(question.risk)
    else:
        weights = problem.efficient_return(float(question.mean @ question.weights))
    return np.array(list(weights.values()))


class _Given(BasePrior):  # type: ignore[misc] # the library has no types
    """Hands skfolio the expected returns and covariance as they are, instead of an estimate."""

    def __init__(self, mean: Array, covariance: Array) -> None:
        self.mean, self.covariance = mean, covariance

    def fit(self, X: Array, *_: Any, **__: Any) -> "_Given":
        self.return_distribution_ = ReturnDistribution(mu=self.mean, covariance=self.covariance, returns=np.asarray(X))
        return self


def with_skfolio(question: Question, exact: bool) -> Array:
    """The weights (k,) by skfolio."""
    rows, values = question.limits
    ends: dict[str, Any] = {"objective_function": ObjectiveFunction.MINIMIZE_RISK}
    if not question.least and (question.most or not exact):
        ends = {"objective_function": ObjectiveFunction.MAXIMIZE_RETURN, "max_standard_deviation": question.risk}
    elif not question.least:
        ends["min_return"] = float(question.mean @ question.weights)
    problem = MeanRisk(
        **ends,
        risk_measure=RiskMeasure.STANDARD_DEVIATION,
        prior_estimator=_Given(question.mean, question.covariance),
        min_weights=np.array(question.constraints.lower),
        max_weights=np.array(question.constraints.upper),
        left_inequality=rows if len(rows) else None,
        right_inequality=values if len(rows) else None,
        solver_params=_ALL_DIGITS if exact else None,
    )
    problem.fit(np.zeros((2, len(question.mean))))
    return np.array(problem.weights_, dtype=np.float64)


def _compared(name: str, solve: Solver, asked: list[Question], ours: float, nearness: float) -> Result:
    solve(asked[0], False)  # what only the first call takes is not counted
    start = time.process_time()
    plain = [solve(question, False) for question in asked]
    seconds = (time.process_time() - start) / len(asked)
    with warnings.catch_warnings():
        # It says so where it cannot confirm the last of the digits it is asked for.
        warnings.filterwarnings("ignore", "Solution may be inaccurate", UserWarning)
        exact = [solve(question, True) for question in asked]
    differences = [float(np.abs(w - q.weights).max()) for w, q in zip(exact, asked, strict=True)]
    as_it_comes = max(float(np.abs(w - q.weights).max()) for w, q in zip(plain, asked, strict=True))
    return {
        "name": f"a customer's portfolio, against {name}",
        "ratio": seconds / ours,
        "promise": f"at least {TIMES:,} times as fast, the same weights within {nearness:.0e}",
        "holds": seconds >= TIMES * ours and max(differences) <= nearness,
        "detail": f"{len(asked)} customers one by one, {seconds * 1e3:.1f} ms each, against {ours * 1e6:.2f} µs each of "
        f"{CUSTOMERS:,}; weights differ by {max(differences):.1e} at most, {fmean(differences):.1e} on average, and by "
        f"{as_it_comes:.1e} at most with the library's own tolerances",
    }


def run() -> list[Result]:
    """The figures of this run: `ratio` is their time for a customer over ours."""
    asked, ours = questions(SAMPLE)
    return [
        _compared("PyPortfolioOpt", with_pyportfolioopt, asked, ours, 1e-6),
        _compared("skfolio", with_skfolio, asked, ours, 1e-5),  # its conic form of the risk confirms no more digits
    ]
