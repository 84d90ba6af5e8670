"""Projections of wealth over HTTP."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from app.allocation.projecting.schemas import (
    CustomerProjectionCreate,
    CustomerProjectionRead,
    PortfolioProjectionCreate,
    ProjectionRead,
)
from app.allocation.projecting.service import project_customer, project_portfolio, read_known
from app.allocation.versions.store import in_force
from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import DatabaseDep, NowDep, StrictRoute, json_response, problems

router = APIRouter(prefix="/v1/allocation", tags=["Allocation"], route_class=StrictRoute)
customer_router = APIRouter(prefix="/v1/customers/{customer_id}", tags=["Recommendations"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("allocation:read")]

# What is computed takes up to some tenths of a second, therefore in a thread, and without a connection meanwhile.


@customer_router.post(
    "/projection",
    response_model=CustomerProjectionRead,
    summary="Project a customer's wealth",
    responses=problems("malformed_json", "not_found", "erased", "no_recommendation"),
)
async def project_customer_wealth(
    customer_id: UUID, body: CustomerProjectionCreate, database: DatabaseDep, now: NowDep, _: Reader
) -> Response:
    """What the recommended or the accepted portfolio may grow to, year by year, with payments in and out, how likely each
    goal is, and what it still takes. Writes nothing."""
    async with database.read() as connection:
        rules = await in_force(connection)
        known = await read_known(connection, customer_id, body.portfolio)
    return json_response(await asyncio.to_thread(project_customer, rules, customer_id, known, body, now))


@router.post(
    "/projection",
    response_model=ProjectionRead,
    summary="Project a described portfolio",
    responses=problems("malformed_json"),
)
async def project_described_portfolio(
    body: PortfolioProjectionCreate, database: DatabaseDep, now: NowDep, _: Reader
) -> Response:
    """The same for any weights of asset classes. Writes nothing."""
    async with database.read() as connection:
        rules = await in_force(connection)
    return json_response(await asyncio.to_thread(project_portfolio, rules, body, now))
