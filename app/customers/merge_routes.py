"""Merging duplicates over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.merge_schemas import MergeCreate, MergeList, MergeRead, MergeUndo
from app.customers.merging import Wanted, find_merge, list_merges, merge, read_merge, take, undo
from app.customers.models import Customer
from app.db import settle
from app.deps import IfMatch, NowDep, ReadDep, SessionDep, StrictRoute, etag, json_response, problems, require_match

router = APIRouter(prefix="/v1/customers/{customer_id}", tags=["Customers"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("customers:read")]
Writer = Annotated[Principal, needs("customers:write")]

_CHANGE = ("malformed_json", "not_found", "erased", "stale", "precondition_required")


async def _answer(session: AsyncSession, customer_id: UUID, merge_id: UUID, status: int) -> Response:
    """The merge, with the ETag that the surviving customer has when everything has followed."""
    await settle(session)
    found: dict[str, Any] = await read_merge(await session.connection(), merge_id)
    version = await session.scalar(select(Customer.version).where(Customer.id == customer_id))
    return json_response(found, status, {"ETag": etag(version or 0)})


@router.post(
    "/merge",
    status_code=201,
    response_model=MergeRead,
    summary="Merge a duplicate into a customer",
    responses=problems(*_CHANGE, "merge_not_allowed"),
)
async def merge_customer(
    customer_id: UUID, body: MergeCreate, session: SessionDep, now: NowDep, principal: Writer, if_match: IfMatch = None
) -> Response:
    """The duplicate's external ids and signals become this customer's, who is then judged once; the profile stays.

    `If-Match` and the ETag of the answer are this customer's. 409 `merge_not_allowed` lists `blockers`, each with `code`:
    already_merged, is_merged, has_duplicates, different_kind, or hold, with the `hold` that only the duplicate has.
    """
    rows = await take(session, [customer_id, body.duplicate_id])
    require_match(if_match, rows[customer_id].version)
    wanted = Wanted(customer_id, body.duplicate_id, body.reason)
    [merge_id] = await merge(session, [wanted], now, actor=principal.actor)
    return await _answer(session, customer_id, merge_id, 201)


@router.get(
    "/merges",
    response_model=MergeList,
    summary="List a customer's merges",
    responses=problems("not_found", "erased"),
)
async def list_customer_merges(customer_id: UUID, connection: ReadDep, _: Reader) -> Response:
    """Newest first, undone ones too; also those in which this customer was the duplicate."""
    return json_response({"items": await list_merges(connection, customer_id)})


@router.post(
    "/merges/{merge_id}/undo",
    response_model=MergeRead,
    summary="Undo a merge",
    responses=problems(*_CHANGE, "merge_undone"),
)
async def undo_merge(
    customer_id: UUID,
    merge_id: UUID,
    body: MergeUndo,
    session: SessionDep,
    now: NowDep,
    principal: Writer,
    if_match: IfMatch = None,
) -> Response:
    """The duplicate gets back what came with it and what was sent for it since, and lives on; both are judged once.

    `If-Match` and the ETag of the answer are the surviving customer's.
    """
    found = await find_merge(session, customer_id, merge_id)
    rows = await take(session, [customer_id, found.duplicate_id])
    require_match(if_match, rows[customer_id].version)
    await undo(session, [found], now, actor=principal.actor, reason=body.reason)
    return await _answer(session, customer_id, merge_id, 200)
