"""Reading stored recommendations: one select for the present one, keyset pages for the history."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, literal, null, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.allocation.models import PortfolioReview, Recommendation, RecommendationCurrent
from app.allocation.rendering import names_of, recommendation
from app.allocation.versions.store import assumptions_named
from app.customers.models import Customer
from app.customers.reading import refuse_missing
from app.errors import not_found
from app.pagination import PageQuery, decode_cursor, encode_cursor

_COLUMNS = (*Recommendation.__table__.c, Customer.language.label("customer_language"))
_LIFE_EVENT_AT = (
    select(PortfolioReview.opened_at)
    .where(
        PortfolioReview.customer_id == RecommendationCurrent.customer_id,
        PortfolioReview.reason == "life_event",
        PortfolioReview.closed_at.is_(None),
    )
    .scalar_subquery()
    .label("life_event_at")
)
# Built once, with its parameter: the key by which SQLAlchemy finds the compiled statement is then remembered, too.
_PRESENT = (
    select(*_COLUMNS, RecommendationCurrent.profile_until, _LIFE_EVENT_AT)
    .select_from(RecommendationCurrent)
    .join(Recommendation, Recommendation.id == RecommendationCurrent.recommendation_id)
    .join(Customer, Customer.id == RecommendationCurrent.customer_id)
    .where(RecommendationCurrent.customer_id == bindparam("customer"), Customer.merged_into.is_(None))
)
_HISTORY = (
    select(*_COLUMNS, null().label("profile_until"))
    .select_from(Recommendation)
    .join(Customer, Customer.id == Recommendation.customer_id)
)


async def read_recommendation(
    connection: AsyncConnection, customer_id: UUID, language: str | None, now: datetime
) -> dict[str, Any]:
    """The latest recommendation of a customer, in the language asked for or else the customer's own.

    404 if there is none, 410 if the customer was erased, or merged into another.
    """
    row = (await connection.execute(_PRESENT, {"customer": customer_id})).mappings().first()
    if row is None:
        await refuse_missing(connection, customer_id)
        raise not_found("recommendation")
    return await _shown(connection, dict(row), language, now)


async def list_recommendations(
    connection: AsyncConnection, customer_id: UUID, query: PageQuery, language: str | None, now: datetime
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of a customer's recommendations, newest first."""
    await refuse_missing(connection, customer_id)
    found = _HISTORY.where(Recommendation.customer_id == customer_id)
    fingerprint = query.fingerprint(f"recommendations {customer_id}")
    key = tuple_(Recommendation.created_at, Recommendation.id)
    if query.cursor is not None:
        found = found.where(key < tuple_(*map(literal, decode_cursor(fingerprint, query.cursor, (datetime, UUID)))))
    ordered = found.order_by(Recommendation.created_at.desc(), Recommendation.id.desc()).limit(query.limit + 1)
    rows = (await connection.execute(ordered)).mappings().all()
    items = [await _shown(connection, dict(row), language, now) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return items, None
    return items, encode_cursor(fingerprint, items[-1]["created_at"], str(items[-1]["id"]))


async def _shown(
    connection: AsyncConnection, row: dict[str, Any], language: str | None, now: datetime
) -> dict[str, Any]:
    spoken = language or ("zh" if row["customer_language"].startswith("zh") else "en")
    assumptions = await assumptions_named(connection, row["record"]["versions"]["assumptions_digest"])
    return recommendation(row, names_of(assumptions, spoken), spoken, now)
