"""Holdings, and trades back to the target, over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.allocation.holdings.batches import Offered, store_offered
from app.allocation.holdings.reading import propose_trades, read_holdings
from app.allocation.holdings.schemas import (
    HoldingsBatch,
    HoldingsRead,
    HoldingsReceipt,
    HoldingsReplace,
    RebalanceQuery,
    RebalanceRead,
)
from app.allocation.holdings.service import Outcome, Told, store_holdings, units_of
from app.allocation.schemas import LanguageQuery
from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.reading import refuse_missing
from app.customers.service import lock
from app.deps import IfNoneMatch, NowDep, ReadDep, SessionDep, StrictRoute, etag, json_response, problems, unchanged
from app.errors import Problem, invalid

router = APIRouter(prefix="/v1/holdings", tags=["Recommendations"], route_class=StrictRoute)
customer_router = APIRouter(prefix="/v1/customers/{customer_id}", tags=["Recommendations"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("allocation:read")]
Writer = Annotated[Principal, needs("allocation:write")]
Language = Annotated[LanguageQuery, Query()]


@customer_router.put(
    "/holdings",
    response_model=HoldingsRead,
    summary="Tell what a customer holds",
    responses=problems("malformed_json", "not_found", "erased", "conflict"),
)
async def replace_holdings(
    customer_id: UUID, body: HoldingsReplace, query: Language, session: SessionDep, now: NowDep, principal: Writer
) -> Response:
    """Replaces what was told before, unless that is of a later time (409): `as_of` stands in for If-Match.

    The same again changes nothing.
    """
    await lock(session, [customer_id])
    await refuse_missing(await session.connection(), customer_id)
    told = Told(customer_id, body.as_of, _units(body), body.source or principal.actor)
    [outcome] = await store_holdings(session, [told], now)
    _refuse(outcome)
    shown, tag = await read_holdings(session, customer_id, query.language)
    return json_response(shown, headers={"ETag": etag(tag)})


def _units(body: HoldingsReplace) -> dict[str, int]:
    return {code: units_of(amount) for code, amount in body.positions.items()}


def _refuse(outcome: Outcome) -> None:
    if outcome.status == "outdated":
        raise Problem("conflict", "Holdings of a later time are known.", blockers=[{"code": "outdated"}])
    if outcome.status == "rejected":
        raise invalid(outcome.pointer or "", outcome.code or "", f"{outcome.detail}.".capitalize())


@customer_router.get(
    "/holdings",
    response_model=HoldingsRead,
    summary="Read what a customer holds",
    responses={**problems("not_found", "erased"), 304: {"description": "Unchanged since the ETag sent"}},
)
async def get_holdings(
    customer_id: UUID, query: Language, connection: ReadDep, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """By asset class, with the target, the difference and the band of each, and the drift of the whole."""
    shown, tag = await read_holdings(connection, customer_id, query.language)
    if unchanged(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": etag(tag)})
    return json_response(shown, headers={"ETag": etag(tag)})


@router.post(
    "",
    response_model=HoldingsReceipt,
    summary="Tell what many customers hold",
    responses=problems("malformed_json"),
)
async def receive_holdings(body: HoldingsBatch, session: SessionDep, now: NowDep, principal: Writer) -> Response:
    """Holdings of up to 1,000 customers, each by id or external id, in one transaction. Sending it again is safe."""
    offered = [
        Offered(item.customer.id, item.customer.external_id, item.as_of, _units(item), item.source or principal.actor)
        for item in body.items
    ]
    found = await store_offered(session, offered, now)
    return json_response({"results": [_result(customer_id, outcome) for customer_id, outcome in found]})


def _result(customer_id: UUID | None, outcome: Outcome) -> dict[str, Any]:
    field = (outcome.pointer or "").lstrip("/").replace("/", ".")
    return {
        "status": outcome.status,
        "customer_id": customer_id,
        "code": outcome.code,
        "detail": None if outcome.detail is None else f"{field}: {outcome.detail}",
        "drift": outcome.measured.drift,
        "breached": outcome.measured.breached,
    }


@customer_router.get(
    "/rebalance",
    response_model=RebalanceRead,
    summary="Propose trades back to the target",
    responses=problems("not_found", "erased", "no_recommendation"),
)
async def propose_rebalance(
    customer_id: UUID, query: Annotated[RebalanceQuery, Query()], connection: ReadDep, _: Reader
) -> Response:
    """New money first, then as few sales as possible; nothing while every class lies within its band.

    Writes and orders nothing. An announced withdrawal and minimum cash are part of the recommended portfolio already.
    """
    return json_response(await propose_trades(connection, customer_id, query))
