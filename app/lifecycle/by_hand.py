"""Moves by hand: against or ahead of the rules, with a reason and a pin. What is moved is a set of customers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.clock import new_id
from app.customers.reading import refuse_missing
from app.errors import Problem
from app.events import StageChange
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.rules import entry_now
from app.lifecycle.core.stages import STAGES
from app.lifecycle.core.standing import Standing, Stride, stepped
from app.lifecycle.flapping import freeze_begun
from app.lifecycle.loading import Executor, Loaded, load
from app.lifecycle.policies import policies_of
from app.lifecycle.saving import Step, save_steps

_PLACES = text("""
SELECT c.id, c.stage, c.merged_into, 'deceased' = ANY(c.holds) AS deceased, s.stage_before, s.policy_version,
       s.interval_id, s.scope_id, s.changed_at, s.transition_sequence, greatest(s.evaluated_at, :now) AS at,
       c.stage_entered_at, s.recent::text AS recent
FROM customers c JOIN lifecycle_state s ON s.customer_id = c.id
WHERE c.id = ANY(:ids)
""")

_MOMENTS = text(
    "SELECT customer_id, greatest(evaluated_at, :now) AS at FROM lifecycle_state WHERE customer_id = ANY(:ids)"
)


class Move(NamedTuple):
    """A wish: this customer to that stage."""

    customer_id: UUID
    to: str
    reason: str


class Moved(NamedTuple):
    """A wish that came true."""

    customer_id: UUID
    change: StageChange


class Foreseen(NamedTuple):
    """A wish that would come true, with the change as it would be, and until when the rules would be switched off by it:
    None if they would not."""

    customer_id: UUID
    change: StageChange
    frozen_until: datetime | None


class Blocked(NamedTuple):
    """A wish that cannot be. Each blocker has a `code`: same_stage, no_edge, hold or merged, and says more by code."""

    customer_id: UUID
    stage: str
    blockers: list[dict[str, object]]


async def moments(session: AsyncSession, customer_ids: Sequence[UUID], now: datetime) -> dict[UUID, datetime]:
    """When each locked customer is to be judged: now, or the moment of the last evaluation if that lies ahead."""
    rows = await session.execute(_MOMENTS, {"ids": list(customer_ids), "now": now})
    return {row.customer_id: row.at for row in rows}


def blockers_of(place: Any, to: str, policies: Mapping[int, Policy]) -> list[dict[str, object]]:
    """What stands in the way of a move by hand; `allowed` are the stages that the customer's own policy leads to."""
    found: list[dict[str, object]] = []
    if place.merged_into is not None:
        found.append({"code": "merged", "into": str(place.merged_into)})
    allowed = sorted(policies[place.policy_version].edges(place.stage, place.stage_before))
    if to == place.stage:
        found.append({"code": "same_stage", "stage": to})
    elif to not in allowed:
        found.append({"code": "no_edge", "from": place.stage, "to": to, "allowed": allowed})
    if place.deceased:
        found.append({"code": "hold", "hold": "deceased"})
    return found


async def move(
    session: AsyncSession,
    moves: Sequence[Move],
    actor: str,
    now: datetime,
    zone: ZoneInfo,
    *,
    kind: str = "manual",
    playbook_mode: str = "full",
) -> list[Moved | Blocked]:
    """Move locked customers with nothing due, each named once; one answer a move, in order, for those who exist.

    The kind `manual` pins the stage for 30 days; `playbook_mode` says how much of the playbook begins.
    """
    policies = await policies_of(session)
    at = await moments(session, [wish.customer_id for wish in moves], now)
    loaded = {one.row.id: one for one in await load(session, list(at), at, zone)}
    answers: list[Moved | Blocked] = []
    steps: dict[UUID, Step] = {}
    for wish in (wish for wish in moves if wish.customer_id in loaded):
        one = loaded[wish.customer_id]
        found = blockers_of(one.row, wish.to, policies)
        if not found:
            steps[wish.customer_id] = _step(one, wish, actor, kind, playbook_mode)
        answers.append(Blocked(wish.customer_id, one.row.stage, found))
    changes = {c.customer_id: c for c in await save_steps(session, list(steps.values()), now, zone)}
    return [Moved(a.customer_id, changes[a.customer_id]) if a.customer_id in changes else a for a in answers]


