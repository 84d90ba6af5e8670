"""Where simulated customers complete the risk questionnaire or accept a portfolio, the service gets the real thing.

Their signals only tell that it happened. Answers are made up, the same for ever for the same customer: from a leaning
towards risk that is drawn from the external id, from age and from segment.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from random import Random
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.answers import accept
from app.allocation.engine.defaults import default_questionnaire
from app.allocation.engine.questionnaire import TOLERANCE, Question
from app.allocation.profiles import complete_profiles
from app.allocation.versions.store import in_force
from app.db import settle
from app.demo.portfolios import state_wishes, tell_holdings
from app.demo.shapes import DemoSignal

_SPREAD = 0.12
"""How far one answer strays from the leaning, as a share of the scale."""

_CUSTOMERS = text(
    "SELECT e.external_id, c.id, c.birth_on, c.segment FROM customers c"
    " JOIN customer_external_ids e ON e.customer_id = c.id WHERE e.external_id = ANY(:names) ORDER BY c.id"
)
_ACCEPTABLE = text(
    "SELECT c.customer_id, c.recommendation_id FROM recommendation_current c"
    " JOIN recommendations r ON r.id = c.recommendation_id WHERE c.customer_id = ANY(:ids)"
    " AND r.state = 'proposed' AND r.status = 'ok' AND r.basis = 'advised' AND c.profile_until > :now ORDER BY 1"
)


async def complete_what_signals_tell(session: AsyncSession, signals: Sequence[DemoSignal], now: datetime) -> None:
    """Save answers and accept portfolios of the customers whose signals say so; these are locked."""
    await tell_holdings(session, signals, now)
    answering = {s.external_id for s in signals if s.type == "risk_profile_completed"}
    accepting = {s.external_id for s in signals if s.type == "portfolio_accepted"}
    if not answering | accepting:
        return
    rows = (await session.execute(_CUSTOMERS, {"names": list(answering | accepting)})).all()
    answers: dict[UUID, Mapping[str, str]] = {
        row.id: answers_of(row.external_id, row.birth_on, row.segment, now.date())
        for row in rows
        if row.external_id in answering
    }
    if answers:
        await complete_profiles(session, await in_force(session), answers, now)
        await settle(session)
        await state_wishes(session, {row.id: row.external_id for row in rows if row.id in answers}, now)
    ids = [row.id for row in rows if row.external_id in accepting]
    chosen = (await session.execute(_ACCEPTABLE, {"ids": ids, "now": now})).all() if ids else []
    if chosen:
        await accept(session, {row.customer_id: row.recommendation_id for row in chosen}, now)
        await settle(session)


def answers_of(name: str, birth_on: date | None, segment: str, today: date) -> dict[str, str]:
    """Complete answers: question id -> option id."""
    draws = Random(f"answers of {name}")
    age = (today - birth_on).days / 365.25 if birth_on is not None else 45.0
    leaning = min(max(draws.gauss(0.55, 0.18) - (age - 45) / 200, 0.0), 1.0)
    places = {
        "horizon_years": min(max((75 - age) / 50, 0.1), 1.0),
        "income_stability": 0.3 if age > 65 else 0.75,
        "dependants": 0.5 if 30 <= age <= 55 else 0.1,
        "reserve_months": {"mass": 0.45, "small_business": 0.5}.get(segment, 0.8),
        "debt_burden": 0.4 if 30 <= age <= 50 else 0.15,
        "invested_share": 0.35,
        "liquidity_need": 0.15,
    }
    return {
        question.id: _chosen(question, leaning if question.facet == TOLERANCE else places[question.facet], draws)
        for question in default_questionnaire().questions
    }


def _chosen(question: Question, place: float, draws: Random) -> str:
    """The option at about this place of the scale, whose ends are 0 and 1."""
    last = len(question.options) - 1
    return question.options[min(max(round((place + draws.gauss(0, _SPREAD)) * last), 0), last)].id
