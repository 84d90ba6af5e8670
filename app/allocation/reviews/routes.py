"""Portfolio reviews over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.allocation.reviews.reading import list_reviews, read_review
from app.allocation.reviews.schemas import CustomerReviewQuery, ReviewClose, ReviewPage, ReviewQuery, ReviewRead
from app.allocation.reviews.service import close_by_hand
from app.allocation.schemas import LanguageQuery
from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.reading import refuse_missing
from app.deps import NowDep, ReadDep, SessionDep, StrictRoute, json_response, problems

router = APIRouter(prefix="/v1/portfolio-reviews", tags=["Recommendations"], route_class=StrictRoute)
customer_router = APIRouter(
    prefix="/v1/customers/{customer_id}/portfolio-reviews", tags=["Recommendations"], route_class=StrictRoute
)

Reader = Annotated[Principal, needs("allocation:read")]
Writer = Annotated[Principal, needs("allocation:write")]


@router.get("", response_model=ReviewPage, summary="List portfolios to look at", responses=problems("invalid_cursor"))
async def list_portfolio_reviews(query: Annotated[ReviewQuery, Query()], connection: ReadDep, _: Reader) -> Response:
    """Oldest first; the open ones unless `status` asks for others. An adviser's own: `owner=...`."""
    items, cursor = await list_reviews(connection, query)
    return json_response({"items": items, "next_cursor": cursor})


@customer_router.get(
    "",
    response_model=ReviewPage,
    summary="List a customer's portfolio reviews",
    responses=problems("not_found", "erased", "invalid_cursor"),
)
async def list_customer_portfolio_reviews(
    customer_id: UUID, query: Annotated[CustomerReviewQuery, Query()], connection: ReadDep, _: Reader
) -> Response:
    """Oldest first; the open ones unless `status` asks for others."""
    await refuse_missing(connection, customer_id)
    items, cursor = await list_reviews(connection, query, customer_id)
    return json_response({"items": items, "next_cursor": cursor})


@router.post(
    "/{review_id}/close",
    response_model=ReviewRead,
    summary="Close a portfolio review",
    responses=problems("malformed_json", "not_found", "conflict"),
)
async def close_portfolio_review(
    review_id: UUID,
    body: ReviewClose,
    query: Annotated[LanguageQuery, Query()],
    session: SessionDep,
    now: NowDep,
    principal: Writer,
) -> Response:
    """Say what was done. Sending the same outcome again changes nothing; another one is refused."""
    await close_by_hand(session, review_id, now, outcome=body.outcome, note=body.note, by=principal.actor)
    return json_response(await read_review(await session.connection(), review_id, query.language))
