"""Actions, messages and playbooks over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import select

from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.reading import refuse_missing
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
    unchanged,
)
from app.playbooks.models import PlaybookRow
from app.playbooks.schemas import (
    ActionCancel,
    ActionComplete,
    ActionPage,
    ActionQuery,
    ActionRead,
    CustomerActionQuery,
    MessagePage,
    MessageQuery,
    MessageRead,
    PlaybookList,
    PlaybookRead,
)
from app.playbooks.service import read_playbook
from app.playbooks.worklist import cancel, complete, mark_read, page_of_actions, page_of_messages, read_action

router = APIRouter(prefix="/v1", route_class=StrictRoute)

Reader = Annotated[Principal, needs("actions:read")]
Writer = Annotated[Principal, needs("actions:write")]
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
_CHANGE = problems("malformed_json", "not_found", "action_not_open", "conflict", "stale", "precondition_required")


def _action(action: dict[str, Any]) -> Response:
    return json_response(action, 200, {"ETag": etag(action["version"])})


def _page(items: list[dict[str, Any]], cursor: str | None) -> Response:
    return json_response({"items": items, "next_cursor": cursor})


@router.get(
    "/actions",
    response_model=ActionPage,
    tags=["Actions"],
    summary="List actions",
    responses=problems("invalid_cursor"),
)
async def list_actions(query: Annotated[ActionQuery, Query()], connection: ReadDep, _: Reader) -> Response:
    """The soonest due first. An adviser's work list: `owner=...&kind=task&state=planned&state=claimed`."""
    return _page(*await page_of_actions(connection, query))


@router.get(
    "/actions/{action_id}",
    response_model=ActionRead,
    tags=["Actions"],
    summary="Read an action",
    responses={**problems("not_found"), 304: {"description": "Unchanged since the ETag sent"}},
)
async def get_action(action_id: UUID, connection: ReadDep, _: Reader, if_none_match: IfNoneMatch = None) -> Response:
    """The ETag of the answer is what completing and cancelling must send as `If-Match`."""
    action = await read_action(connection, action_id)
    if unchanged(if_none_match, action["version"]):
        return Response(status_code=304, headers={"ETag": etag(action["version"])})
    return _action(action)


@router.post(
    "/actions/{action_id}/complete",
    response_model=ActionRead,
    tags=["Actions"],
    summary="Complete a task",
    responses=_CHANGE,
)
async def complete_action(
    action_id: UUID,
    body: ActionComplete,
    session: SessionDep,
    now: NowDep,
    principal: Writer,
    if_match: IfMatch = None,
) -> Response:
    """A task is done with its outcome, on its day or before. The next one of a series is planned."""
    await complete(session, action_id, if_match, now, outcome=body.outcome, note=body.note, by=principal.actor)
    return _action(await read_action(await session.connection(), action_id))


@router.post(
    "/actions/{action_id}/cancel",
    response_model=ActionRead,
    tags=["Actions"],
    summary="Cancel an action",
    responses=_CHANGE,
)
async def cancel_action(
    action_id: UUID,
    body: ActionCancel,
    session: SessionDep,
    now: NowDep,
    principal: Writer,
    if_match: IfMatch = None,
) -> Response:
    """Calls off this occurrence alone: the next one of a series is planned."""
    await cancel(session, action_id, if_match, now, reason=body.reason, by=principal.actor)
    return _action(await read_action(await session.connection(), action_id))


@router.get(
    "/customers/{customer_id}/actions",
    response_model=ActionPage,
    tags=["Actions"],
    summary="List a customer's actions",
    responses=problems("not_found", "erased", "invalid_cursor"),
)
async def list_customer_actions(
    customer_id: UUID, query: Annotated[CustomerActionQuery, Query()], connection: ReadDep, _: Reader
) -> Response:
    """Past and coming ones, the soonest due first, or with `sort=-due_at` the latest."""
    await refuse_missing(connection, customer_id)
    return _page(*await page_of_actions(connection, query, customer_id))


@router.get(
    "/customers/{customer_id}/messages",
    response_model=MessagePage,
    tags=["Messages"],
    summary="Read a customer's inbox",
    responses=problems("not_found", "erased", "invalid_cursor"),
)
async def list_customer_messages(
    customer_id: UUID, query: Annotated[MessageQuery, Query()], connection: ReadDep, _: Reader
) -> Response:
    """In-app messages, newest first."""
    await refuse_missing(connection, customer_id)
    return _page(*await page_of_messages(connection, customer_id, query))


@router.post(
    "/messages/{message_id}/read",
    response_model=MessageRead,
    tags=["Messages"],
    summary="Mark a message as read",
    responses=problems("not_found"),
)
async def mark_message_read(message_id: UUID, session: SessionDep, now: NowDep, _: Writer) -> Response:
    """Notes the first time; may be repeated."""
    return json_response(await mark_read(session, message_id, now))


@router.get(
    "/playbooks", response_model=PlaybookList, tags=["Playbooks"], summary="List playbooks", responses=problems()
)
async def list_playbooks(connection: ReadDep, _: Reader) -> Response:
    """All versions, newest first; the newest published one is in force for intervals that begin now."""
    columns = (PlaybookRow.version, PlaybookRow.name, PlaybookRow.status, PlaybookRow.published_at)
    rows = (await connection.execute(select(*columns).order_by(PlaybookRow.version.desc()))).mappings()
    return json_response({"items": [dict(row) for row in rows]})


@router.get(
    "/playbooks/{version}",
    response_model=PlaybookRead,
    tags=["Playbooks"],
    summary="Read a playbook",
    responses=problems("not_found"),
)
async def get_playbook(version: Version, connection: ReadDep, _: Reader) -> Response:
    """Every action of this version. Published versions never change."""
    return json_response(await read_playbook(connection, version))
