"""What is known of customers when portfolios are computed: read in one statement, for any number of them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.engine.upkeep import Upkeep
from app.allocation.inputs import Inputs, age_on
from app.allocation.records import ProfileSource

# Of merged duplicates everything that limits counts: what somebody never wants does not vanish by a merge.
_KNOWN = text(
    """SELECT c.id, c.kind, c.segment, c.tier, c.stage, c.birth_on, c.version,
        p.id AS profile_id, p.tolerance, p.capacity, p.questionnaire_version, p.questionnaire_digest,
        p.created_at AS completed_at, p.valid_until, CAST(p.facts ->> 'horizon_years' AS float8) AS horizon_years,
        CAST(p.facts ->> 'liquidity_need' AS float8) AS liquidity_need,
        jsonb_array_length(p.contradictions) AS contradictions,
        s.excluded, s.minimum_cash, s.withdrawal_share, s.withdrawal_amount, s.withdrawal_by, s.closure_announced_at,
        s.restrictions_at, h.total AS held, h.as_of AS held_at,
        r.recommendation_id, r.portfolio, r.standing, r.profile_until, r.review_at
    FROM customers c
    LEFT JOIN recommendation_current r ON r.customer_id = c.id
    LEFT JOIN holdings h ON h.customer_id = c.id
    LEFT JOIN LATERAL (SELECT * FROM risk_profiles
                       WHERE customer_id = ANY (ARRAY(SELECT c.id UNION ALL
                                                      SELECT d.id FROM customers d WHERE d.merged_into = c.id))
                       ORDER BY created_at DESC, id DESC LIMIT 1) p ON true
    LEFT JOIN LATERAL (SELECT array_agg(DISTINCT class ORDER BY class) FILTER (WHERE class IS NOT NULL) AS excluded,
                           max(minimum_cash) AS minimum_cash, max(updated_at) AS restrictions_at,
                           max(withdrawal_share) FILTER (WHERE a.customer_id = c.id) AS withdrawal_share,
                           max(withdrawal_amount) FILTER (WHERE a.customer_id = c.id) AS withdrawal_amount,
                           max(withdrawal_by) FILTER (WHERE a.customer_id = c.id) AS withdrawal_by,
                           min(closure_announced_at) FILTER (WHERE a.customer_id = c.id) AS closure_announced_at
                       FROM allocation_circumstances a LEFT JOIN LATERAL unnest(a.excluded) AS class ON true
                       WHERE a.customer_id = ANY (ARRAY(SELECT c.id UNION ALL
                                                        SELECT d.id FROM customers d WHERE d.merged_into = c.id))) s
        ON true
    WHERE c.id = ANY(:ids) ORDER BY c.id"""
)


async def known(session: AsyncSession, customer_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """One row for each of the customers that exist, by id."""
    return (await session.execute(_KNOWN, {"ids": list(set(customer_ids))})).all() if customer_ids else []


def inputs_of(row: Row[Any], upkeep: Upkeep, now: datetime) -> Inputs:
    """A customer as the engine sees them now."""
    valid = profile_until(row, now) is not None
    return Inputs(
        kind=row.kind,
        segment=row.segment,
        stage=row.stage,
        age=age_on(row.birth_on, now.astimezone(UTC).date()),
        tolerance=row.tolerance if valid else None,
        capacity=row.capacity if valid else None,
        horizon_years=row.horizon_years if valid else None,
        liquidity_need=row.liquidity_need if valid else None,
        has_valid_profile=valid,
        contradictions=row.contradictions if valid else 0,
        announced_withdrawal=announced_share(row, upkeep, now),
        excluded=tuple(row.excluded or ()),
        minimum_cash=float(row.minimum_cash or 0),
    )


def profile_until(row: Row[Any], now: datetime) -> datetime | None:
    """Until when the latest profile is valid; None if there is none or it has ended."""
    until: datetime | None = row.valid_until
    return until if until is not None and until > now else None


def announced_share(row: Row[Any], upkeep: Upkeep, now: datetime) -> float:
    """The share of the money that is about to leave: all of it with a closure, else what the customer plans to withdraw
    within the notice of the policy. An amount needs holdings to be a share of."""
    if row.closure_announced_at is not None:
        return 1.0
    if row.withdrawal_by is None or not _noticed(row.withdrawal_by, upkeep, now.astimezone(UTC).date()):
        return 0.0
    if row.withdrawal_share is not None:
        return float(row.withdrawal_share)
    held, amount = row.held or Decimal(0), row.withdrawal_amount or Decimal(0)
    return float(min(round(amount / held, 4), Decimal(1))) if held else 0.0


def _noticed(by: date, upkeep: Upkeep, today: date) -> bool:
    return by - timedelta(days=upkeep.withdrawal_notice_days) <= today <= by


def next_review(row: Row[Any], upkeep: Upkeep, now: datetime) -> datetime:
    """When time alone may change the portfolio: the profile ends, the period of the tier is over, a withdrawal comes
    within its notice or is past."""
    moments = [now + timedelta(days=upkeep.days_for(row.tier))]
    until = profile_until(row, now)
    if until is not None:
        moments.append(until)
    if row.withdrawal_by is not None:
        notice = timedelta(days=upkeep.withdrawal_notice_days)
        days = (row.withdrawal_by - notice, row.withdrawal_by + timedelta(days=1))
        moments += [m for m in (datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days) if m > now]
    return min(moments)


def profile_source(row: Row[Any], now: datetime) -> ProfileSource | None:
    """The questionnaire that a recommendation of now rests on."""
    if profile_until(row, now) is None:
        return None
    return ProfileSource(
        row.profile_id, row.questionnaire_version, row.questionnaire_digest, row.completed_at, row.valid_until
    )


def sources_of(row: Row[Any]) -> dict[str, Any]:
    """Where the limits beside the profile come from, for the record; empty without any."""
    found = {
        "restrictions_at": row.restrictions_at,
        "closure_announced_at": row.closure_announced_at,
        "withdrawal_share": row.withdrawal_share,
        "withdrawal_amount": row.withdrawal_amount,
        "withdrawal_by": row.withdrawal_by,
        "holdings_as_of": row.held_at if row.withdrawal_amount is not None else None,
    }
    return {
        name: str(value) if isinstance(value, Decimal) else value.isoformat()
        for name, value in found.items()
        if value is not None
    }
