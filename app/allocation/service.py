"""Recommendations for sets of customers: load, compute, save what changed. The number of statements is fixed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.assumptions_store import Published, current_assumptions, document_digest
from app.allocation.engine.defaults import default_policy
from app.allocation.inputs import Inputs, age_on
from app.allocation.records import (
    Computed,
    ProfileSource,
    Versions,
    basis_of,
    class_of,
    compute,
    level_of,
    portfolio_keys,
    records_of,
    standing_keys,
)
from app.allocation.saving import Draft, postpone_reviews, save_drafts
from app.clock import new_id
from app.events import (
    CustomersCreated,
    CustomersMerged,
    CustomersUnmerged,
    CustomersUpdated,
    NewRecommendation,
    RecommendationsCreated,
    RiskProfilesCompleted,
    StagesChanged,
    publish,
)
from app.jobs import Worker, sweep

REVIEW_EVERY = timedelta(days=365)
"""A recommendation is computed again after this long at the latest: everybody grows older."""
REVIEWED_AT_ONCE = 1000
INPUT_FIELDS = frozenset({"birth_on", "segment", "kind"})
"""Fields of a customer that the portfolio follows from."""

_KNOWN = text(
    """SELECT c.id, c.kind, c.segment, c.stage, c.birth_on, c.version,
        p.id AS profile_id, p.tolerance, p.capacity, p.questionnaire_version, p.questionnaire_digest,
        p.created_at AS completed_at, p.valid_until, CAST(p.facts ->> 'horizon_years' AS float8) AS horizon_years,
        CAST(p.facts ->> 'liquidity_need' AS float8) AS liquidity_need,
        jsonb_array_length(p.contradictions) AS contradictions,
        r.recommendation_id, r.portfolio, r.standing, r.profile_until, r.review_at
    FROM customers c
    LEFT JOIN recommendation_current r ON r.customer_id = c.id
    LEFT JOIN LATERAL (SELECT * FROM risk_profiles
                       WHERE customer_id = ANY (ARRAY(SELECT c.id UNION ALL
                                                      SELECT d.id FROM customers d WHERE d.merged_into = c.id))
                       ORDER BY created_at DESC, id DESC LIMIT 1) p ON true
    WHERE c.id = ANY(:ids) ORDER BY c.id"""
)


async def recommend(
    session: AsyncSession, customer_ids: Sequence[UUID], now: datetime, *, silent: bool = False
) -> list[UUID]:
    """Bring the recommendations of locked customers up to date; returns the ids of the new ones.

    Nothing is written while the weights and the basis, class, level and binding limit are what they were. A change of
    the latter alone makes a new record; a change of weights makes a record and an event, unless `silent` (imports).
    """
    rows = (await session.execute(_KNOWN, {"ids": list(set(customer_ids))})).all() if customer_ids else []
    if not rows:
        return []
    published = await current_assumptions(session)
    computed = compute(default_policy(), published.assumptions, [_inputs(row, now) for row in rows])
    drafts = [
        _draft(row, portfolio, standing, now)
        for row, portfolio, standing in zip(
            rows, portfolio_keys(computed.result), standing_keys(computed.result), strict=True
        )
    ]
    changed = [i for i, draft in enumerate(drafts) if _key(rows[i]) != (draft.portfolio, draft.standing)]
    same = set(range(len(rows))) - set(changed)
    await postpone_reviews(session, [drafts[i] for i in sorted(same) if _outlived(rows[i], drafts[i], now)])
    if not changed:
        return []
    new = [drafts[i] for i in changed]
    records = _records(computed, [rows[i] for i in changed], changed, published, now)
    await save_drafts(session, computed.result, changed, new, records, published.version, now)
    loud = [] if silent else [i for i in changed if rows[i].portfolio != drafts[i].portfolio]
    if loud:
        publish(session, RecommendationsCreated(now, tuple(_announced(computed, i, drafts[i]) for i in loud)))
    return [draft.id for draft in new]


def _inputs(row: Row[Any], now: datetime) -> Inputs:
    valid = _profile_until(row, now) is not None
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
    )


def _profile_until(row: Row[Any], now: datetime) -> datetime | None:
    """Until when the latest profile is valid; None if there is none or it has ended."""
    until: datetime | None = row.valid_until
    return until if until is not None and until > now else None


def _draft(row: Row[Any], portfolio: str, standing: str, now: datetime) -> Draft:
    until = _profile_until(row, now)
    year = now + REVIEW_EVERY
    return Draft(row.id, new_id(), row.recommendation_id, portfolio, standing, until, min(until or year, year))


def _key(row: Row[Any]) -> tuple[str | None, str | None]:
    return row.portfolio, row.standing


def _outlived(row: Row[Any], draft: Draft, now: datetime) -> bool:
    """Whether an unchanged recommendation was due for review, or rests on another profile now."""
    return bool(row.review_at <= now or row.profile_until != draft.profile_until)


def _records(
    computed: Computed, rows: Sequence[Row[Any]], places: Sequence[int], published: Published, now: datetime
) -> list[dict[str, Any]]:
    profiles = [
        ProfileSource(
            row.profile_id, row.questionnaire_version, row.questionnaire_digest, row.completed_at, row.valid_until
        )
        if _profile_until(row, now)
        else None
        for row in rows
    ]
    return records_of(computed, places, profiles, [row.version for row in rows], versions_of(published), now)


def versions_of(published: Published) -> Versions:
    """The versions that a computation with these assumptions and the policy in force depends on."""
    return Versions(default_policy().version, document_digest("policy"), published.version, published.digest)


def _announced(computed: Computed, i: int, draft: Draft) -> NewRecommendation:
    result = computed.result
    return NewRecommendation(
        draft.customer_id, draft.id, basis_of(result, i), class_of(result, i), level_of(result.risk_level[i])
    )


async def recommend_to_new(session: AsyncSession, event: CustomersCreated) -> None:
    """Reaction: every customer has a recommendation from the beginning. Silent customers get theirs in silence."""
    for silent in (False, True):
        ids = [customer.customer_id for customer in event.customers if customer.silent is silent]
        await recommend(session, ids, event.at, silent=silent)


async def recommend_after_stage(session: AsyncSession, event: StagesChanged) -> None:
    """Reaction: a stage may permit other asset classes. The beginning of a life is `recommend_to_new`'s."""
    await recommend(session, [change.customer_id for change in event.changes if change.from_stage], event.at)


