"""Signals, stages and policies over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from sqlalchemy import select

from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.models import Customer
from app.customers.reading import refuse_missing
from app.deps import (
    IfMatch,
    NowDep,
    ReadDep,
    SessionDep,
    SettingsDep,
    StrictRoute,
    etag,
    json_response,
    problems,
    require_match,
)
from app.errors import not_found
from app.lifecycle import reading
from app.lifecycle.lives import move_by_hand
from app.lifecycle.models import LifecyclePolicy
from app.lifecycle.parking import Offered
from app.lifecycle.saving import transition_row
from app.lifecycle.schemas import (
    IntervalList,
    LifecycleRead,
    PolicyList,
    PolicyRead,
    SignalBatch,
    SignalPage,
    SignalQuery,
    SignalReceipt,
    TransitionCreate,
    TransitionPage,
    TransitionRead,
)
from app.lifecycle.service import record_signals
from app.pagination import PageQuery

router = APIRouter(prefix="/v1", tags=["Lifecycle"], route_class=StrictRoute)
signals_router = APIRouter(prefix="/v1", tags=["Signals"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("lifecycle:read")]
Sender = Annotated[Principal, needs("signals:write")]
Override = Annotated[Principal, needs("lifecycle:override")]
Language = Annotated[str, Header(alias="Accept-Language", max_length=200, description="zh or en")]


@signals_router.post(
    "/signals", response_model=SignalReceipt, summary="Send signals", responses=problems("malformed_json")
)
async def receive_signals(
    body: SignalBatch, session: SessionDep, now: NowDep, settings: SettingsDep, _: Sender
) -> Response:
    """Store up to 1,000 signals and move the customers whose rules hold, in one transaction.

    Sending a batch again is safe: a known (source, source_event_id) is answered as duplicate and counts once.
    """
    offered = [
        Offered(s.customer.id, s.customer.external_id, s.source, s.source_event_id, s.type, s.occurred_at, s.payload)
        for s in body.signals
    ]
    outcomes, changes = await record_signals(session, offered, now, settings.tz)
    results = [{"status": o.status, "customer_id": o.customer_id, "code": o.code, "detail": o.detail} for o in outcomes]
    return json_response({"results": results, "transitions": [transition_row(change, now) for change in changes]})


@signals_router.get(
    "/customers/{customer_id}/signals",
    response_model=SignalPage,
    summary="List a customer's signals",
    responses=problems("not_found", "erased", "invalid_cursor"),
)
async def list_customer_signals(
    customer_id: UUID, query: Annotated[SignalQuery, Query()], connection: ReadDep, _: Reader
) -> Response:
    """Latest occurrence first, with both times."""
    items, cursor = await reading.list_signals(connection, customer_id, query)
    return json_response({"items": items, "next_cursor": cursor})


@router.get(
    "/customers/{customer_id}/lifecycle",
    response_model=LifecycleRead,
    summary="Explain a customer's stage",
    responses=problems("not_found", "erased"),
)
async def explain_lifecycle(
    customer_id: UUID,
    connection: ReadDep,
    now: NowDep,
    settings: SettingsDep,
    _: Reader,
    language: Language = "en",
) -> Response:
    """Why here, what next, what blocks it: every rule of the stage, every condition with its actual value."""
    return json_response(await reading.explain_customer(connection, customer_id, now, settings.tz, language))


@router.get(
    "/customers/{customer_id}/transitions",
    response_model=TransitionPage,
    summary="List a customer's transitions",
    responses=problems("not_found", "erased", "invalid_cursor"),
)
async def list_customer_transitions(
    customer_id: UUID, query: Annotated[PageQuery, Query()], connection: ReadDep, _: Reader
) -> Response:
    """Newest first; each with its rule, facts and policy version."""
    items, cursor = await reading.list_transitions(connection, customer_id, query)
    return json_response({"items": items, "next_cursor": cursor})


@router.post(
    "/customers/{customer_id}/transitions",
    status_code=201,
    response_model=TransitionRead,
    summary="Move a customer by hand",
    responses=problems(
        "malformed_json", "not_found", "erased", "transition_not_allowed", "stale", "precondition_required"
    ),
)
async def create_transition(
    customer_id: UUID,
    body: TransitionCreate,
    session: SessionDep,
    now: NowDep,
    settings: SettingsDep,
    principal: Override,
    if_match: IfMatch = None,
) -> Response:
    """`If-Match` is the customer's ETag. The stage is pinned for 30 days against all rules but those for leaving."""
    customer = await session.get(Customer, customer_id, with_for_update={"key_share": True})
    if customer is None:
        await refuse_missing(await session.connection(), customer_id)
    assert customer is not None
    require_match(if_match, customer.version)
    after = customer.version + 1
    change = await move_by_hand(session, customer_id, body.to, body.reason, principal.actor, now, settings.tz)
    return json_response(transition_row(change, now), 201, {"ETag": etag(after)})


@router.get(
    "/customers/{customer_id}/intervals",
    response_model=IntervalList,
    summary="List a customer's stays in stages",
    responses=problems("not_found", "erased"),
)
async def list_customer_intervals(customer_id: UUID, connection: ReadDep, now: NowDep, _: Reader) -> Response:
    """Oldest first, without gaps."""
    return json_response({"items": await reading.list_intervals(connection, customer_id, now)})


@router.get(
    "/lifecycle/policies", response_model=PolicyList, summary="List versions of the policy", responses=problems()
)
async def list_policies(connection: ReadDep, _: Reader) -> Response:
    """Newest first; the published one with the highest version is in force."""
    table = LifecyclePolicy.__table__
    rows = await connection.execute(
        select(*(c for c in table.c if c.name not in ("body", "digest"))).order_by(table.c.version.desc())
    )
    return json_response({"items": [dict(row) for row in rows.mappings()]})


@router.get(
    "/lifecycle/policies/{version}",
    response_model=PolicyRead,
    summary="Read a version of the policy",
    responses=problems("not_found"),
)
async def get_policy(version: Annotated[int, Path(ge=1, le=2**31 - 1)], connection: ReadDep, _: Reader) -> Response:
    """The whole document: every rule with its conditions and the reason for its numbers."""
    table = LifecyclePolicy.__table__
    row = (await connection.execute(select(table).where(table.c.version == version))).mappings().first()
    if row is None:
        raise not_found("policy version")
    document = {key: value for key, value in row.items() if key not in ("body", "digest")}
    return json_response({**document, "document": row["body"]})
