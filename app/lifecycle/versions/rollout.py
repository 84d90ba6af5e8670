"""The operation that brings a published policy to the customers, one after the other."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.models import Customer
from app.customers.service import lock
from app.events import StageChange
from app.jobs import Worker, sweep
from app.lifecycle.models import LifecyclePolicy, LifecycleState
from app.lifecycle.service import switch_policy
from app.lifecycle.versions import drafts
from app.operations.running import Later, Work, handles
from app.operations.service import begin

KIND = drafts.ROLLOUT
CHUNK = 500
"""Customers of one transaction."""

AT_LEAST_EVERY = timedelta(minutes=1)
"""How often a slow rollout goes on, with as many customers as are due by then."""

AT_MOST_EVERY = timedelta(hours=1)
"""How long a very slow one waits before it looks whether a later version was published."""

LOOKED_FOR_EVERY = timedelta(minutes=10)
"""How often a worker looks for customers whom a rollout has missed."""

_BUSY = timedelta(seconds=5)
_LOCKED_OUT = ("55P03", "40P01")  # lock_not_available, deadlock_detected


@handles(KIND)
async def roll_out(work: Work) -> dict[str, Any] | Later:
    """Let the version apply to every customer who has a lower one, in id order.

    Spread over `rollout_over_seconds`, the share of those reached never runs ahead of the time. A version published
    later ends it: that one's own rollout reaches whoever is left. The result counts what the new rules did; steps that
    were due by the former ones are none of it.
    """
    version = int(work.params["version"])
    while True:
        later = await _superseding(work, version)
        if later is not None:
            return _result(work, version, later)
        if "began_at" not in work.state:
            await _count(work, version)
        now = work.worker.clock()
        room, moment = _pace(work, now)
        if room == 0:
            return Later(min(moment, now + AT_MOST_EVERY))
        from_the_start = work.state["after"] is None
        try:
            reached = await _reach(work, version, min(room, CHUNK), now)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") not in _LOCKED_OUT:
                raise
            return Later(now + _BUSY)
        if reached == 0 and from_the_start:
            return _result(work, version, None)


async def _superseding(work: Work, version: int) -> int | None:
    """The version in force, if that is a later one."""
    published = select(func.max(LifecyclePolicy.version)).where(LifecyclePolicy.status == "published")
    async with work.worker.database.read() as connection:
        highest = (await connection.execute(published)).scalar_one()
    return highest if highest is not None and highest > version else None


def _waiting(version: int) -> Any:
    """Which customers are to be reached. Merged duplicates have no life of their own."""
    return (LifecycleState.policy_version < version) & Customer.merged_into.is_(None)


async def _count(work: Work, version: int) -> None:
    """The first piece: how many customers there are, and since when the version is in force."""
    count = select(func.count()).join_from(LifecycleState, Customer).where(_waiting(version))
    async with work.worker.database.transaction() as session:
        total = await session.scalar(count) or 0
        policy = await session.get_one(LifecyclePolicy, version)
        assert policy.published_at is not None
        began_at = policy.published_at.isoformat()
        await work.save(session, total=total, state={"began_at": began_at, "after": None, "moved": []})


def _pace(work: Work, now: datetime) -> tuple[int, datetime]:
    """How many customers may be reached now, and, if none, when to look again."""
    over = timedelta(seconds=work.params["rollout_over_seconds"])
    began = datetime.fromisoformat(work.state["began_at"])
    total = work.total or 0
    if not over or now - began >= over or work.done >= total:
        return CHUNK, now
    now = max(now, began)  # the clock of whoever published may be ahead of this one
    allowed = total * (now - began) // over
    if allowed > work.done:
        return allowed - work.done, now
    # Together as many as become due within a minute, at least one, in a piece of at most CHUNK.
    together = min(max(total * AT_LEAST_EVERY // over, 1), CHUNK)
    wanted = min(work.done + together, total)
    return 0, began - (-over * wanted // total)  # rounded up: never before they are due


async def _reach(work: Work, version: int, most: int, now: datetime) -> int:
    """One piece: the next customers in id order; at the end once more from the beginning, for whoever came between."""
    worker, state = work.worker, work.state
    after = state["after"]
    mode = work.params["playbook_mode"]
    found = select(Customer.id).join_from(Customer, LifecycleState).where(_waiting(version))
    if after is not None:
        # Of both tables, or the join would read all states before it each time.
        found = found.where(Customer.id > UUID(after), LifecycleState.customer_id > UUID(after))
    async with worker.database.transaction() as session:
        ids = list((await session.scalars(found.order_by(Customer.id).limit(most))).all())
        mine = await _claim(session, ids, version)
        changes = (
            await switch_policy(session, mine, version, now, worker.settings.tz, playbook_mode=mode) if mine else []
        )
        moved = _added(state["moved"], [change for change in changes if change.policy_version == version])
        position = {**state, "after": str(ids[-1]) if ids else None, "moved": moved}
        await work.save(session, done=work.done + len(mine), state=position)
    return len(ids)


async def _claim(session: AsyncSession, customer_ids: Sequence[UUID], version: int) -> list[UUID]:
    """Lock the customers; returns those that still wait."""
    there = await lock(session, customer_ids)
    still = await session.scalars(
        select(Customer.id).join_from(Customer, LifecycleState).where(Customer.id.in_(there), _waiting(version))
    )
    return sorted(still.all())


def _added(moved: Sequence[Mapping[str, Any]], changes: Sequence[StageChange]) -> list[dict[str, Any]]:
    """Counts per way and rule, with these changes."""
    counts = {(m["from"], m["to"], m["rule_id"]): m["customers"] for m in moved}
    for change in changes:
        way = (change.from_stage, change.to_stage, change.rule_id)
        counts[way] = counts.get(way, 0) + 1
    return [{"from": a, "to": b, "rule_id": rule, "customers": n} for (a, b, rule), n in counts.items()]


def _result(work: Work, version: int, superseded_by: int | None) -> dict[str, Any]:
    moved = work.state.get("moved", [])
    return {
        "version": version,
        "customers": work.done,
        "moved": sum(m["customers"] for m in moved),
        "transitions": sorted(moved, key=lambda m: -m["customers"]),
        "superseded_by": superseded_by,
    }


_last_look: dict[int, datetime] = {}  # by identity of the database of this process


@sweep("find_stragglers")
async def find_stragglers(worker: Worker) -> bool:
    """Roll out once more to whom a finished rollout could not see: created just then, or parted from a duplicate since."""
    now = worker.clock()
    last = _last_look.get(id(worker.database))
    if last is not None and now - last < LOOKED_FOR_EVERY:
        return False
    _last_look[id(worker.database)] = now
    async with worker.database.transaction() as session:
        await session.execute(drafts.ONE_AT_A_TIME)
        version = await drafts.in_force(session)
        if version is None or await drafts.last_rollout(session, version) != "succeeded":
            return False
        behind = select(LifecycleState.customer_id).join_from(LifecycleState, Customer).where(_waiting(version))
        if (await session.execute(behind.limit(1))).first() is not None:
            params = {"version": version, "rollout_over_seconds": 0, "playbook_mode": "full"}
            await begin(session, KIND, params, "stagefolio:stragglers", now)
    return False
