"""Projections of wealth: what is asked and what is known become a plan for the engine."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from app.allocation.engine.goals import project
from app.allocation.engine.projection import MONTHS, Flow, Goal, Plan
from app.allocation.projecting.rendering import About, Projected, Subject, rendered
from app.allocation.projecting.schemas import (
    LONGEST,
    CustomerProjectionCreate,
    FlowInput,
    GoalInput,
    PortfolioProjectionCreate,
    ProjectionTerms,
)
from app.allocation.versions.store import InForce
from app.customers.reading import refuse_missing
from app.errors import FieldProblem, Problem, invalid, not_found

YEARS = 10
"""How far is looked without a horizon."""

_KNOWN = text(
    """SELECT c.language, r.id AS recommendation_id, r.basis, r.status, r.weights, r.expected_return, r.volatility,
        r.annual_cost, r.record -> 'versions' AS versions, h.total, h.as_of, p.valid_until,
        CAST(p.facts ->> 'horizon_years' AS float8) AS horizon_years
    FROM customers c
    LEFT JOIN recommendation_current n ON n.customer_id = c.id
    LEFT JOIN recommendations r ON r.customer_id = c.id
        AND CASE WHEN :portfolio = 'accepted' THEN r.state = 'accepted' ELSE r.id = n.recommendation_id END
    LEFT JOIN holdings h ON h.customer_id = c.id
    LEFT JOIN LATERAL (SELECT * FROM risk_profiles
                       WHERE customer_id = ANY (ARRAY(SELECT c.id UNION ALL
                                                      SELECT d.id FROM customers d WHERE d.merged_into = c.id))
                       ORDER BY created_at DESC, id DESC LIMIT 1) p ON true
    WHERE c.id = :id AND c.merged_into IS NULL"""
).columns(weights=JSONB, versions=JSONB)


async def read_known(connection: AsyncConnection, customer_id: UUID, portfolio: str) -> RowMapping:
    """What is known of a customer: the portfolio asked for, holdings, horizon.

    404 if there is no such customer, 410 if erased or merged, 409 without a suitable portfolio.
    """
    found = await connection.execute(_KNOWN, {"id": customer_id, "portfolio": portfolio})
    row = found.mappings().first()
    if row is None:
        await refuse_missing(connection, customer_id)
        raise not_found("customer")
    if row["recommendation_id"] is None:
        which = "accepted" if portfolio == "accepted" else "recommended"
        raise Problem("no_recommendation", f"No portfolio has been {which}.")
    if row["status"] != "ok":
        raise Problem("no_recommendation", "There is no suitable portfolio for this customer.")
    return row


def project_customer(
    rules: InForce, customer_id: UUID, known: RowMapping, asked: CustomerProjectionCreate, now: datetime
) -> dict[str, Any]:
    """The projection of what a customer holds, or of what was asked instead; 422 without either."""
    from_holdings = asked.initial is None
    if from_holdings and known["total"] is None:
        raise invalid("/initial", "missing", "No holdings are known of this customer: say how much there is.")
    initial = known["total"] if asked.initial is None else asked.initial
    years = asked.years or _horizon(known, now)
    language = asked.language or ("zh" if known["language"].startswith("zh") else "en")
    subject = _recommended(rules, known)
    return {
        "customer_id": customer_id,
        "portfolio": asked.portfolio,
        "recommendation_id": known["recommendation_id"],
        "basis": known["basis"],
        "holdings_as_of": known["as_of"] if from_holdings else None,
        **_projected(rules, subject, asked, float(initial), years, language, now.astimezone(UTC).date()),
    }


def project_portfolio(rules: InForce, asked: PortfolioProjectionCreate, now: datetime) -> dict[str, Any]:
    """The projection of a described portfolio; 422 naming unknown classes, or shares that do not sum to 1."""
    unknown = [
        FieldProblem(
            pointer=f"/weights/{code}",
            code="unknown_asset_class",
            detail="The assumptions in force lack this class.",
        )
        for code in asked.weights
        if code not in rules.assumptions.codes
    ]
    if unknown:
        raise Problem("invalid", errors=unknown)
    if sum(round(float(weight) * 10_000) for weight in asked.weights.values()) != 10_000:
        raise invalid("/weights", "weights_sum", "The shares must sum to 1.")
    held = {code: f"{float(weight):.4f}" for code, weight in asked.weights.items() if float(weight) > 0}
    subject = _subject(rules, held)
    today = now.astimezone(UTC).date()
    return _projected(rules, subject, asked, float(asked.initial), asked.years, asked.language, today)


def _horizon(known: RowMapping, now: datetime) -> int:
    if known["valid_until"] is None or known["valid_until"] <= now:
        return YEARS
    horizon: float = known["horizon_years"]
    return min(max(math.ceil(horizon), 1), LONGEST)


def _recommended(rules: InForce, known: RowMapping) -> Subject:
    """What the assumptions in force say of the recommended weights; those of the record if they lack a class."""
    weights: dict[str, str] = known["weights"]
    about: About = (("indicative", {}),) if known["basis"] == "indicative" else ()
    if set(weights) <= set(rules.assumptions.codes):
        return _subject(rules, weights, about)
    versions = known["versions"]
    return Subject(
        weights=weights,
        expected_return=float(known["expected_return"]),
        volatility=float(known["volatility"]),
        annual_cost=float(known["annual_cost"]),
        assumption_version=versions["assumptions"],
        views_version=versions.get("views"),
        warnings=(*about, ("older_assumptions", {"assumption_version": versions["assumptions"]})),
    )


def _subject(rules: InForce, weights: Mapping[str, str], about: About = ()) -> Subject:
    known, versions = rules.assumptions, rules.versions
    held = np.array([float(weights.get(code, 0)) for code in known.codes])
    expected_return = float(held @ known.expected_returns)
    if abs(expected_return - float(held @ rules.published.expected_returns)) > 1e-9:
        about += (("views_included", {"views_version": versions.views}),)
    return Subject(
        weights=weights,
        expected_return=expected_return,
        volatility=float(np.sqrt(max(held @ known.covariance @ held, 0.0))),
        annual_cost=float(held @ known.annual_costs),
        assumption_version=versions.assumptions,
        views_version=versions.views,
        warnings=about,
    )


def _projected(
    rules: InForce, subject: Subject, terms: ProjectionTerms, initial: float, years: int, language: str, today: date
) -> dict[str, Any]:
    """Everything that both projections share; 422 naming every payment and goal that does not fit the years."""
    wrong = [*_wrong_flows(terms, years), *_wrong_goals(terms.goals, years, today)]
    if wrong:
        raise Problem("invalid", errors=wrong)
    inflation = float(terms.inflation)
    plan = Plan(
        initial=initial,
        years=years,
        expected_return=subject.expected_return,
        volatility=subject.volatility,
        annual_cost=subject.annual_cost,
        contributions=tuple(_flow(flow, years, inflation) for flow in terms.contributions),
        withdrawals=tuple(_flow(flow, years, inflation) for flow in terms.withdrawals),
        goals=tuple(_goal(goal, inflation, today) for goal in terms.goals),
    )
    answer = project(plan, growth=inflation, seed=terms.seed, target=float(terms.target_probability))
    return rendered(Projected(subject, terms, plan, answer, rules.published, language))


def _wrong_flows(terms: ProjectionTerms, years: int) -> list[FieldProblem]:
    beyond = "These years are not projected: give more years, or an earlier year."
    wrong = []
    for name, flows in (("contributions", terms.contributions), ("withdrawals", terms.withdrawals)):
        for place, flow in enumerate(flows):
            at = f"/{name}/{place}"
            if flow.from_year > years:
                wrong.append(FieldProblem(pointer=f"{at}/from_year", code="beyond_years", detail=beyond))
            if flow.to_year is None:
                continue
            if flow.every == "once":
                detail = "A single payment has no last year."
                wrong.append(FieldProblem(pointer=f"{at}/to_year", code="not_for_once", detail=detail))
            elif flow.to_year < flow.from_year:
                detail = "Must not be before from_year."
                wrong.append(FieldProblem(pointer=f"{at}/to_year", code="wrong_order", detail=detail))
            elif flow.to_year > years:
                wrong.append(FieldProblem(pointer=f"{at}/to_year", code="beyond_years", detail=beyond))
    return wrong


def _wrong_goals(goals: list[GoalInput], years: int, today: date) -> list[FieldProblem]:
    wrong = []
    for place, goal in enumerate(goals):
        if goal.due_on <= today:
            found = ("in_the_past", "Must be after today.")
        elif _months(today, goal.due_on) > years * MONTHS:
            found = ("beyond_years", "This day is not projected: give more years, or an earlier day.")
        else:
            continue
        wrong.append(FieldProblem(pointer=f"/goals/{place}/due_on", code=found[0], detail=found[1]))
    return wrong


def _months(today: date, day: date) -> int:
    """Whole months between two days."""
    return (day.year - today.year) * MONTHS + day.month - today.month - (day.day < today.day)


def _flow(flow: FlowInput, years: int, inflation: float) -> Flow:
    last = flow.from_year if flow.every == "once" else flow.to_year or years
    growth = inflation if flow.growth is None else float(flow.growth)
    return Flow(float(flow.amount), flow.every == "month", flow.from_year, last, growth)


def _goal(goal: GoalInput, inflation: float, today: date) -> Goal:
    month = _months(today, goal.due_on)
    prices = (1 + inflation) ** (month / MONTHS) if goal.money == "today" else 1.0
    return Goal(float(goal.amount) * prices, month, goal.kind == "withdraw")
