"""The risk questionnaire of a customer: what was answered, what it says, and how long it counts."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.allocation.engine.policy import RISK_CLASSES, risk_class_of
from app.allocation.engine.problems import InvalidDocument
from app.allocation.engine.profile import Limit, risk_scores
from app.allocation.engine.questionnaire import FACTS, AnswerScores, Questionnaire, encode_answers, score_answers
from app.allocation.inputs import Inputs, people_from
from app.allocation.models import RiskProfile
from app.allocation.versions.store import InForce
from app.clock import new_id
from app.customers.models import Customer
from app.customers.reading import refuse_missing
from app.errors import FieldProblem, Problem, not_found
from app.events import RiskProfilesCompleted, publish


def score_complete(questionnaire: Questionnaire, answers: list[Mapping[str, str]], pointer: str) -> AnswerScores:
    """What complete sets of answers say; 422 naming every question that is unknown, unanswered or answered wrongly."""
    try:
        chosen = encode_answers(questionnaire, answers, pointer)
    except InvalidDocument as error:
        raise refused(error) from error
    missing = [
        FieldProblem(
            pointer=f"{pointer}/{question.id}" if len(answers) == 1 else f"{pointer}/{row}/{question.id}",
            code="missing",
            detail="This question must be answered.",
        )
        for row in range(len(answers))
        for column, question in enumerate(questionnaire.questions)
        if chosen[row, column] < 0
    ]
    if missing:
        raise Problem("invalid", errors=missing[:100])
    return score_answers(questionnaire, chosen)


def refused(error: InvalidDocument) -> Problem:
    """The 422 of a document that cannot be used."""
    found = [FieldProblem(pointer=p.pointer, code=p.code, detail=p.detail) for p in error.problems[:100]]
    return Problem("invalid", errors=found)


def profile_inputs(scores: AnswerScores, row: int) -> dict[str, Any]:
    """What a set of answers contributes to the inputs of a portfolio."""
    return {
        "tolerance": float(scores.tolerance[row]),
        "capacity": float(scores.capacity[row]),
        "horizon_years": float(scores.facts["horizon_years"][row]),
        "liquidity_need": float(scores.facts["liquidity_need"][row]),
        "contradictions": int(scores.contradictions[row].sum()),
        "has_valid_profile": True,
    }


async def complete_profiles(
    session: AsyncSession, rules: InForce, answers: Mapping[UUID, Mapping[str, str]], now: datetime
) -> list[dict[str, Any]]:
    """Store the answers of locked customers with what they say, and tell of it; returns the rows, in order."""
    policy, questionnaire = rules.policy, rules.questionnaire
    scores = score_complete(questionnaire, list(answers.values()), "/answers")
    # Kind, segment and stage do not enter the score of somebody who answered.
    people = people_from(
        [Inputs("individual", "mass", "prospect", **profile_inputs(scores, i)) for i in range(len(answers))]
    )
    risk = risk_scores(policy, people)
    classes = risk_class_of(risk.score)
    valid_until = now + timedelta(days=policy.profile_valid_days)
    rows = [
        {
            "id": new_id(),
            "customer_id": customer_id,
            "questionnaire_version": questionnaire.version,
            "questionnaire_digest": rules.questionnaire_digest,
            "policy_version": policy.version,
            "answers": dict(given),
            "tolerance": int(scores.tolerance[i]),
            "capacity": int(scores.capacity[i]),
            "score": int(risk.score[i]),
            "risk_class": RISK_CLASSES[classes[i] - 1],
            "limit_code": Limit(risk.limit[i]).name.lower(),
            "facts": {name: float(scores.facts[name][i]) for name in FACTS},
            "contradictions": _contradictions(questionnaire, scores, i),
            "created_at": now,
            "valid_until": valid_until,
        }
        for i, (customer_id, given) in enumerate(answers.items())
    ]
    await session.execute(insert(RiskProfile), rows)
    publish(session, RiskProfilesCompleted(now, tuple(answers), valid_until))
    return rows


def _contradictions(questionnaire: Questionnaire, scores: AnswerScores, row: int) -> list[str]:
    return [
        entry.id
        for entry, found in zip(questionnaire.contradictions, scores.contradictions[row].tolist(), strict=True)
        if found
    ]


async def read_profile(connection: AsyncConnection, customer_id: UUID) -> dict[str, Any]:
    """The latest profile of a customer, or of a duplicate merged into it.

    404 if there is none, 410 if the customer was erased, or merged into another.
    """
    table = RiskProfile.__table__
    itself = and_(Customer.id == customer_id, Customer.merged_into.is_(None))
    people = select(Customer.id).where(or_(itself, Customer.merged_into == customer_id))
    found = await connection.execute(
        select(table)
        .where(table.c.customer_id.in_(people))
        .order_by(table.c.created_at.desc(), table.c.id.desc())
        .limit(1)
    )
    row = found.mappings().first()
    if row is None:
        await refuse_missing(connection, customer_id)
        raise not_found("risk profile")
    return dict(row)


def profile_state(valid_until: datetime, now: datetime, warning_days: int) -> str:
    """valid, due (it ends within `warning_days`) or expired."""
    if valid_until <= now:
        return "expired"
    return "due" if valid_until <= now + timedelta(days=warning_days) else "valid"
