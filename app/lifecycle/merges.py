"""What follows when duplicates are merged or parted: signals change hands, facts are added up anew, both are judged."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.merging import pairs_of
from app.customers.service import set_profile
from app.events import CustomersMerged, CustomersUnmerged, MergesAhead
from app.lifecycle.by_hand import moments
from app.lifecycle.core.signals import OWN_SOURCE
from app.lifecycle.models import LifecycleState
from app.lifecycle.rebuilding import rebuild
from app.lifecycle.retracting import changed_profiles
from app.lifecycle.service import catch_up, evaluate, switch_policy

# Edits of the duplicate's profile stay with it: the survivor's profile is the one that counts.
_JOIN = text(f"""
UPDATE signals s SET customer_id = v.customer_id, origin_id = coalesce(s.origin_id, v.duplicate_id)
FROM unnest(CAST(:customers AS uuid[]), CAST(:duplicates AS uuid[])) AS v(customer_id, duplicate_id)
WHERE s.customer_id = v.duplicate_id AND NOT (s.source = '{OWN_SOURCE}' AND s.type = 'profile_changed')
""")  # noqa: S608 - a constant
_SPLIT = text("""
UPDATE signals s SET customer_id = v.duplicate_id, origin_id = NULL
FROM unnest(CAST(:customers AS uuid[]), CAST(:duplicates AS uuid[])) AS v(customer_id, duplicate_id)
WHERE s.customer_id = v.customer_id AND s.origin_id = v.duplicate_id
""")
_MISSED = text("""
SELECT d.customer_id, c.policy_version
FROM unnest(CAST(:customers AS uuid[]), CAST(:duplicates AS uuid[])) AS v(customer_id, duplicate_id)
JOIN lifecycle_state c ON c.customer_id = v.customer_id
JOIN lifecycle_state d ON d.customer_id = v.duplicate_id AND d.policy_version < c.policy_version
""")

_MOMENTS = text("""
INSERT INTO lifecycle_inputs (customer_id, position, kind, at)
SELECT v.id, coalesce(m.undone_position, m.position), 'moment', v.at
FROM unnest(CAST(:ids AS uuid[]), CAST(:at AS timestamptz[])) AS v(id, at)
JOIN customer_merges m ON m.id = ANY(:merges) AND v.id IN (m.customer_id, m.duplicate_id)
""")


async def prepare(session: AsyncSession, event: MergesAhead, zone: ZoneInfo) -> None:
    """Do for each what time has made due, as if it had been looked at in time."""
    await catch_up(session, event.customer_ids, event.at, zone)


async def join(session: AsyncSession, event: CustomersMerged, zone: ZoneInfo) -> None:
    """Move the signals of duplicates to their customers, who are judged once; for the duplicates time stands still."""
    pairs = pairs_of(event.merges)
    await session.execute(_JOIN, pairs)
    await session.execute(
        update(LifecycleState)
        .where(LifecycleState.customer_id.in_(pairs["duplicates"]))
        .values(next_evaluation_at=None)
    )
    customers = sorted(set(pairs["customers"]))
    everybody = {*customers, *pairs["duplicates"]}
    await _note_moments(session, [m.merge_id for m in event.merges], everybody, event.at)
    await _judge(session, customers, everybody, event.at, zone)


async def split(session: AsyncSession, event: CustomersUnmerged, zone: ZoneInfo) -> None:
    """Give signals back to their duplicates; all are judged once, and for the duplicates time goes on.

    A duplicate that missed the publication of a policy follows its customer to it.
    """
    pairs = pairs_of(event.merges)
    await session.execute(_SPLIT, pairs)
    both = sorted({*pairs["customers"], *pairs["duplicates"]})
    await _note_moments(session, [m.merge_id for m in event.merges], both, event.at)
    await _judge(session, both, both, event.at, zone)
    missed: dict[int, list[UUID]] = {}
    for row in await session.execute(_MISSED, pairs):
        missed.setdefault(row.policy_version, []).append(row.customer_id)
    for version, duplicates in missed.items():
        await switch_policy(session, duplicates, version, event.at, zone, "full")


async def _note_moments(
    session: AsyncSession, merge_ids: Sequence[UUID], concerned: Collection[UUID], now: datetime
) -> None:
    """Record for whom time had got further than `now` when they were merged or parted, at its position."""
    ahead = {i: moment for i, moment in (await moments(session, sorted(concerned), now)).items() if moment > now}
    if ahead:
        await session.execute(_MOMENTS, {"merges": list(merge_ids), "ids": list(ahead), "at": list(ahead.values())})


async def _judge(
    session: AsyncSession, customer_ids: Sequence[UUID], concerned: Collection[UUID], now: datetime, zone: ZoneInfo
) -> None:
    """Add up the facts of all concerned anew, and evaluate the customers at `now`, or where time has got to for them."""
    at = await moments(session, customer_ids, now)
    signals = await rebuild(session, sorted(concerned), zone)
    changed = await changed_profiles(session, {i: signals[i] for i in customer_ids})
    if changed:
        await set_profile(session, changed, now)
    await evaluate(session, customer_ids, now, zone, at=at)
