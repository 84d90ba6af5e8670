"""Signals, stages and policies over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import (
    NowDep,
    ReadDep,
    SessionDep,
    SettingsDep,
    StrictRoute,
    json_response,
    problems,
)
from app.lifecycle import reading, time_in_stage
from app.lifecycle.explaining.schemas import IntervalList, LifecycleOverview, LifecycleRead
from app.lifecycle.explaining.wording import Voice, language_of
from app.lifecycle.parking import Offered
from app.lifecycle.saving import transition_row
from app.lifecycle.schemas import (
    SignalBatch,
    SignalPage,
    SignalQuery,
    SignalReceipt,
    TransitionPage,
)
from app.lifecycle.service import record_signals
from app.pagination import PageQuery

router = APIRouter(prefix="/v1", tags=["Lifecycle"], route_class=StrictRoute)
signals_router = APIRouter(prefix="/v1", tags=["Signals"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("lifecycle:read")]
Sender = Annotated[Principal, needs("signals:write")]
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
    """Why here, what next, what blocks it, in words too: every rule of the stage, every condition with its actual value.

    `Accept-Language` chooses the language of the texts, with weights if there are several; English if neither is wanted.
    """
    voice = Voice(language_of(language), settings.currency, settings.tz)
    return json_response(await reading.explain_customer(connection, customer_id, now, voice))


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


@router.get(
    "/customers/{customer_id}/intervals",
    response_model=IntervalList,
    summary="List a customer's stays in stages",
    responses=problems("not_found", "erased"),
)
async def list_customer_intervals(
    customer_id: UUID, connection: ReadDep, now: NowDep, settings: SettingsDep, _: Reader
) -> Response:
    """Oldest first, without gaps."""
    return json_response({"items": await reading.list_intervals(connection, customer_id, now, settings.tz)})


@router.get(
    "/lifecycle/overview", response_model=LifecycleOverview, summary="Count customers by stage", responses=problems()
)
async def get_lifecycle_overview(connection: ReadDep, now: NowDep, settings: SettingsDep, _: Reader) -> Response:
    """How many customers each stage has, for how long, and how many of them longer than the policy expects."""
    return json_response(await time_in_stage.overview(connection, now, settings.tz))
