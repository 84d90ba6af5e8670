"""Recommendations for sets of customers: load, compute, save what changed. The number of statements is fixed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.engine.changes import is_news
from app.allocation.engine.upkeep import Upkeep
from app.allocation.knowing import inputs_of, known, next_review, profile_source, profile_until, sources_of
from app.allocation.records import (
    Computed,
    Sources,
    basis_of,
    class_of,
    compute,
    level_of,
    portfolio_keys,
    records_of,
    shares_of,
    standing_keys,
)
from app.allocation.saving import Draft, postpone_reviews, save_drafts
from app.allocation.versions.store import in_force
from app.clock import new_id
from app.events import NewRecommendation, RecommendationsCreated, publish


async def recommend(
    session: AsyncSession, customer_ids: Sequence[UUID], now: datetime, *, silent: bool = False
) -> list[UUID]:
    """Bring the recommendations of locked customers up to date; returns the ids of the new ones.

    Nothing is written while the weights are no news (see engine/changes.py) and basis, class, level and binding limit
    are what they were. A change of the latter alone makes a new record; a change of weights makes a record and an event,
    unless `silent` (imports).
    """
    rows = await known(session, customer_ids)
    if not rows:
        return []
    rules = await in_force(session)
    upkeep = rules.policy.upkeep
    computed = compute(rules.policy, rules.assumptions, [inputs_of(row, upkeep, now) for row in rows])
    keys = zip(rows, portfolio_keys(computed.result), standing_keys(computed.result), strict=True)
    drafts = [_draft(row, portfolio, standing, upkeep, now) for row, portfolio, standing in keys]
    changed = _changed(computed, rows, drafts)
    same = set(range(len(rows))) - set(changed)
    await postpone_reviews(session, [drafts[i] for i in sorted(same) if _outlived(rows[i], drafts[i], now)])
    if not changed:
        return []
    new = [drafts[i] for i in changed]
    sources = [Sources(rows[i].version, profile_source(rows[i], now), sources_of(rows[i])) for i in changed]
    records = records_of(computed, changed, sources, rules.versions, now)
    await save_drafts(session, computed.result, changed, new, records, now)
    loud = [] if silent else [i for i in changed if rows[i].portfolio != drafts[i].portfolio]
    if loud:
        publish(session, RecommendationsCreated(now, tuple(_announced(computed, i, drafts[i]) for i in loud)))
    return [draft.id for draft in new]


def _draft(row: Row[Any], portfolio: str, standing: str, upkeep: Upkeep, now: datetime) -> Draft:
    until, review_at = profile_until(row, now), next_review(row, upkeep, now)
    return Draft(row.id, new_id(), row.recommendation_id, portfolio, standing, until, review_at)


def _changed(computed: Computed, rows: Sequence[Row[Any]], drafts: Sequence[Draft]) -> list[int]:
    """The rows that need a new record. Customers who had and get the same are judged once."""
    result, judged = computed.result, dict[tuple[str, str, int, int], bool]()
    changed = []
    for i, (row, draft) in enumerate(zip(rows, drafts, strict=True)):
        if row.standing != draft.standing:
            changed.append(i)
        elif row.portfolio != draft.portfolio:
            key = (row.portfolio, draft.portfolio, int(result.signature[i]), int(result.risk_class[i]))
            if key not in judged:
                portfolios = result.portfolios[key[2]]
                former = shares_of(row.portfolio)
                news = is_news(computed.policy, computed.assumptions, portfolios, key[3], former, result.weights[i])
                judged[key] = news
            if judged[key]:
                changed.append(i)
    return changed


def _outlived(row: Row[Any], draft: Draft, now: datetime) -> bool:
    """Whether an unchanged recommendation was due for review, or is due at another time now."""
    return bool(row.review_at <= now or row.profile_until != draft.profile_until or draft.review_at < row.review_at)


def _announced(computed: Computed, i: int, draft: Draft) -> NewRecommendation:
    result = computed.result
    return NewRecommendation(
        draft.customer_id, draft.id, basis_of(result, i), class_of(result, i), level_of(result.risk_level[i])
    )
