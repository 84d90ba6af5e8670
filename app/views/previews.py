"""What a move by hand would do: who can be moved, what the playbook would start, and what would end. Writes nothing.

What decides here also decides when it is done: `foresee` finds the blockers of `move`, and `starting` asks the plan.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import StageChange
from app.lifecycle.batches import MISSING
from app.lifecycle.by_hand import Blocked, Foreseen, Move, foresee
from app.views.starting import Start, starting

PIECE = 1000
"""Customers looked at between two chances for other requests."""
SAMPLE = 20

_ENDING = text("""
SELECT a.key, a.kind, count(DISTINCT a.customer_id) AS customers
FROM actions a JOIN unnest(CAST(:customers AS uuid[]), CAST(:scopes AS uuid[])) AS w(i, s)
ON a.customer_id = w.i AND a.interval_id = w.s
WHERE a.status = 'planned' AND NOT a.survives_exit
GROUP BY a.key, a.kind
""")


@dataclass(slots=True)
class _Tally:
    """What is counted up, piece by piece. `starts`: (key, kind, stage) -> [customers, first due]."""

    allowed: int = 0
    blocked: Counter[str] = field(default_factory=Counter)
    starts: dict[tuple[str, str, str], list[Any]] = field(default_factory=dict)
    stops: Counter[tuple[str, str]] = field(default_factory=Counter)
    sample: list[dict[str, Any]] = field(default_factory=list)


async def preview_moves(
    session: AsyncSession, customer_ids: Sequence[UUID], to: str, playbook_mode: str, now: datetime, zone: ZoneInfo
) -> dict[str, Any]:
    """What moving these customers, each named once, would do as they stand now. See schemas.TransitionPreview."""
    tally = _Tally()
    for first in range(0, len(customer_ids), PIECE):
        piece = customer_ids[first : first + PIECE]
        wishes = [Move(customer_id, to, "") for customer_id in piece]
        foreseen = await foresee(session, wishes, now, zone, playbook_mode)
        answers = {answer.customer_id: answer for answer in foreseen}
        for customer_id in piece:
            _count(tally, customer_id, answers.get(customer_id), to)
        moving = [answer for answer in foreseen if isinstance(answer, Foreseen)]
        if moving:
            _count_starts(tally, await starting(session, moving, now, zone))
            await _count_stops(session, tally, [answer.change for answer in moving])
    return _answer(tally, len(customer_ids))


def _count(tally: _Tally, customer_id: UUID, answer: Foreseen | Blocked | None, to: str) -> None:
    stage: object = None
    blockers: list[dict[str, object]] = [{"code": MISSING}]
    match answer:
        case Foreseen(change=change):
            stage, blockers = change.from_stage, []
            tally.allowed += 1
        case Blocked():
            stage, blockers = answer.stage, answer.blockers
    if blockers:
        tally.blocked[str(blockers[0]["code"])] += 1
    if len(tally.sample) < SAMPLE:
        place = {"customer_id": customer_id, "from_stage": stage, "to_stage": to}
        tally.sample.append({**place, "allowed": not blockers, "blockers": blockers})


def _count_starts(tally: _Tally, starts: Sequence[Start]) -> None:
    for action, customers in starts:
        entry = tally.starts.setdefault((action.key, action.kind, action.stage), [0, action.due_at])
        entry[0] += customers
        entry[1] = min(entry[1], action.due_at)


async def _count_stops(session: AsyncSession, tally: _Tally, changes: Sequence[StageChange]) -> None:
    left = {"customers": [c.customer_id for c in changes], "scopes": [c.left_scope_id for c in changes]}
    for row in await session.execute(_ENDING, left):
        tally.stops[row.key, row.kind] += row.customers


def _answer(tally: _Tally, customers: int) -> dict[str, Any]:
    starts = [
        {"key": key, "kind": kind, "stage": stage, "customers": count, "first_due_at": due}
        for (key, kind, stage), (count, due) in tally.starts.items()
    ]
    stops = [{"key": key, "kind": kind, "customers": count} for (key, kind), count in tally.stops.items()]
    blocked = sorted(tally.blocked.items(), key=lambda found: (-found[1], found[0]))
    return {
        "customers": customers,
        "allowed": tally.allowed,
        "blocked": [{"code": code, "customers": count} for code, count in blocked],
        "starts": sorted(starts, key=lambda start: (start["first_due_at"], start["key"])),
        "stops": sorted(stops, key=lambda stop: (stop["key"], stop["kind"])),
        "sample": tally.sample,
    }
