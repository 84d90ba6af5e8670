"""Reading portfolio reviews: pages, oldest first, with the reasons in words."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.allocation.models import PortfolioReview
from app.allocation.rendering import Names, names_of
from app.allocation.reviews.schemas import CustomerReviewQuery, ReviewQuery
from app.allocation.versions.store import in_force
from app.customers.models import Customer
from app.errors import not_found
from app.pagination import decode_cursor, encode_cursor

_SELECT = select(
    *PortfolioReview.__table__.c, Customer.full_name, Customer.language.label("customer_language")
).join_from(PortfolioReview, Customer, Customer.id == PortfolioReview.customer_id)

_TEXTS = {
    "drift": {
        "en": "The holdings are {drift} % away from the recommended portfolio; outside their bands: {classes}.",
        "zh": "持仓偏离建议组合{drift}%，超出允许区间的类别：{classes}。",
    },
    "life_event": {
        "en": "Something changed in the customer's life on {date}{kind}. The answers to the risk questionnaire may no "
        "longer hold.",
        "zh": "客户的生活情况于{date}发生变化{kind}，风险问卷的答案可能已不适用。",
    },
    "profile_ends": {
        "en": "The risk profile counts until {date}. The customer should answer the questionnaire again.",
        "zh": "风险问卷有效期至{date}，请客户重新填写。",
    },
}
_BRACKETS = {"en": " ({})", "zh": "（{}）"}
_BETWEEN = {"en": ", ", "zh": "、"}


async def read_review(connection: AsyncConnection, review_id: UUID, language: str | None) -> dict[str, Any]:
    """One review, in the language asked for or else the customer's own; 404 if unknown."""
    row = (await connection.execute(_SELECT.where(PortfolioReview.id == review_id))).mappings().first()
    if row is None:
        raise not_found("portfolio review")
    return _shown(row, await _names(connection), language)


async def list_reviews(
    connection: AsyncConnection, query: CustomerReviewQuery, customer_id: UUID | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of reviews, of one customer or of all, and the cursor of the next page. Two statements."""
    wanted = _wanted(query)
    if customer_id is not None:
        wanted.append(PortfolioReview.customer_id == customer_id)
    fingerprint = query.fingerprint(f"portfolio-reviews {customer_id or ''}")
    key = tuple_(PortfolioReview.opened_at, PortfolioReview.id)
    if query.cursor is not None:
        wanted.append(key > tuple_(*decode_cursor(fingerprint, query.cursor, (datetime, UUID))))
    oldest = (PortfolioReview.opened_at, PortfolioReview.id)
    rows = (await connection.execute(_SELECT.where(*wanted).order_by(*oldest).limit(query.limit + 1))).mappings().all()
    names = await _names(connection)
    items = [_shown(row, names, query.language) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return items, None
    return items, encode_cursor(fingerprint, items[-1]["opened_at"], str(items[-1]["id"]))


def _wanted(query: CustomerReviewQuery) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [Customer.merged_into.is_(None)]
    if query.status != "all":
        closed = PortfolioReview.closed_at
        wanted.append(closed.is_(None) if query.status == "open" else closed.is_not(None))
    if query.reason:
        wanted.append(PortfolioReview.reason.in_(query.reason))
    if isinstance(query, ReviewQuery):
        wanted += [Customer.segment.in_(query.segment)] if query.segment else []
        wanted += [Customer.tier.in_(query.tier)] if query.tier else []
        wanted += [Customer.owner == query.owner] if query.owner is not None else []
    return wanted


async def _names(connection: AsyncConnection) -> dict[str, Names]:
    """Names of the asset classes in force, by language."""
    assumptions = (await in_force(connection)).published
    return {language: names_of(assumptions, language) for language in ("en", "zh")}


def _shown(row: Mapping[Any, Any], names: Mapping[str, Names], language: str | None) -> dict[str, Any]:
    shown = dict(row)
    own = "zh" if shown.pop("customer_language").startswith("zh") else "en"
    spoken = language or own
    return {**shown, "text": _worded(row["reason"], row["details"], names[spoken], spoken), "language": spoken}


def _worded(reason: str, details: Mapping[str, Any], names: Names, language: str) -> str:
    words: dict[str, str] = {}
    match reason:
        case "drift":
            classes = [names.get(code, code) for code in details["breached"]]
            share = f"{round(float(Decimal(details['drift']) * 100), 1):g}"
            words = {"drift": share, "classes": _BETWEEN[language].join(classes)}
        case "life_event":
            kind = details["kind"]
            words = {"date": details["occurred_at"][:10], "kind": _BRACKETS[language].format(kind) if kind else ""}
        case "profile_ends":
            words = {"date": details["valid_until"][:10]}
    return _TEXTS[reason][language].format(**words)
