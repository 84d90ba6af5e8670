"""Moves and pins of one customer by hand, over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.models import Customer
from app.customers.reading import refuse_missing
from app.customers.service import lock
from app.db import Database
from app.deps import (
    DatabaseDep,
    IfMatch,
    NowDep,
    ReadDep,
    SessionDep,
    SettingsDep,
    StrictRoute,
    etag,
    json_response,
    problems,
    require_match,
)
from app.errors import Problem, invalid
from app.events import StageChange
from app.lifecycle.by_hand import Move, move_one, options
from app.lifecycle.by_hand_schemas import PinLift, PinRead, PinSet, TransitionOptions
from app.lifecycle.pins import LONGEST, Pin, set_pins
from app.lifecycle.saving import transition_row
from app.lifecycle.schemas import TransitionCreate, TransitionRead
from app.lifecycle.service import catch_up

router = APIRouter(prefix="/v1/customers/{customer_id}", tags=["Lifecycle"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("lifecycle:read")]
Override = Annotated[Principal, needs("lifecycle:override")]

_CHANGE = ("malformed_json", "not_found", "erased", "stale", "precondition_required")


async def _let_time_act(database: Database, customer_id: UUID, now: datetime, zone: ZoneInfo) -> None:
    """Do what is due, and keep it: a change that comes too late is refused, and finds the new state when repeated."""
    async with database.transaction() as session:
        await catch_up(session, await lock(session, [customer_id]), now, zone)


async def _take(
    session: AsyncSession, customer_id: UUID, if_match: str | None, now: datetime, zone: ZoneInfo
) -> Customer:
    """Lock the customer as it was read. 412 too if the rules move it at this very moment: nobody has seen that yet."""
    customer = await session.get(Customer, customer_id, with_for_update={"key_share": True})
    if customer is None or customer.merged_into is not None:
        await refuse_missing(await session.connection(), customer_id)
    assert customer is not None
    require_match(if_match, customer.version)
    if await catch_up(session, [customer_id], now, zone):
        raise Problem("stale", "The rules have just moved the customer; read again and repeat the change.")
    return customer


async def _answer(session: AsyncSession, customer_id: UUID, changes: list[StageChange], now: datetime) -> Response:
    """What the customer's pin is now, and what followed from the change."""
    found = await session.execute(
        select(Customer.id.label("customer_id"), Customer.pin, Customer.stage, Customer.version).where(
            Customer.id == customer_id
        )
    )
    answer = {**found.mappings().one(), "transitions": [transition_row(change, now) for change in changes]}
    return json_response(answer, headers={"ETag": etag(answer["version"])})


@router.get(
    "/transitions/options",
    response_model=TransitionOptions,
    summary="List the stages that a customer can be moved to",
    responses=problems("not_found", "erased"),
)
async def list_transition_options(customer_id: UUID, connection: ReadDep, now: NowDep, _: Reader) -> Response:
    """Every stage but the present one, with the reasons where a move by hand would be refused."""
    return json_response(await options(connection, customer_id, now))


@router.post(
    "/transitions",
    status_code=201,
    response_model=TransitionRead,
    summary="Move a customer by hand",
    responses=problems(*_CHANGE, "transition_not_allowed"),
)
async def create_transition(
    customer_id: UUID,
    body: TransitionCreate,
    session: SessionDep,
    database: DatabaseDep,
    now: NowDep,
    settings: SettingsDep,
    principal: Override,
    if_match: IfMatch = None,
) -> Response:
    """`If-Match` is the customer's ETag. The stage is pinned for 30 days against all rules but those for leaving."""
    await _let_time_act(database, customer_id, now, settings.tz)
    await _take(session, customer_id, if_match, now, settings.tz)
    wish = Move(customer_id, body.to, body.reason)
    change = await move_one(session, wish, principal.actor, now, settings.tz)
    version = await session.scalar(select(Customer.version).where(Customer.id == customer_id))
    return json_response(transition_row(change, now), 201, {"ETag": etag(version or 0)})


@router.put("/pin", response_model=PinRead, summary="Pin a customer's stage", responses=problems(*_CHANGE))
async def set_pin(
    customer_id: UUID,
    body: PinSet,
    session: SessionDep,
    database: DatabaseDep,
    now: NowDep,
    settings: SettingsDep,
    principal: Override,
    if_match: IfMatch = None,
) -> Response:
    """No rule moves the customer until then, but those for leaving. A pin that is there already is replaced."""
    if body.until <= now:
        raise invalid("/until", "in_the_past", "Must lie in the future.")
    if body.until > now + LONGEST:
        raise invalid("/until", "too_far", f"Must lie at most {LONGEST.days} days ahead.")
    await _let_time_act(database, customer_id, now, settings.tz)
    await _take(session, customer_id, if_match, now, settings.tz)
    changes = await set_pins(session, {customer_id: Pin(body.until, body.reason)}, principal.actor, now, settings.tz)
    return await _answer(session, customer_id, changes, now)


@router.post(
    "/pin/lift", response_model=PinRead, summary="Lift a customer's pin", responses=problems(*_CHANGE, "conflict")
)
async def lift_pin(
    customer_id: UUID,
    body: PinLift,
    session: SessionDep,
    database: DatabaseDep,
    now: NowDep,
    settings: SettingsDep,
    principal: Override,
    if_match: IfMatch = None,
) -> Response:
    """The rules act again, at once where one holds: `transitions` tells. 409 `conflict` if the stage is not pinned."""
    await _let_time_act(database, customer_id, now, settings.tz)
    customer = await _take(session, customer_id, if_match, now, settings.tz)
    if customer.pin is None or datetime.fromisoformat(customer.pin["until"]) <= now:
        raise Problem("conflict", "The stage is not pinned.")
    changes = await set_pins(session, {customer_id: Pin(None, body.reason)}, principal.actor, now, settings.tz)
    return await _answer(session, customer_id, changes, now)
