"""What the playbook would plan if customers were moved. Writes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Uuid, any_, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.models import Customer
from app.lifecycle.by_hand import Foreseen
from app.playbooks.models import PlaybookPin
from app.playbooks.plan import PlannedAction, plan, plan_freezes
from app.playbooks.service import FACT_COLUMNS, facts_of, load_playbooks
from app.playbooks.storing import CORRECTED

_KNOWN = text("""
SELECT a.customer_id, a.scope, a.key, a.occurrence
FROM actions a JOIN unnest(CAST(:customers AS uuid[]), CAST(:scopes AS text[]), CAST(:keys AS text[])) AS w(i, s, k)
ON a.customer_id = w.i AND a.scope = w.s AND a.key = w.k
WHERE NOT coalesce(a.status = 'cancelled' AND a.reason = :corrected AND a.finished_by IS NULL, false)
""")

_Identity = tuple[UUID, str, str, str]


class Start(NamedTuple):
    """An action that would be planned for some customers; `action` is that of one of them."""

    action: PlannedAction
    customers: int


async def starting(session: AsyncSession, moving: Sequence[Foreseen], now: datetime, zone: ZoneInfo) -> list[Start]:
    """What the moves, and the freezes that they begin, would start beside what is planned or done already.

    The playbook plans the same for customers who are alike, so one of them is asked about for all.
    """
    rows = await session.execute(
        select(*FACT_COLUMNS, PlaybookPin.interval_id, PlaybookPin.playbook_version)
        .outerjoin(PlaybookPin, PlaybookPin.customer_id == Customer.id)
        .where(Customer.id == any_(bindparam(None, [one.customer_id for one in moving], ARRAY(Uuid))))
    )
    standing = {row.id: row for row in rows}
    groups = {group[0].customer_id: group for group in _alike(moving, standing)}
    planned = await _planned(session, [group[0] for group in groups.values()], standing, now, zone)
    wanted = [list(_identities(action, groups[action.customer_id])) for action in planned]
    fresh = {str(one.change.scope_id) for one in moving}  # nothing is known of a stay that has not begun
    known = await _known(session, [i for identities in wanted for i in identities if i[1] not in fresh])
    starts = []
    for action, identities in zip(planned, wanted, strict=True):
        new = set(identities) - known
        known |= new
        starts.append(Start(action, len(new)))
    return [start for start in starts if start.customers]


def _alike(moving: Sequence[Foreseen], standing: Mapping[UUID, Any]) -> list[list[Foreseen]]:
    """Customers grouped by everything that a plan depends on."""
    groups: dict[Any, list[Foreseen]] = {}
    for one in moving:
        change, row = one.change, standing[one.customer_id]
        version = row.playbook_version if row.interval_id == change.left_scope_id else None
        traits = replace(facts_of(row), name="", owner=None)
        key = (change.from_stage, change.to_stage, change.effective_at, version, traits, one.frozen_until)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


async def _planned(
    session: AsyncSession, moving: Sequence[Foreseen], standing: Mapping[UUID, Any], now: datetime, zone: ZoneInfo
) -> list[PlannedAction]:
    rows = [standing[one.customer_id] for one in moving]
    pins = {row.interval_id: row.playbook_version for row in rows if row.interval_id is not None}
    newest, books = await load_playbooks(session, set(pins.values()), now)
    pinned = {interval_id: books[version] for interval_id, version in pins.items()}
    facts = {row.id: facts_of(row) for row in rows}
    frozen = [(o.customer_id, o.change.interval_id, o.frozen_until) for o in moving if o.frozen_until is not None]
    stages = {one.customer_id: (facts[one.customer_id], one.change.to_stage) for one in moving}
    planned = plan(newest, pinned, [one.change for one in moving], facts, now)
    return planned + plan_freezes(newest, frozen, stages, now, zone)


def _identities(action: PlannedAction, group: Sequence[Foreseen]) -> Iterator[_Identity]:
    """What the action would be stored under, for each of those who are alike."""
    example = group[0].change
    for one in group:
        scope = action.scope
        if scope == str(example.scope_id):
            scope = str(one.change.scope_id)
        elif scope == str(example.left_scope_id):
            scope = str(one.change.left_scope_id)
        yield one.customer_id, scope, action.key, action.occurrence


async def _known(session: AsyncSession, wanted: Sequence[_Identity]) -> set[_Identity]:
    """What of it is there already and would stay as it is."""
    found = await session.execute(
        _KNOWN,
        {
            "corrected": CORRECTED,
            "customers": [identity[0] for identity in wanted],
            "scopes": [identity[1] for identity in wanted],
            "keys": [identity[2] for identity in wanted],
        },
    )
    return {(row.customer_id, row.scope, row.key, row.occurrence) for row in found}
