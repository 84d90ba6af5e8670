"""Effects of versions and frontiers over HTTP. Nothing is written."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from app.allocation.effects.comparing import effect
from app.allocation.effects.frontiers import frontiers
from app.allocation.effects.schemas import EffectQuery, EffectRead, FrontierList, FrontierQuery
from app.allocation.engine.problems import InvalidDocument
from app.allocation.versions.drafts import as_fields
from app.allocation.versions.reading import ComputedKind, as_if_published
from app.allocation.versions.store import in_force
from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import ReadDep, StrictRoute, json_response, problems
from app.errors import Problem

router = APIRouter(prefix="/v1/allocation", tags=["Allocation"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("allocation:read")]
VersionPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
People = Annotated[EffectQuery, Query()]
_RESPONSES = problems("not_found", "conflict")


async def _effect(connection: ReadDep, kind: ComputedKind, version: int, query: EffectQuery) -> Response:
    before, after = await as_if_published(connection, kind, version)
    try:
        found = await asyncio.to_thread(effect, before, after, query)
    except InvalidDocument as error:
        raise _unusable(error) from error
    return json_response({"kind": kind, "version": version, **found})


def _unusable(error: InvalidDocument) -> Problem:
    detail = "The version does not go together with what is in force."
    return Problem("conflict", detail, as_fields(error.problems))


@router.get(
    "/assumption-sets/{version}/effect",
    response_model=EffectRead,
    summary="Show what publishing assumptions would do",
    responses=_RESPONSES,
)
async def get_assumption_set_effect(version: VersionPath, query: People, connection: ReadDep, _: Reader) -> Response:
    """Expected returns and model portfolios before and after, with the views and the policy in force."""
    return await _effect(connection, "assumptions", version, query)


@router.get(
    "/views/{version}/effect",
    response_model=EffectRead,
    summary="Show what publishing views would do",
    responses=_RESPONSES,
)
async def get_views_effect(version: VersionPath, query: People, connection: ReadDep, _: Reader) -> Response:
    """What the views add to the expected return of each asset class, and to the model portfolios."""
    return await _effect(connection, "views", version, query)


@router.get(
    "/policies/{version}/effect",
    response_model=EffectRead,
    summary="Show what publishing an allocation policy would do",
    responses=_RESPONSES,
)
async def get_allocation_policy_effect(version: VersionPath, query: People, connection: ReadDep, _: Reader) -> Response:
    """Model portfolios before and after, with the assumptions and the views in force."""
    return await _effect(connection, "policy", version, query)


@router.get(
    "/frontiers",
    response_model=FrontierList,
    summary="Compute efficient frontiers to plot",
    responses=_RESPONSES,
)
async def list_frontiers(query: Annotated[FrontierQuery, Query()], connection: ReadDep, _: Reader) -> Response:
    """Corners and points of the exact frontier for people of a segment, stage and age, with the limits that shape it.

    With `version` under those assumptions, draft or published, and the views and the policy in force.
    """
    if query.version is None:
        rules = await in_force(connection)
    else:
        rules = (await as_if_published(connection, "assumptions", query.version))[1]
    try:
        return json_response(await asyncio.to_thread(frontiers, rules, query))
    except InvalidDocument as error:
        raise _unusable(error) from error
