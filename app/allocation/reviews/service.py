"""Reasons for somebody to look at a customer's portfolio: how they come up, and how they go."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.models import PortfolioReview
from app.clock import new_id
from app.customers.service import lock
from app.errors import Problem, not_found
from app.events import (
    CustomersMerged,
    HoldingsChanged,
    LifeEventsTold,
    PortfolioReviewsOpened,
    RiskProfilesCompleted,
    publish,
)

DRIFT, LIFE_EVENT, PROFILE_ENDS = "drift", "life_event", "profile_ends"
REASONS = (DRIFT, LIFE_EVENT, PROFILE_ENDS)
_ACTOR = "stagefolio"
_LONGEST_KIND = 100


class Found(NamedTuple):
    """A reason to look at a customer's portfolio, with what belongs to it: JSON values, times in UTC."""

    customer_id: UUID
    reason: str
    details: dict[str, Any]


_OPEN = text(
    """INSERT INTO portfolio_reviews AS present (id, customer_id, reason, details, opened_at)
    SELECT id, customer_id, reason, CAST(details AS jsonb), :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:customers AS uuid[]), CAST(:reasons AS text[]), CAST(:details AS text[]))
        AS v(id, customer_id, reason, details)
    ON CONFLICT (customer_id, reason) WHERE closed_at IS NULL DO UPDATE SET details = EXCLUDED.details
    WHERE present.details IS DISTINCT FROM EXCLUDED.details
    RETURNING id, customer_id, reason"""
)
_CLOSE = text(
    """UPDATE portfolio_reviews SET closed_at = :now, closed_by = :actor, outcome = :outcome
    WHERE customer_id = ANY(:customers) AND reason = ANY(:reasons) AND closed_at IS NULL"""
)
# Of merged duplicates the profiles count, too; an accepted portfolio stays in force when its profile has ended.
_ASKED = text(
    """SELECT c.id FROM customers c
    WHERE c.id = ANY(:ids) AND c.merged_into IS NULL
        AND (EXISTS (SELECT FROM risk_profiles p
                     WHERE p.customer_id = ANY (ARRAY(SELECT c.id UNION ALL
                                                      SELECT d.id FROM customers d WHERE d.merged_into = c.id)))
             OR EXISTS (SELECT FROM recommendations r
                        WHERE r.customer_id = c.id AND r.basis = 'advised' AND r.state IN ('proposed', 'accepted')))"""
)
# Nobody has drifted from what was only proposed to them.
_DRIFT = text(
    "SELECT h.customer_id, h.drift, h.breached FROM holdings h JOIN recommendations r ON r.id = h.against"
    " WHERE h.customer_id = ANY(:ids) AND r.state = 'accepted'"
)
_FORGET_REMINDER = text("UPDATE recommendation_current SET reminded_of = NULL WHERE customer_id = ANY(:ids)")


async def open_reviews(session: AsyncSession, found: Iterable[Found], now: datetime) -> list[UUID]:
    """Open a review for each of these reasons, and tell of it; returns the ids of the new ones.

    One that is open already keeps its time and takes the newer details. Of a customer and reason named twice, the last
    counts. One statement.
    """
    latest = {(one.customer_id, one.reason): one.details for one in found}
    if not latest:
        return []
    wanted = sorted(latest)
    ids = [new_id() for _ in wanted]
    details = [orjson.dumps(latest[key], option=orjson.OPT_UTC_Z).decode() for key in wanted]
    columns = {"customers": [customer for customer, _ in wanted], "reasons": [reason for _, reason in wanted]}
    rows = await session.execute(_OPEN, {"now": now, "ids": ids, "details": details, **columns})
    ours = set(ids)
    new = tuple((row.customer_id, row.id, row.reason) for row in rows if row.id in ours)
    if new:
        publish(session, PortfolioReviewsOpened(now, new))
    return [review_id for _, review_id, _ in new]


async def close_reviews(
    session: AsyncSession,
    customer_ids: Collection[UUID],
    reasons: Collection[str],
    now: datetime,
    actor: str,
    outcome: str,
) -> None:
    """Close what is open for these reasons; nothing where nothing is. One statement."""
    if customer_ids:
        whose = {"customers": list(customer_ids), "reasons": list(reasons)}
        await session.execute(_CLOSE, {"now": now, "actor": actor, "outcome": outcome, **whose})


async def close_by_hand(
    session: AsyncSession, review_id: UUID, now: datetime, *, outcome: str, note: str | None, by: str
) -> None:
    """Note what somebody who looked has done. Closing again with the same outcome changes nothing.

    404 if there is no such review; 409 `conflict` if it was closed with another outcome.
    """
    customer_id = await session.scalar(select(PortfolioReview.customer_id).where(PortfolioReview.id == review_id))
    if customer_id is None or not await lock(session, [customer_id]):
        raise not_found("portfolio review")
    review = await session.get(PortfolioReview, review_id, with_for_update=True)
    if review is None:
        raise not_found("portfolio review")
    if review.closed_at is None:
        review.closed_at, review.closed_by, review.outcome, review.note = now, by, outcome, note
        await session.flush()
    elif review.outcome != outcome:
        raise Problem("conflict", f"The review was closed with the outcome {review.outcome}.")


async def ask_after_life_events(session: AsyncSession, event: LifeEventsTold) -> None:
    """Reaction: the answers of somebody who gave any may no longer hold. Of several events the latest is shown."""
    told = sorted(event.items, key=lambda item: item.occurred_at)
    asked = set(await session.scalars(_ASKED, {"ids": list({item.customer_id for item in told})}))
    found = [
        Found(
            item.customer_id,
            LIFE_EVENT,
            {"kind": item.kind and item.kind[:_LONGEST_KIND], "occurred_at": item.occurred_at},
        )
        for item in told
        if item.customer_id in asked
    ]
    await open_reviews(session, found, event.at)


async def close_renewed(session: AsyncSession, event: RiskProfilesCompleted) -> None:
    """Reaction: whoever has answered the questionnaire again need not be asked to."""
    reasons = (LIFE_EVENT, PROFILE_ENDS)
    await close_reviews(session, event.customer_ids, reasons, event.at, _ACTOR, "profile_renewed")


async def follow_drift(session: AsyncSession, event: HoldingsChanged) -> None:
    """Reaction: who holds an accepted portfolio outside its bands is to be looked at until it is within them again."""
    rows = await session.execute(_DRIFT, {"ids": list(event.breached)}) if event.breached else ()
    found = [
        Found(row.customer_id, DRIFT, {"drift": f"{row.drift or 0:.6f}", "breached": row.breached}) for row in rows
    ]
    await open_reviews(session, found, event.at)
    drifted = {one.customer_id for one in found}
    within = [customer_id for customer_id in event.customer_ids if customer_id not in drifted]
    await close_reviews(session, within, (DRIFT,), event.at, _ACTOR, "within_bands")


async def close_merged(session: AsyncSession, event: CustomersMerged) -> None:
    """Reaction: nobody looks at a merged duplicate. Should the merge be undone, its profile is reminded of again."""
    duplicates = [merge.duplicate_id for merge in event.merges]
    await close_reviews(session, duplicates, REASONS, event.at, _ACTOR, "merged")
    await session.execute(_FORGET_REMINDER, {"ids": duplicates})
