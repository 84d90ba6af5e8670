"""From what is asked for to a backtest, saying plainly what does not fit together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.backtest import Backtest, Estimates, Plan, backtest
from app.allocation.engine.estimation import ReturnPanel
from app.allocation.engine.policy import POINTS_PER_CLASS, RISK_CLASSES, Policy
from app.allocation.engine.problems import InvalidDocument, Problem
from app.allocation.importing.estimates import estimated
from app.allocation.importing.returns_csv import parse_returns
from app.allocation.inputs import Inputs, people_from

_HISTORY_YEARS = 5
_LONG = 100.0  # years: so that no rule about horizons binds


@dataclass(frozen=True)
class Asked:
    """How to go through the past; None is the default: five years of history, all of it, a portfolio a year.

    `history`, `window` and `rebalance_every` are in periods.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    periods_per_year: int | None = None
    history: int | None = None
    window: int | None = None
    rebalance_every: int | None = None
    estimates: Estimates = "equilibrium"
    transaction_cost: float = 0.001
    equity_class: str = "domestic_equity"
    bond_class: str = "bonds"


@dataclass(frozen=True)
class Limits:
    """The most that is computed while somebody waits."""

    periods: int
    rebalancings: int


@dataclass(frozen=True)
class Found:
    """A backtest with what it rests on; `left_out` are classes of the assumptions without returns."""

    panel: ReturnPanel
    plan: Plan
    backtest: Backtest
    left_out: tuple[str, ...]


def person_of(kind: str, segment: str | None, stage: str, age: float | None, score: float) -> Inputs:
    """A person with a valid profile of this score 0 to 100, whom neither horizon nor liquidity holds back."""
    return Inputs(
        kind=kind,
        segment=segment or ("small_business" if kind == "business" else "mass"),
        stage=stage,
        age=age,
        tolerance=score,
        capacity=score,
        horizon_years=_LONG,
        liquidity_need=0.0,
        has_valid_profile=True,
    )


def score_of(risk_class: str) -> float:
    """The score at the ceiling of a class."""
    return float((RISK_CLASSES.index(risk_class) + 1) * POINTS_PER_CLASS)


def run(
    policy: Policy,
    assumptions: AssumptionSet,
    text: str,
    people: Sequence[Inputs],
    asked: Asked,
    limits: Limits | None = None,
) -> Found:
    """The backtest of a policy over the returns in a CSV text, for these people.

    Raises:
        InvalidDocument: with one problem for each thing that is wrong: in the text, or between it and what is asked.
    """
    panel = parse_returns(text, columns=asked.columns, known=assumptions.codes, periods_per_year=asked.periods_per_year)
    estimated(panel, shrink=False)
    plan = _plan(panel, asked)
    problems = [*_problems(policy, panel, plan), *(_beyond(panel, plan, limits) if limits else [])]
    if problems:
        raise InvalidDocument(problems)
    left_out = tuple(code for code in assumptions.codes if code not in panel.codes)
    return Found(panel, plan, backtest(policy, assumptions, panel, people_from(people), plan), left_out)


def _plan(panel: ReturnPanel, asked: Asked) -> Plan:
    return Plan(
        history=asked.history or round(_HISTORY_YEARS * panel.periods_per_year),
        rebalance_every=asked.rebalance_every or round(panel.periods_per_year),
        window=asked.window,
        estimates=asked.estimates,
        transaction_cost=asked.transaction_cost,
        equity=asked.equity_class,
        bonds=asked.bond_class,
    )


def _problems(policy: Policy, panel: ReturnPanel, plan: Plan) -> list[Problem]:
    needed = [
        ("/csv", policy.cash_class, "which the policy takes for cash"),
        ("/equity_class", plan.equity, "which the benchmarks take for equity"),
        ("/bond_class", plan.bonds, "which the benchmarks take for bonds"),
    ]
    found = [
        Problem(pointer, "missing_asset_class", f"there are no returns of the class {use}")
        for pointer, code, use in needed
        if code not in panel.codes
    ]
    if len(panel) < plan.history + 2:
        detail = f"needs {plan.history + 2} rows, {plan.history} of history and 2 more; has {len(panel)}"
        found.append(Problem("/csv", "too_few_rows", detail))
    return found


def _beyond(panel: ReturnPanel, plan: Plan, limits: Limits) -> list[Problem]:
    found = []
    if len(panel) > limits.periods:
        detail = f"at most {limits.periods} rows of returns, has {len(panel)}"
        found.append(Problem("/csv", "too_many_rows", detail))
    elif ceil((len(panel) - plan.history) / plan.rebalance_every) > limits.rebalancings:
        detail = f"more than {limits.rebalancings} portfolios: choose them less often"
        found.append(Problem("/rebalance_every", "out_of_range", detail))
    return found
