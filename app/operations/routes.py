"""Long-running work over HTTP: where it is, what came of it, and how to stop it."""

from hashlib import blake2b
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.auth.deps import needs
from app.auth.keys import allowed
from app.auth.service import Principal
from app.db import settle
from app.deps import IfNoneMatch, NowDep, ReadDep, SessionDep, StrictRoute, etag, json_response, problems, unchanged
from app.errors import Problem
from app.operations import service
from app.operations.reading import page_of_items, page_of_operations, read_operation
from app.operations.schemas import (
    OperationItemPage,
    OperationItemQuery,
    OperationPage,
    OperationQuery,
    OperationRead,
)

router = APIRouter(prefix="/v1/operations", tags=["Operations"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("operations:read")]
Writer = Annotated[Principal, needs("operations:write")]


def accepted(operation: dict[str, Any], *, at: str = "/v1/operations") -> Response:
    """The answer of a route that began an operation: 202, where to ask for it, and the operation as it is."""
    return json_response(operation, 202, {"Location": f"{at}/{operation['id']}"})


def _answer(operation: dict[str, Any]) -> Response:
    answer = json_response(operation)
    # Every piece of work changes the answer, so the answer itself is its version.
    answer.headers["ETag"] = etag(blake2b(answer.body, digest_size=12).hexdigest())
    return answer


@router.get("", response_model=OperationPage, summary="List operations", responses=problems("invalid_cursor"))
async def list_operations(query: Annotated[OperationQuery, Query()], connection: ReadDep, _: Reader) -> Response:
    """Newest first."""
    items, cursor = await page_of_operations(connection, query)
    return json_response({"items": items, "next_cursor": cursor})


@router.get(
    "/{operation_id}",
    response_model=OperationRead,
    summary="Read an operation",
    responses={**problems("not_found"), 304: {"description": "Unchanged since the ETag sent"}},
)
async def get_operation(
    operation_id: UUID, connection: ReadDep, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """Ask again until `finished_at` is set, or listen for the event `operation.finished`."""
    answer = _answer(await read_operation(connection, operation_id))
    if unchanged(if_none_match, answer.headers["ETag"].strip('"')):
        return Response(status_code=304, headers={"ETag": answer.headers["ETag"]})
    return answer


@router.post(
    "/{operation_id}/cancel",
    response_model=OperationRead,
    summary="Cancel an operation",
    responses=problems("not_found", "operation_finished"),
)
async def cancel_operation(operation_id: UUID, session: SessionDep, now: NowDep, _: Writer) -> Response:
    """What nobody works on ends at once; otherwise the piece of work under way is undone, and then it ends.

    What was done before stays done: `progress` and the items tell how far it came. Asking again changes nothing. If the
    last piece is done first, the operation succeeds all the same.
    """
    await service.cancel(session, operation_id, now)
    await settle(session)
    return _answer(await read_operation(session, operation_id))


@router.get(
    "/{operation_id}/items",
    response_model=OperationItemPage,
    summary="List what came of each item",
    responses=problems("not_found", "invalid_cursor"),
)
async def list_operation_items(
    operation_id: UUID, query: Annotated[OperationItemQuery, Query()], connection: ReadDep, principal: Reader
) -> Response:
    """One item for each customer or row of the input, in its order; more come while the operation runs.

    Items tell of customers, so the key also needs the scope for what they tell, such as `lifecycle:read`.
    """
    kind = (await read_operation(connection, operation_id))["kind"]
    scope = service.ITEM_SCOPES.get(kind, "all")
    if not allowed(principal.scopes, scope):
        raise Problem("forbidden", f"This needs the scope {scope}.")
    items, cursor = await page_of_items(connection, operation_id, query)
    return json_response({"items": items, "next_cursor": cursor})