def _step(one: Loaded, wish: Move, actor: str, kind: str, playbook_mode: str) -> Step:
    stride = Stride(wish.to, kind, None, one.at, one.at, entry_now(one.subject))
    return Step(one, stride, wish.reason, actor, {}, one.standing.policy_version, playbook_mode=playbook_mode)


async def move_one(session: AsyncSession, wish: Move, actor: str, now: datetime, zone: ZoneInfo) -> StageChange:
    """Move one locked customer with nothing due; 409 with blockers if it cannot be."""
    [answer] = await move(session, [wish], actor, now, zone)
    if isinstance(answer, Blocked):
        raise Problem("transition_not_allowed", "See blockers for what stands in the way.", blockers=answer.blockers)
    return answer.change


async def foresee(
    executor: Executor, moves: Sequence[Move], now: datetime, zone: ZoneInfo, playbook_mode: str = "full"
) -> list[Foreseen | Blocked]:
    """What `move` would answer for these customers as they stand, in order, for those who exist. Writes nothing."""
    policies = await policies_of(executor)
    rows = await executor.execute(_PLACES, {"ids": [wish.customer_id for wish in moves], "now": now})
    places = {row.id: row for row in rows}
    answers: list[Foreseen | Blocked] = []
    for wish in (wish for wish in moves if wish.customer_id in places):
        place = places[wish.customer_id]
        found = blockers_of(place, wish.to, policies)
        if found:
            answers.append(Blocked(wish.customer_id, place.stage, found))
        else:
            change = _imagined(place, wish, playbook_mode)
            answers.append(Foreseen(wish.customer_id, change, _frozen_by(place, wish, zone)))
    return answers


def _imagined(place: Any, wish: Move, playbook_mode: str) -> StageChange:
    interval_id = new_id()
    return StageChange(
        customer_id=place.id,
        transition_id=None,
        interval_id=interval_id,
        sequence=place.transition_sequence + 1,
        from_stage=place.stage,
        to_stage=wish.to,
        kind="manual",
        rule_id=None,
        policy_version=place.policy_version,
        reason=wish.reason,
        actor="",
        facts={},
        effective_at=max(place.at, place.changed_at),
        scope_id=interval_id,
        evaluated_at=place.at,
        playbook_mode=playbook_mode,
        left_interval_id=place.interval_id,
        left_scope_id=place.scope_id,
    )


def _frozen_by(place: Any, wish: Move, zone: ZoneInfo) -> datetime | None:
    before = Standing(
        stage=place.stage,
        entered_at=place.stage_entered_at,
        changed_at=place.changed_at,
        policy_version=place.policy_version,
        stage_before=place.stage_before,
        recent=orjson.loads(place.recent),
    )
    after = stepped(before, Stride(wish.to, "manual", None, place.at, place.at, {}), zone)
    return freeze_begun(before, after, place.at, zone)


async def options(connection: AsyncConnection, customer_id: UUID, now: datetime) -> dict[str, Any]:
    """Where a customer stands, and every other stage with what stands in the way of a move there by hand."""
    policies = await policies_of(connection)
    place = (await connection.execute(_PLACES, {"ids": [customer_id], "now": now})).first()
    if place is None or place.merged_into is not None:
        await refuse_missing(connection, customer_id)
    assert place is not None
    ways = {stage: blockers_of(place, stage, policies) for stage in STAGES if stage != place.stage}
    items = [{"to": stage, "allowed": not found, "blockers": found} for stage, found in ways.items()]
    return {"stage": place.stage, "items": items}
