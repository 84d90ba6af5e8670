"""Reviews of everybody over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from app.allocation.everybody.operation import KIND, begin_review
from app.allocation.everybody.schemas import AllocationReviewCreate, AllocationReviewRead
from app.allocation.everybody.trying import documents_to_try
from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import NowDep, ReadDep, SessionDep, StrictRoute, json_response, problems
from app.errors import invalid, not_found
from app.operations.reading import read_operation
from app.operations.routes import accepted
from app.operations.schemas import OperationRead

router = APIRouter(prefix="/v1/allocation/reviews", tags=["Allocation"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("allocation:read")]
Writer = Annotated[Principal, needs("assumptions:write")]

_ASKED = ("dry_run", "filter", "with", "after_publication")
_RUN = ("id", "status", "progress", "result", "error", "actor", "created_at", "started_at", "finished_at")


@router.post(
    "",
    status_code=202,
    response_model=OperationRead,
    summary="Review all portfolios",
    responses=problems("malformed_json"),
)
async def create_allocation_review(
    body: AllocationReviewCreate, session: SessionDep, now: NowDep, principal: Writer
) -> Response:
    """Compute every portfolio again; who gets other weights is told. With `dry_run` nothing is written.

    Publishing assumptions, views or a policy begins a review by itself; a dry run says before what it will do. The
    answer is an operation, and `Location` the review: ask for that until it has succeeded. Cancelled, it ends between
    two pieces of at most 1,000 new recommendations; those that were made stay.
    """
    versions = body.tried.model_dump()
    if not body.dry_run and any(version is not None for version in versions.values()):
        raise invalid("/with", "dry_run_only", "Versions are tried in a dry run only; to apply them, publish them.")
    operation_id = await begin_review(
        session,
        principal.actor,
        now,
        dry_run=body.dry_run,
        segments=list(body.filter.segment),
        stages=list(body.filter.stage),
        versions=versions,
        documents=await documents_to_try(session, versions),
    )
    return accepted(await read_operation(session, operation_id), at="/v1/allocation/reviews")


@router.get(
    "/{review_id}",
    response_model=AllocationReviewRead,
    summary="Read a review of all portfolios",
    responses=problems("not_found"),
)
async def get_allocation_review(review_id: UUID, connection: ReadDep, _: Reader) -> Response:
    """Its progress and, once it succeeded, how many portfolios changed and by how much."""
    found = await read_operation(connection, review_id)
    if found["kind"] != KIND:
        raise not_found("review")
    asked = {name: found["params"][name] for name in _ASKED}
    return json_response({**{name: found[name] for name in _RUN}, **asked})
