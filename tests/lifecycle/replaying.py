"""Compares what was lived with a replay of it, down to every figure that a later decision may read."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.db import Database
from app.lifecycle.core.ledger import Known, first_day_needed
from app.lifecycle.core.replay import Course, replay
from app.lifecycle.core.standing import Former, Standing
from app.lifecycle.histories import load_lives
from app.lifecycle.loading import Loaded, formers_of, load
from app.lifecycle.policies import policies_of

_STEPS = text(
    "SELECT from_stage, to_stage, kind, rule_id, policy_version, evaluated_at, effective_at, facts"
    " FROM transitions WHERE customer_id = :id ORDER BY sequence"
)


async def lived(db: Database, customer_id: UUID) -> list[tuple[Any, ...]]:
    """The steps in the database."""
    async with db.read() as connection:
        return [tuple(row) for row in await connection.execute(_STEPS, {"id": customer_id})]


async def replayed(
    db: Database, zone: Any, ids: Sequence[UUID], until: datetime, *, as_occurred: bool = False
) -> dict[UUID, Course]:
    """The same lives, replayed, by customer."""
    async with db.read() as connection:
        lives = await load_lives(connection, ids, until, as_occurred=as_occurred)
        policies = await policies_of(connection)
    return {course.life.customer_id: course for course in replay(lives, policies, zone, until)}


def steps(course: Course) -> list[tuple[Any, ...]]:
    """The steps of a replay in the shape of `lived`."""
    return [
        (m.from_stage, m.to_stage, m.kind, m.rule_id, m.policy_version, m.evaluated_at, m.effective_at, dict(m.facts))
        for m in course.moves
    ]


async def agree(db: Database, zone: Any, now: datetime, ids: Sequence[UUID]) -> dict[UUID, Course]:
    """Check that a replay takes the steps that were taken, and ends where the customers stand; returns the replays.

    Merged duplicates, for whom time stands still, are compared by their steps alone.
    """
    courses = await replayed(db, zone, ids, now)
    async with db.read() as connection:
        loaded = {one.row.id: one for one in await load(connection, list(ids), now, zone)}
        formers = await formers_of(connection, list(ids))
    assert set(courses) == set(loaded)
    for customer_id, course in courses.items():
        same(steps(course), await lived(db, customer_id), f"{customer_id} steps")
        if loaded[customer_id].row.merged_into is None:
            same(_end(course, now), _stand(loaded[customer_id], formers.get(customer_id), now), str(customer_id))
    return courses


def _end(course: Course, now: datetime) -> dict[str, Any]:
    """Where a replayed life ends, and what is known then."""
    former = course.standing.former
    return {
        "standing": _place(course.standing, now),
        "next": course.next_at,
        "known": figures(course.book.known(course.standing, now)),
        "former": former and _former(former),
    }


def _stand(one: Loaded, former: Former | None, now: datetime) -> dict[str, Any]:
    """The same of the customer in the database."""
    return {
        "standing": _place(one.standing, now),
        "next": one.row.next_evaluation_at,
        "known": figures(one.subject.known),
        "former": former and _former(former),
    }


def _former(former: Former) -> dict[str, Any]:
    """What can be taken back. Positions are those of steps in the one, and of their causes in the other."""
    found = {"position": None, "scope": None, "standing": _place(replace(former.standing, pinned_until=None), None)}
    return asdict(replace(former, standing=None)) | found


def _place(standing: Standing, now: datetime | None) -> dict[str, Any]:
    """A standing to compare; of a pin that has ended by `now` nothing is left."""
    found = asdict(replace(standing, former=None))
    pinned = standing.pinned_until
    ended = pinned is not None and now is not None and pinned <= now
    return found | {"recent": list(map(list, standing.recent)), "pinned_until": None if ended else pinned}


def figures(known: Known) -> dict[str, Any]:
    """What is known of a customer, without days that no fact reaches, in an order that does not depend on the source."""
    begin = first_day_needed(known.state, known.today)
    days = sorted(row for row in zip(*known.days, strict=True) if row[0] >= begin)
    accounts = sorted((base or 0, sorted(zip(at, held, strict=True))) for base, at, held in known.accounts)
    marks = {name: (int(day), at, value) for name, (day, at, value) in known.marks.items()}
    return {"days": days, "accounts": accounts, "marks": marks, "totals": known.totals, "today": known.today}


def same(one: Any, other: Any, path: str) -> None:
    """Check that two values are equal; if not, the message names where they differ first."""
    if isinstance(one, dict) and isinstance(other, dict) and set(one) == set(other):
        for name in one:
            same(one[name], other[name], f"{path} {name}")
    elif isinstance(one, list) and isinstance(other, list):
        for n, pair in enumerate(zip(one, other, strict=False)):
            same(*pair, f"{path} {n}")
        assert len(one) == len(other), f"{path}: {one[len(other) :]} != {other[len(one) :]}"
    else:
        assert one == other, f"{path}: {one} != {other}"
