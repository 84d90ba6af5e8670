"""What is asked for, checked: from a request or a command line to a simulation that can run."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.customers.models import Customer
from app.errors import FieldProblem, Problem, invalid
from app.lifecycle.core.policy import InvalidPolicy, Policy, parse_policy
from app.lifecycle.models import LifecyclePolicy
from app.simulations.comparing import Period
from app.simulations.running import DRAFT, Filter, Wanted
from app.simulations.schemas import SimulationCreate

KIND = "simulation"
Executor = AsyncSession | AsyncConnection


async def checked(executor: Executor, asked: SimulationCreate, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and first state of the operation; 422 that names the field where it cannot be run."""
    document, version = await _document(executor, asked)
    name = None if document is None else _parse(document).name
    first = await executor.execute(select(func.min(Customer.created_at)))
    begin = asked.begin or first.scalar() or now
    end = asked.end or now
    if end > now:
        raise invalid("/to", "in_the_future", "Only what has happened can be replayed.")
    if begin >= end:
        raise invalid("/from", "empty_period", "The period is empty: `from` must lie before `to`.")
    params = {
        "policy_version": version,
        "policy_name": name,
        "from": begin,
        "to": end,
        "knowledge": asked.knowledge,
        "filter": asked.filter.model_dump(),
    }
    return params, {"document": document}


async def _document(executor: Executor, asked: SimulationCreate) -> tuple[dict[str, Any] | None, int | None]:
    if asked.policy is None:
        return None, None
    if (asked.policy.version is None) == (asked.policy.document is None):
        raise invalid("/policy", "one_of", "Give either version or document.")
    if asked.policy.version is None:
        return asked.policy.document, None
    found = await executor.execute(select(LifecyclePolicy.body).where(LifecyclePolicy.version == asked.policy.version))
    body = found.scalar_one_or_none()
    if body is None:
        raise invalid("/policy/version", "unknown_version", "There is no such version of the policy.")
    return body, asked.policy.version


def _parse(document: Mapping[str, Any]) -> Policy:
    try:
        return parse_policy(document, DRAFT)
    except InvalidPolicy as error:
        problems = [
            FieldProblem(pointer=f"/policy/document{pointer}", code=code, detail=detail)
            for pointer, code, detail in error.problems
        ]
        raise Problem("invalid", errors=problems) from error


def wanted_of(params: Mapping[str, Any], document: Mapping[str, Any] | None, zone: ZoneInfo) -> Wanted:
    """The simulation that stored parameters ask for."""
    begin, end = (datetime.fromisoformat(str(params[name])) for name in ("from", "to"))
    as_occurred = params["knowledge"] == "as_occurred"
    chosen = {name: tuple(v) if isinstance(v, list) else v for name, v in params["filter"].items()}
    return Wanted(
        policy=None if document is None else _parse(document),
        period=Period(begin, end, zone, exact=not as_occurred),
        as_occurred=as_occurred,
        chosen=Filter(**{**asdict(Filter()), **chosen}),
    )
