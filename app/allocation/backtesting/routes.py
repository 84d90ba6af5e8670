"""Backtests over HTTP."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Response

from app.allocation.backtesting.rendering import shown
from app.allocation.backtesting.running import Asked, Limits, person_of, run, score_of
from app.allocation.backtesting.schemas import BacktestCreate, BacktestRead
from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.policy import Policy
from app.allocation.engine.problems import InvalidDocument
from app.allocation.importing.stored import stored_document
from app.allocation.profiles import refused
from app.allocation.versions import store
from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import ReadDep, StrictRoute, json_response, problems

router = APIRouter(prefix="/v1/allocation", tags=["Allocation"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("allocation:read")]

LIMITS = Limits(periods=600, rebalancings=200)


@router.post(
    "/backtests",
    response_model=BacktestRead,
    summary="Backtest the policy over return series",
    responses=problems("malformed_json", "too_large", "unavailable"),
)
async def run_backtest(body: BacktestCreate, connection: ReadDep, _: Reader) -> Response:
    """What the policy would have done for a person, with assumptions estimated at each date from the returns before it.

    At most 600 rows, 40 asset classes and 200 portfolios. Stores nothing. One history is one draw: it shows how the
    policy behaves, not what it will earn.
    """
    in_force = await store.in_force(connection)
    policy, assumptions, version = in_force.policy, in_force.published, in_force.versions.assumptions
    try:
        if body.policy_version is not None:
            document = await stored_document(connection, "policy", body.policy_version, "/policy_version")
            policy = store.parse("policy", document)
        if body.assumption_version is not None:
            version = body.assumption_version
            document = await stored_document(connection, "assumptions", version, "/assumption_version")
            assumptions = store.parse("assumptions", document)
        found = await asyncio.to_thread(_run, policy, assumptions, body)
    except InvalidDocument as error:
        raise refused(error) from error
    return json_response({**found, "policy_version": policy.version, "assumption_version": version})


def _run(policy: Policy, assumptions: AssumptionSet, body: BacktestCreate) -> dict[str, Any]:
    person = body.person
    score = score_of(person.risk_class) if person.risk_class else float(person.score or 0)
    asked = Asked(
        columns=body.columns,
        periods_per_year=body.periods_per_year,
        history=body.history_periods,
        window=body.window_periods,
        rebalance_every=body.rebalance_every,
        estimates=body.estimates,
        transaction_cost=float(body.transaction_cost),
        equity_class=body.equity_class,
        bond_class=body.bond_class,
    )
    somebody = person_of(person.kind, person.segment, person.stage, person.age, score)
    return shown(run(policy, assumptions, body.csv, [somebody], asked, LIMITS))
