"""What customers ask of their portfolio, over HTTP."""

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response

from app.allocation.restrictions.schemas import RestrictionsRead, RestrictionsReplace
from app.allocation.restrictions.service import Restrictions, Withdrawal, read_restrictions, state_restrictions
from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.service import lock
from app.deps import (
    IfMatch,
    IfNoneMatch,
    NowDep,
    ReadDep,
    SessionDep,
    StrictRoute,
    etag,
    json_response,
    problems,
    require_match,
    unchanged,
)

router = APIRouter(
    prefix="/v1/customers/{customer_id}/investment-restrictions", tags=["Recommendations"], route_class=StrictRoute
)

Reader = Annotated[Principal, needs("allocation:read")]
Writer = Annotated[Principal, needs("allocation:write")]


def _tag(shown: dict[str, Any]) -> str:
    closing = shown["closure_announced_at"]
    return f"{shown['version']}{f'.{closing.timestamp():.0f}' if closing else ''}"


@router.get(
    "",
    response_model=RestrictionsRead,
    summary="Read what a customer asks of the portfolio",
    responses={**problems("not_found", "erased"), 304: {"description": "Unchanged since the ETag sent"}},
)
async def get_restrictions(
    customer_id: UUID, connection: ReadDep, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """Excluded classes, minimum cash, a planned withdrawal; and whether the customer announced to close."""
    shown = await read_restrictions(connection, customer_id)
    if unchanged(if_none_match, _tag(shown)):
        return Response(status_code=304, headers={"ETag": etag(_tag(shown))})
    return json_response(shown, headers={"ETag": etag(_tag(shown))})


@router.put(
    "",
    response_model=RestrictionsRead,
    summary="Replace what a customer asks of the portfolio",
    responses=problems("malformed_json", "not_found", "erased", "stale", "precondition_required"),
)
async def replace_restrictions(
    customer_id: UUID,
    body: RestrictionsReplace,
    session: SessionDep,
    now: NowDep,
    principal: Writer,
    if_match: IfMatch = None,
) -> Response:
    """The recommendation follows at once. A planned withdrawal is held in cash from a year before its day on."""
    await lock(session, [customer_id])
    require_match(if_match, (await read_restrictions(session, customer_id))["version"])
    plan = body.withdrawal
    withdrawal = None if plan is None else Withdrawal(plan.by, _decimal(plan.share), _decimal(plan.amount))
    wish = Restrictions(tuple(body.excluded), Decimal(body.minimum_cash), withdrawal)
    await state_restrictions(session, {customer_id: wish}, now, principal.actor)
    shown = await read_restrictions(session, customer_id)
    return json_response(shown, headers={"ETag": etag(_tag(shown))})


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)