async def recommend_after_edit(session: AsyncSession, event: CustomersUpdated) -> None:
    """Reaction: age, segment and kind shape a portfolio, other fields do not."""
    ids = [change.customer_id for change in event.changes if not INPUT_FIELDS.isdisjoint(change.fields)]
    await recommend(session, ids, event.at)


async def recommend_after_profile(session: AsyncSession, event: RiskProfilesCompleted) -> None:
    """Reaction: an indication becomes advice."""
    await recommend(session, event.customer_ids, event.at)


async def recommend_after_merge(session: AsyncSession, event: CustomersMerged) -> None:
    """Reaction: the latest risk profile may be one that a duplicate brought."""
    await recommend(session, [merge.customer_id for merge in event.merges], event.at)


async def recommend_after_parting(session: AsyncSession, event: CustomersUnmerged) -> None:
    """Reaction: each of both has its own risk profiles again."""
    await recommend(session, [i for merge in event.merges for i in (merge.customer_id, merge.duplicate_id)], event.at)


async def review_due(session: AsyncSession, now: datetime, limit: int = REVIEWED_AT_ONCE) -> int:
    """Recommend to customers whose profile has ended or whose year is over; returns how many were looked at."""
    due = await session.execute(
        text(
            "SELECT c.id FROM customers c JOIN recommendation_current r ON r.customer_id = c.id"
            " WHERE r.review_at <= :now AND c.merged_into IS NULL"
            " ORDER BY r.review_at, c.id LIMIT :limit FOR NO KEY UPDATE OF c SKIP LOCKED"
        ),
        {"now": now, "limit": limit},
    )
    ids = list(due.scalars())
    await recommend(session, ids, now)
    return len(ids)


@sweep("review_recommendations")
async def run(worker: Worker) -> bool:
    """One batch in one transaction."""
    async with worker.database.transaction() as session:
        return await review_due(session, worker.clock()) == REVIEWED_AT_ONCE
