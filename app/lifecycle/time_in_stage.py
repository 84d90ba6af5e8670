"""How long customers are in their stages: of one customer every stage, of the institution who is overdue."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.lifecycle.core.stages import STAGES
from app.lifecycle.core.standing import local_day
from app.lifecycle.models import StageInterval, Transition
from app.lifecycle.policies import current_policy


async def stays_of(
    connection: AsyncConnection, customer_id: UUID, now: datetime, zone: ZoneInfo
) -> list[dict[str, Any]]:
    """Every stay of a customer, oldest first, with its length in local days, and whether a correction took it back."""
    table = StageInterval.__table__
    taken_back = select(Transition.id).where(
        Transition.customer_id == table.c.customer_id,
        Transition.kind == "correction",
        Transition.effective_at == table.c.exited_at,
        Transition.from_stage == table.c.stage,
    )
    rows = await connection.execute(
        select(table, taken_back.exists().label("corrected"))
        .where(table.c.customer_id == customer_id)
        .order_by(table.c.entered_at, table.c.id)
    )
    return [{**row, "days": _days(row["entered_at"], row["exited_at"] or now, zone)} for row in rows.mappings()]


def _days(begin: datetime, end: datetime, zone: ZoneInfo) -> int:
    return local_day(end, zone) - local_day(begin, zone)


def as_counted(stays: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The stays as if those that were taken back had never been: what they interrupted goes on through them."""
    found: list[dict[str, Any]] = []
    goes_on = False
    for stay in stays:
        if goes_on:
            found[-1] |= {"exited_at": stay["exited_at"], "days": found[-1]["days"] + stay["days"]}
        else:
            found.append(dict(stay))
        goes_on = stay["corrected"] and len(found) > 1
        if goes_on:
            gone = found.pop()
            found[-1]["days"] += gone["days"]
    return found


def overdue_days(days: int, target: int | None) -> int:
    """Days beyond the target of a stage, 0 if there are none or no target."""
    return 0 if target is None else max(0, days - target)


def by_stage(
    stays: Sequence[Mapping[str, Any]], stage: str, late: int, targets: Mapping[str, int]
) -> list[dict[str, Any]]:
    """A line for each of the five stages, from a customer's stays. `late`: days that the present one is overdue."""
    counted = as_counted(stays)
    return [_line(name, [s for s in counted if s["stage"] == name], stage, late, targets) for name in STAGES]


def _line(
    name: str, stays: Sequence[Mapping[str, Any]], stage: str, late: int, targets: Mapping[str, int]
) -> dict[str, Any]:
    exits = [stay["exited_at"] for stay in stays if stay["exited_at"] is not None]
    return {
        "stage": name,
        "visits": len(stays),
        "first_entered_at": _first(stay["entered_at"] for stay in stays),
        "last_entered_at": _first(stay["entered_at"] for stay in reversed(stays)),
        "last_exited_at": _first(reversed(exits)),
        "total_days": sum(stay["days"] for stay in stays),
        "current": name == stage,
        "target_days": targets.get(name),
        "overdue": name == stage and late > 0,
    }


def _first(moments: Iterable[datetime]) -> datetime | None:
    return next(iter(moments), None)


# One pass over the customers into a histogram of days, of which the median is read: sorting all of them would cost more.
# OFFSET 0 keeps the planner from doing so: it takes the days for as many as the moments that they are computed from.
_OVERVIEW = text("""
WITH days AS (
    SELECT stage, open, days, count(*) AS n, count(*) FILTER (WHERE on_hold) AS on_hold,
           count(*) FILTER (WHERE pinned) AS pinned
    FROM (
        SELECT stage, relationship = 'open' AS open, holds <> '{}' AS on_hold,
               CAST(pin ->> 'until' AS timestamptz) > :now AS pinned,
               CAST(:today AS integer) - ((stage_entered_at AT TIME ZONE :zone)::date - DATE '2000-01-01') AS days
        FROM customers WHERE merged_into IS NULL OFFSET 0
    ) AS each GROUP BY stage, open, days
), ranked AS (
    SELECT *, sum(n) OVER (PARTITION BY stage, open ORDER BY days) AS upto, sum(n) OVER (PARTITION BY stage, open) AS total
    FROM days
), due AS (
    SELECT c.stage, count(*) AS n FROM lifecycle_state s JOIN customers c ON c.id = s.customer_id
    WHERE s.next_evaluation_at <= :now AND c.merged_into IS NULL AND c.relationship = 'open' GROUP BY 1
)
SELECT t.stage, t.target_days,
       coalesce(sum(r.n) FILTER (WHERE r.open), 0)::bigint AS customers,
       coalesce(sum(r.n) FILTER (WHERE NOT r.open), 0)::bigint AS closed,
       coalesce(sum(r.n) FILTER (WHERE r.open AND r.days > t.target_days), 0)::bigint AS overdue,
       min(r.days) FILTER (WHERE r.open AND 2 * r.upto >= r.total) AS median_days_in_stage,
       coalesce(sum(r.on_hold) FILTER (WHERE r.open), 0)::bigint AS on_hold,
       coalesce(sum(r.pinned) FILTER (WHERE r.open), 0)::bigint AS pinned,
       coalesce(max(d.n), 0) AS due_evaluations
FROM unnest(CAST(:stages AS text[]), CAST(:targets AS integer[])) WITH ORDINALITY AS t(stage, target_days, place)
LEFT JOIN ranked r ON r.stage = t.stage LEFT JOIN due d ON d.stage = t.stage
GROUP BY t.place, t.stage, t.target_days ORDER BY t.place
""")


async def overview(connection: AsyncConnection, now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """One line per stage: how many customers, for how long, and how many beyond the target of the policy in force."""
    policy = await current_policy(connection)
    rows = await connection.execute(
        _OVERVIEW,
        {
            "now": now,
            "zone": zone.key,
            "today": local_day(now, zone),
            "stages": list(STAGES),
            "targets": [policy.target_days.get(stage) for stage in STAGES],
        },
    )
    return {"as_of": now, "policy_version": policy.version, "stages": [dict(row) for row in rows.mappings()]}
