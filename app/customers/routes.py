"""Customers over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.models import Customer
from app.customers.reading import list_page, read_customer, refuse_missing
from app.customers.schemas import CustomerCreate, CustomerPage, CustomerPatch, CustomerQuery, CustomerRead
from app.customers.service import create_customers, duplicates_of, erase_customers, lock, patch_customer
from app.db import settle
from app.deps import (
    DatabaseDep,
    IfMatch,
    IfNoneMatch,
    NowDep,
    ReadDep,
    SessionDep,
    SettingsDep,
    StrictRoute,
    etag,
    json_response,
    problems,
    require_match,
    unchanged,
)

router = APIRouter(prefix="/v1/customers", tags=["Customers"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("customers:read")]
Writer = Annotated[Principal, needs("customers:write")]


def _tag(customer: dict[str, Any]) -> str:
    """The version, and behind a dot what time alone changes: two answers that differ never share a tag."""
    return f"{customer['version']}" + ("" if customer["suitability"] == "none" else f".{customer['suitability']}")


def _answer(customer: dict[str, Any], status: int = 200, **headers: str) -> Response:
    return json_response(customer, status, {"ETag": etag(_tag(customer)), **headers})


@router.post(
    "",
    status_code=201,
    response_model=CustomerRead,
    summary="Create a customer",
    responses=problems("malformed_json", "external_id_taken"),
)
async def create_customer(
    body: CustomerCreate, session: SessionDep, now: NowDep, settings: SettingsDep, _: Writer
) -> Response:
    """The customer starts in `prospect`, or in `stage`; a recommended portfolio is attached at once."""
    [customer_id] = await create_customers(session, [body], now, zone=settings.zone)
    await settle(session)
    created = await read_customer(await session.connection(), customer_id, now)
    return _answer(created, 201, Location=f"/v1/customers/{customer_id}")


@router.get("", response_model=CustomerPage, summary="List customers", responses=problems("invalid_cursor"))
async def list_customers(
    query: Annotated[CustomerQuery, Query()], connection: ReadDep, now: NowDep, _: Reader
) -> Response:
    """Pages by keyset: stable while customers come and go. Unknown filters are refused."""
    items, cursor = await list_page(connection, query, now)
    return json_response({"items": items, "next_cursor": cursor})


@router.get(
    "/{customer_id}",
    response_model=CustomerRead,
    summary="Read a customer",
    responses={**problems("not_found", "erased"), 304: {"description": "Unchanged since the ETag sent"}},
)
async def get_customer(
    customer_id: UUID, database: DatabaseDep, now: NowDep, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """The ETag of the answer is what a change must send as `If-Match`."""
    # Opened here and not by a dependency, whose machinery costs as much as the query: this is the hottest route.
    async with database.read() as connection:
        customer = await read_customer(connection, customer_id, now)
    if unchanged(if_none_match, _tag(customer)):
        return Response(status_code=304, headers={"ETag": etag(_tag(customer))})
    return _answer(customer)


async def _locked(session: AsyncSession, customer_id: UUID, if_match: str | None) -> Customer:
    customer = await session.get(Customer, customer_id, with_for_update={"key_share": True})
    if customer is None or customer.merged_into is not None:
        await refuse_missing(await session.connection(), customer_id)
    assert customer is not None
    require_match(if_match, customer.version)
    return customer


@router.patch(
    "/{customer_id}",
    response_model=CustomerRead,
    summary="Change a customer",
    responses=problems("malformed_json", "not_found", "erased", "external_id_taken", "stale", "precondition_required"),
)
async def update_customer(
    customer_id: UUID,
    body: Annotated[CustomerPatch, Body(media_type="application/merge-patch+json")],
    session: SessionDep,
    now: NowDep,
    _: Writer,
    if_match: IfMatch = None,
) -> Response:
    """JSON merge patch: absent keeps, null clears. The stage is not a field: see transitions."""
    customer = await _locked(session, customer_id, if_match)
    await patch_customer(session, customer, body.model_dump(), now)
    await settle(session)
    return _answer(await read_customer(await session.connection(), customer_id, now))


@router.delete(
    "/{customer_id}",
    status_code=204,
    summary="Delete a customer",
    responses=problems("not_found", "erased", "stale", "precondition_required"),
)
async def delete_customer(
    customer_id: UUID, session: SessionDep, now: NowDep, _: Writer, if_match: IfMatch = None
) -> None:
    """Everything that names the customer goes, merged duplicates too; afterwards the address answers 410."""
    await lock(session, [customer_id, *await duplicates_of(session, [customer_id])])
    await _locked(session, customer_id, if_match)
    await erase_customers(session, [customer_id], now)
