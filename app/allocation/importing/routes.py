"""Assumptions from CSV over HTTP: figures and documents are answered, nothing is stored."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Response

from app.allocation.engine.estimation import ReturnPanel
from app.allocation.engine.problems import InvalidDocument
from app.allocation.importing.assumptions_csv import draft_from
from app.allocation.importing.estimates import estimated, missing_columns, shown, with_risk
from app.allocation.importing.returns_csv import parse_returns
from app.allocation.importing.schemas import (
    AssumptionTableCreate,
    AssumptionTableRead,
    EstimateCreate,
    EstimateRead,
)
from app.allocation.importing.stored import stored_document
from app.allocation.profiles import refused
from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import ReadDep, StrictRoute, json_response, problems

router = APIRouter(prefix="/v1/allocation", tags=["Allocation"], route_class=StrictRoute)

Writer = Annotated[Principal, needs("assumptions:write")]


@router.post(
    "/estimates",
    response_model=EstimateRead,
    summary="Estimate risk from return series",
    responses=problems("malformed_json", "too_large"),
)
async def estimate_risk(body: EstimateCreate, connection: ReadDep, _: Writer) -> Response:
    """Volatilities, correlations shrunk after Ledoit and Wolf, and means with their errors. Stores nothing.

    With `based_on` also the document of that version with these figures, to make a draft of. Its expected returns stay:
    past means are no forecasts.
    """
    base = None
    if body.based_on is not None:
        base = await stored_document(connection, "assumptions", body.based_on, "/based_on")
    try:
        return json_response(await asyncio.to_thread(_estimate, body, base))
    except InvalidDocument as error:
        raise refused(error) from error


def _estimate(body: EstimateCreate, base: dict[str, Any] | None) -> dict[str, Any]:
    codes = [entry["code"] for entry in base["asset_classes"]] if base else None
    panel: ReturnPanel = parse_returns(
        body.csv, columns=body.columns, known=codes, periods_per_year=body.periods_per_year
    )
    if base is not None and codes is not None:
        missing_columns(base, panel)
        panel = panel.of(codes)
    found = estimated(panel, shrink=body.shrinkage == "ledoit_wolf")
    return shown(panel, found, with_risk(base, panel, found) if base else None)


@router.post(
    "/assumption-sets/from-csv",
    response_model=AssumptionTableRead,
    summary="Read assumptions from tables",
    responses=problems("malformed_json", "too_large"),
)
async def read_assumption_tables(body: AssumptionTableCreate, connection: ReadDep, _: Writer) -> Response:
    """The document in two CSV tables, and what is wrong with them by line and column. Stores nothing.

    Compound returns stay as they are, with their measure: they are turned into arithmetic ones when the document is
    used. Only what is no such table at all is refused.
    """
    base = None
    if body.based_on is not None:
        base = await stored_document(connection, "assumptions", body.based_on, "/based_on")
    head = body.model_dump(mode="json", include={"name", "currency", "horizon", "source", "as_of"}, exclude_none=True)
    try:
        draft = await asyncio.to_thread(draft_from, body.csv, body.correlation_csv, head, base)
    except InvalidDocument as error:
        raise refused(error) from error
    repair = asdict(draft.repair) if draft.repair else None
    return json_response({"document": draft.document, "problems": draft.problems, "repair": repair})
