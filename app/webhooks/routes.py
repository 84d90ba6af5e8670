"""Webhook endpoints and the feed of events over HTTP."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Body, Query, Response

from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import (
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
from app.pagination import PageQuery, decode_cursor, encode_cursor
from app.webhooks import service
from app.webhooks.catalogue import matching
from app.webhooks.event_log import message_id, read_feed
from app.webhooks.models import WebhookEndpoint
from app.webhooks.schemas import (
    DeliveryPage,
    DeliveryQuery,
    EventPage,
    EventQuery,
    TestEventAccepted,
    WebhookEndpointCreate,
    WebhookEndpointCreated,
    WebhookEndpointPage,
    WebhookEndpointPatch,
    WebhookEndpointRead,
)
from app.webhooks.sending import address_policy

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["Webhooks"], route_class=StrictRoute)
events_router = APIRouter(prefix="/v1/events", tags=["Events"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("webhooks:read")]
Writer = Annotated[Principal, needs("webhooks:write")]
EventReader = Annotated[Principal, needs("events:read")]

_FARTHEST = 2**62  # a cursor is opaque but not sealed: what does not fit a bigint must not reach the database


def _shape(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {column.name: getattr(endpoint, column.name) for column in service.READ_COLUMNS}


def _answer(endpoint: Mapping[str, Any], status: int = 200, **headers: str) -> Response:
    return json_response(endpoint, status, {"ETag": etag(endpoint["version"]), **headers})


def _page(items: list[dict[str, Any]], limit: int, fingerprint: str) -> Response:
    """A page of at most `limit` of `items`, of which one more may have been read; newest id first."""
    cursor = encode_cursor(fingerprint, str(items[limit - 1]["id"])) if len(items) > limit else None
    return json_response({"items": items[:limit], "next_cursor": cursor})


def _before(query: PageQuery, fingerprint: str) -> UUID | None:
    if query.cursor is None:
        return None
    before: UUID = decode_cursor(fingerprint, query.cursor, (UUID,))[0]
    return before


@router.post(
    "",
    status_code=201,
    response_model=WebhookEndpointCreated,
    summary="Create a webhook endpoint",
    responses=problems("malformed_json", "address_refused"),
)
async def create_webhook_endpoint(
    body: WebhookEndpointCreate, session: SessionDep, settings: SettingsDep, now: NowDep, _: Writer
) -> Response:
    """It gets the events from now on. The answer holds its secret, which cannot be read again."""
    created = await service.create_endpoint(
        session,
        url=body.url,
        event_types=body.event_types,
        description=body.description,
        policy=address_policy(settings),
        now=now,
    )
    shape = {**_shape(created), "secret": created.secret}
    return _answer(shape, 201, Location=f"/v1/webhook-endpoints/{created.id}")


@router.get(
    "", response_model=WebhookEndpointPage, summary="List webhook endpoints", responses=problems("invalid_cursor")
)
async def list_webhook_endpoints(query: Annotated[PageQuery, Query()], connection: ReadDep, _: Reader) -> Response:
    """Newest first."""
    fingerprint = query.fingerprint("webhook-endpoints")
    items = await service.list_endpoints(connection, query.limit + 1, _before(query, fingerprint))
    return _page(items, query.limit, fingerprint)


@router.get(
    "/{endpoint_id}",
    response_model=WebhookEndpointRead,
    summary="Read a webhook endpoint",
    responses={**problems("not_found"), 304: {"description": "Unchanged since the ETag sent"}},
)
async def get_webhook_endpoint(
    endpoint_id: UUID, connection: ReadDep, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """The ETag of the answer is what a change must send as `If-Match`."""
    endpoint = await service.read_endpoint(connection, endpoint_id)
    if unchanged(if_none_match, endpoint["version"]):
        return Response(status_code=304, headers={"ETag": etag(endpoint["version"])})
    return _answer(endpoint)


@router.patch(
    "/{endpoint_id}",
    response_model=WebhookEndpointRead,
    summary="Change a webhook endpoint",
    responses=problems("malformed_json", "not_found", "stale", "precondition_required", "address_refused"),
)
async def update_webhook_endpoint(
    endpoint_id: UUID,
    body: Annotated[WebhookEndpointPatch, Body(media_type="application/merge-patch+json")],
    session: SessionDep,
    settings: SettingsDep,
    now: NowDep,
    _: Writer,
    if_match: IfMatch = None,
) -> Response:
    """JSON merge patch: absent keeps, null clears. Enabled again, it goes on where it stopped."""
    endpoint = await service.lock_endpoint(session, endpoint_id)
    require_match(if_match, endpoint.version)
    await service.patch_endpoint(session, endpoint, body.model_dump(), address_policy(settings), now)
    return _answer(_shape(endpoint))


@router.delete(
    "/{endpoint_id}",
    status_code=204,
    summary="Delete a webhook endpoint",
    responses=problems("not_found", "stale", "precondition_required"),
)
async def delete_webhook_endpoint(endpoint_id: UUID, session: SessionDep, _: Writer, if_match: IfMatch = None) -> None:
    """Nothing more is sent, retries included."""
    endpoint = await service.lock_endpoint(session, endpoint_id)
    require_match(if_match, endpoint.version)
    await service.delete_endpoint(session, endpoint_id)


@router.post(
    "/{endpoint_id}/test",
    status_code=202,
    summary="Send a test event",
    responses=problems("not_found", "conflict"),
)
async def send_test_event(endpoint_id: UUID, session: SessionDep, now: NowDep, _: Writer) -> TestEventAccepted:
    """An `endpoint.test` for this endpoint alone, whatever its filter; the deliveries show what came of it."""
    endpoint = await service.lock_endpoint(session, endpoint_id)
    return TestEventAccepted(event_id=await service.send_test(session, endpoint, now))


@router.get(
    "/{endpoint_id}/deliveries",
    response_model=DeliveryPage,
    summary="List attempts to deliver",
    responses=problems("not_found", "invalid_cursor"),
)
async def list_deliveries(
    endpoint_id: UUID, query: Annotated[DeliveryQuery, Query()], connection: ReadDep, _: Reader
) -> Response:
    """Every attempt, newest first: status, duration, the beginning of the answer."""
    await service.read_endpoint(connection, endpoint_id)
    fingerprint = query.fingerprint(f"deliveries/{endpoint_id}")
    rows = await service.list_attempts(
        connection,
        endpoint_id,
        query.limit + 1,
        _before(query, fingerprint),
        outcomes=query.outcome,
        event_id=UUID(query.event_id.removeprefix("evt_")) if query.event_id else None,
    )
    items = [{**row, "event_id": message_id(row["event_id"])} for row in rows]
    for item in items:
        del item["endpoint_id"]
    return _page(items, query.limit, fingerprint)


@events_router.get("", response_model=EventPage, summary="List events", responses=problems("invalid_cursor"))
async def list_events(query: Annotated[EventQuery, Query()], connection: ReadDep, _: EventReader) -> Response:
    """The feed of everything that webhooks deliver, oldest first, to poll: nothing is skipped and nothing comes twice.

    Read until `next_cursor` is null, keep `resume_cursor`, and go on from it later.
    """
    service.refuse_unknown_types(query.type, "type")
    fingerprint = query.fingerprint("events")
    after = min(decode_cursor(fingerprint, query.cursor, (int,))[0], _FARTHEST) if query.cursor else 0
    types = matching(query.type) if query.type else None
    page = await read_feed(connection, after, query.limit, types, query.customer_id)
    reached = orjson.dumps(encode_cursor(fingerprint, page.reached)).decode()
    body = (
        f'{{"items":[{",".join(page.bodies)}],'
        f'"next_cursor":{reached if page.more else "null"},"resume_cursor":{reached}}}'
    )
    return Response(body.encode(), media_type="application/json")
