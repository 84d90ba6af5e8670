"""Simulations over HTTP: what another policy would have done, on everybody, without touching anybody."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import NowDep, ReadDep, SessionDep, StrictRoute, json_response, problems
from app.errors import not_found
from app.operations.reading import page_of_items, read_operation
from app.operations.routes import accepted
from app.operations.schemas import OperationItemQuery, OperationRead
from app.operations.service import begin
from app.simulations.asking import KIND, checked
from app.simulations.schemas import (
    SimulationCreate,
    SimulationDifferencePage,
    SimulationDifferenceQuery,
    SimulationRead,
)

router = APIRouter(prefix="/v1/lifecycle/simulations", tags=["Simulations"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("lifecycle:read")]
Runner = Annotated[Principal, needs("simulations:run")]

_ASKED = ("policy_version", "policy_name", "from", "to", "knowledge", "filter")
_RUN = ("id", "status", "progress", "result", "error", "actor", "created_at", "started_at", "finished_at")


@router.post(
    "",
    status_code=202,
    response_model=OperationRead,
    summary="Simulate a policy",
    responses=problems("malformed_json"),
)
async def create_simulation(body: SimulationCreate, session: SessionDep, now: NowDep, principal: Runner) -> Response:
    """Replay history under other rules, or under those that applied. Nothing live is written.

    The rules that are tried apply from `from` on; before that, those that did. What people did by hand is done again.
    The answer is an operation, and `Location` the simulation: ask for that until it has succeeded.
    """
    params, state = await checked(session, body, now)
    operation_id = await begin(session, KIND, params, principal.actor, now, state=state)
    return accepted(await read_operation(session, operation_id), at="/v1/lifecycle/simulations")


@router.get(
    "/{simulation_id}",
    response_model=SimulationRead,
    summary="Read a simulation",
    responses=problems("not_found"),
)
async def get_simulation(simulation_id: UUID, connection: ReadDep, _: Reader) -> Response:
    """Its progress and, once it succeeded, what would have been different."""
    found = await _simulation(connection, simulation_id)
    asked = {name: found["params"][name] for name in _ASKED}
    return json_response({**{name: found[name] for name in _RUN}, **asked})


@router.get(
    "/{simulation_id}/customers",
    response_model=SimulationDifferencePage,
    summary="List customers who differ",
    responses=problems("not_found", "invalid_cursor"),
)
async def list_simulation_differences(
    simulation_id: UUID, query: Annotated[SimulationDifferenceQuery, Query()], connection: ReadDep, _: Reader
) -> Response:
    """Each with the steps of both ways, and the rule and the facts with which they part."""
    await _simulation(connection, simulation_id)
    wanted = OperationItemQuery(limit=query.limit, cursor=query.cursor)
    items, cursor = await page_of_items(connection, simulation_id, wanted)
    differences = [{"customer_id": item["customer_id"], **item["data"]} for item in items]
    return json_response({"items": differences, "next_cursor": cursor})


async def _simulation(connection: ReadDep, simulation_id: UUID) -> dict[str, Any]:
    found = await read_operation(connection, simulation_id)
    if found["kind"] != KIND:
        raise not_found("simulation")
    return found
