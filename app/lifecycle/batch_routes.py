"""Moves of many customers by hand, over HTTP. What they would do: app.views.routes."""

from typing import Annotated

from fastapi import APIRouter, Response

from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import NowDep, SessionDep, StrictRoute, problems
from app.lifecycle.batch_schemas import BatchTransitionCreate
from app.lifecycle.batches import begin_batch
from app.operations.reading import read_operation
from app.operations.routes import accepted
from app.operations.schemas import OperationRead

router = APIRouter(prefix="/v1/lifecycle/batch-transitions", tags=["Lifecycle"], route_class=StrictRoute)

Override = Annotated[Principal, needs("lifecycle:override")]


@router.post(
    "",
    status_code=202,
    response_model=OperationRead,
    summary="Move many customers by hand",
    responses=problems("malformed_json"),
)
async def create_batch_transitions(
    body: BatchTransitionCreate, session: SessionDep, now: NowDep, principal: Override
) -> Response:
    """An operation that moves each customer as a single move by hand would, and pins the stage for 30 days.

    Its items say for each customer, in the order given or by id: `moved` (transition_id, sequence, from, to), `blocked`
    (blockers, and as `code` the first of them) or `missing`. Who matches a filter is settled when it begins. Cancelled,
    it ends between two pieces of 500 customers; those who were moved stay moved.
    """
    operation_id = await begin_batch(session, body, principal.actor, now)
    return accepted(await read_operation(session, operation_id))
