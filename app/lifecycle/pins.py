"""Pins: a stage fixed by hand until a moment. Only rules marked `always` act under one."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.service import set_profile
from app.events import StageChange
from app.lifecycle.by_hand import moments
from app.lifecycle.inputs import note_inputs
from app.lifecycle.service import evaluate

LONGEST = timedelta(days=366)
"""How far ahead a pin may end."""


class Pin(NamedTuple):
    """Until when a stage is fixed, and why; with `until` None it is fixed no more."""

    until: datetime | None
    reason: str


async def set_pins(
    session: AsyncSession, pins: Mapping[UUID, Pin], actor: str, now: datetime, zone: ZoneInfo
) -> list[StageChange]:
    """Pin locked customers with nothing due, or lift their pins, and evaluate them; returns who moved.

    A pin that is there already is replaced. Raises versions.
    """
    at = await moments(session, list(pins), now)
    ends = {i: None if pin.until is None else _written(pin.until) for i, pin in pins.items()}
    notes = {i: (at[i], {"until": ends[i], "reason": pins[i].reason, "actor": actor}) for i in at}
    await note_inputs(session, "pin", notes)
    profiles = {i: {"pin": ends[i] and {"until": ends[i], "reason": pins[i].reason}} for i in at}
    await set_profile(session, profiles, now)
    lifted = {i for i in at if pins[i].until is None}
    return await evaluate(session, list(at), now, zone, at=at, unsettled=lifted)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
