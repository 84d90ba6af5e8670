"""Answers that are put together from several domains, over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.reading import refuse_missing
from app.deps import NowDep, SessionDep, SettingsDep, StrictRoute, json_response, problems
from app.lifecycle.batch_schemas import BatchTransitionCreate
from app.lifecycle.batches import chosen
from app.views.previews import preview_moves
from app.views.schemas import TransitionPreview, TransitionPreviewAsk

router = APIRouter(prefix="/v1", tags=["Lifecycle"], route_class=StrictRoute)

Override = Annotated[Principal, needs("lifecycle:override")]


@router.post(
    "/lifecycle/batch-transitions/preview",
    response_model=TransitionPreview,
    summary="Preview moving many customers by hand",
    responses=problems("malformed_json"),
)
async def preview_batch_transitions(
    body: BatchTransitionCreate, session: SessionDep, now: NowDep, settings: SettingsDep, _: Override
) -> Response:
    """What the same request to `/v1/lifecycle/batch-transitions` would do to the customers as they stand now.

    Nothing is written. A customer whom time alone is about to move is shown where they stand.
    """
    ids = await chosen(session, body)
    return json_response(await preview_moves(session, ids, body.to, body.playbook_mode, now, settings.tz))


@router.post(
    "/customers/{customer_id}/transitions/preview",
    response_model=TransitionPreview,
    summary="Preview moving a customer by hand",
    responses=problems("malformed_json", "not_found", "erased"),
)
async def preview_transition(
    customer_id: UUID, body: TransitionPreviewAsk, session: SessionDep, now: NowDep, settings: SettingsDep, _: Override
) -> Response:
    """What a move by hand would do to the customer as they stand now: what would start and end. Nothing is written."""
    await refuse_missing(await session.connection(), customer_id)
    return json_response(await preview_moves(session, [customer_id], body.to, "full", now, settings.tz))
