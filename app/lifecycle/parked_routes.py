"""Signals that wait for their customer, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy import delete, select

from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.models import ExternalId
from app.deps import NowDep, ReadDep, SessionDep, SettingsDep, StrictRoute, json_response, problems
from app.errors import not_found
from app.lifecycle.models import ParkedSignal
from app.lifecycle.parked_schemas import (
    ParkedReceipt,
    ParkedReplay,
    ParkedSignalKey,
    ParkedSignalPage,
    ParkedSignalQuery,
)
from app.lifecycle.parking import REPLAYED_AT_ONCE, count_unrefused, page_of_parked
from app.lifecycle.saving import transition_row
from app.lifecycle.unparking import replay

router = APIRouter(prefix="/v1/parked-signals", tags=["Signals"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("lifecycle:read")]
Sender = Annotated[Principal, needs("signals:write")]


@router.get("", response_model=ParkedSignalPage, summary="List parked signals", responses=problems("invalid_cursor"))
async def list_parked_signals(
    query: Annotated[ParkedSignalQuery, Query()], connection: ReadDep, now: NowDep, _: Reader
) -> Response:
    """Signals of external ids that nobody has: `waiting` for 72 hours, then `expired`; `refused` when replayed.

    Those that expire last come first. What expired is kept for 90 days.
    """
    items, cursor = await page_of_parked(connection, query, now)
    return json_response({"items": items, "next_cursor": cursor})


@router.post(
    "/replay",
    response_model=ParkedReceipt,
    summary="Try parked signals again",
    responses=problems("malformed_json"),
)
async def replay_parked_signals(
    body: ParkedReplay, session: SessionDep, now: NowDep, settings: SettingsDep, _: Sender
) -> Response:
    """Records what is parked for these external ids now that somebody has them, also what expired or was refused."""
    found = await session.scalars(select(ExternalId.external_id).where(ExternalId.external_id.in_(body.external_ids)))
    known = set(found)
    tried = await replay(session, sorted(known), now, settings.tz, ended=True, limit=REPLAYED_AT_ONCE)
    results = [
        {
            "source": signal.source,
            "source_event_id": signal.source_event_id,
            "external_id": signal.external_id,
            "status": outcome.status,
            "customer_id": outcome.customer_id,
            "code": outcome.code,
            "detail": outcome.detail,
        }
        for signal, outcome in zip(tried.signals, tried.outcomes, strict=True)
    ]
    return json_response(
        {
            "results": results,
            "transitions": [transition_row(change, now) for change in tried.changes],
            "unknown_external_ids": [external for external in body.external_ids if external not in known],
            "remaining": await count_unrefused(session, sorted(known)),
        }
    )


@router.delete("", status_code=204, summary="Delete a parked signal", responses=problems("not_found"))
async def delete_parked_signal(key: Annotated[ParkedSignalKey, Query()], session: SessionDep, _: Sender) -> None:
    """The signal is not replayed. Its source may send it again, as if it had never been sent."""
    gone = await session.execute(
        delete(ParkedSignal)
        .where(ParkedSignal.source == key.source, ParkedSignal.source_event_id == key.source_event_id)
        .returning(ParkedSignal.source)
    )
    if gone.first() is None:
        raise not_found("parked signal")
