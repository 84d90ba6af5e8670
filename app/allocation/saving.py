"""Writes recommendations: bulk statements on locked customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.engine.recommend import Recommendations
from app.allocation.records import alike, basis_of, class_of, level_of, limit_of, share, status_of, weights_of


@dataclass(frozen=True, slots=True)
class Draft:
    """A recommendation about to be written: whose, its id, the one before, the keys it is compared by, its times."""

    customer_id: UUID
    id: UUID
    former: UUID | None
    portfolio: str
    standing: str
    profile_until: datetime | None
    review_at: datetime


async def postpone_reviews(session: AsyncSession, drafts: Sequence[Draft]) -> None:
    """Note for unchanged recommendations which profile they rest on now, and when to look again."""
    if drafts:
        await session.execute(
            text(
                "UPDATE recommendation_current r SET profile_until = v.profile_until, review_at = v.review_at"
                " FROM unnest(CAST(:customers AS uuid[]), CAST(:profiles AS timestamptz[]),"
                " CAST(:reviews AS timestamptz[])) AS v(customer_id, profile_until, review_at)"
                " WHERE r.customer_id = v.customer_id"
            ),
            {
                "customers": [d.customer_id for d in drafts],
                "profiles": [d.profile_until for d in drafts],
                "reviews": [d.review_at for d in drafts],
            },
        )


_SUPERSEDE = text(
    "UPDATE recommendations SET state = 'superseded' WHERE customer_id = ANY(:customers) AND state = 'proposed'"
)
_INSERT = text(
    """INSERT INTO recommendations (id, customer_id, basis, state, status, weights, expected_return, volatility,
        annual_cost, risk_class, risk_level, limit_code, record, created_at, supersedes)
    SELECT id, customer_id, basis, 'proposed', status, CAST(weights AS jsonb), CAST(expected_return AS numeric),
        CAST(volatility AS numeric), CAST(annual_cost AS numeric), risk_class, risk_level, limit_code,
        CAST(record AS jsonb), :now, supersedes
    FROM unnest(CAST(:ids AS uuid[]), CAST(:customers AS uuid[]), CAST(:bases AS text[]), CAST(:statuses AS text[]),
        CAST(:weights AS text[]), CAST(:returns AS text[]), CAST(:volatilities AS text[]), CAST(:costs AS text[]),
        CAST(:classes AS text[]), CAST(:levels AS text[]), CAST(:limits AS text[]), CAST(:records AS text[]),
        CAST(:supersedes AS uuid[]))
    AS v(id, customer_id, basis, status, weights, expected_return, volatility, annual_cost, risk_class, risk_level,
        limit_code, record, supersedes)"""
)
_POINT = text(
    """INSERT INTO recommendation_current
        (customer_id, recommendation_id, portfolio, standing, profile_until, review_at)
    SELECT * FROM unnest(CAST(:customers AS uuid[]), CAST(:ids AS uuid[]), CAST(:portfolios AS text[]),
        CAST(:standings AS text[]), CAST(:profiles AS timestamptz[]), CAST(:reviews AS timestamptz[]))
    ON CONFLICT (customer_id) DO UPDATE SET recommendation_id = EXCLUDED.recommendation_id,
        portfolio = EXCLUDED.portfolio, standing = EXCLUDED.standing, profile_until = EXCLUDED.profile_until,
        review_at = EXCLUDED.review_at"""
)


async def save_drafts(
    session: AsyncSession,
    result: Recommendations,
    rows: Sequence[int],
    drafts: Sequence[Draft],
    records: Sequence[dict[str, Any]],
    now: datetime,
) -> None:
    """Propose the portfolios of the chosen rows of `result`, one draft and one record each.

    A proposal that nobody answered is superseded; an accepted portfolio stays in force until the new one is accepted.
    """
    owned = {"ids": [d.id for d in drafts], "customers": [d.customer_id for d in drafts]}
    await session.execute(_SUPERSEDE, {"customers": owned["customers"]})
    shown = _columns(result, rows)
    documents = {"records": [orjson.dumps(record).decode() for record in records]}
    former = {"supersedes": [d.former for d in drafts]}
    await session.execute(_INSERT, {"now": now, **owned, **shown, **documents, **former})
    await session.execute(
        _POINT,
        {
            **owned,
            "portfolios": [d.portfolio for d in drafts],
            "standings": [d.standing for d in drafts],
            "profiles": [d.profile_until for d in drafts],
            "reviews": [d.review_at for d in drafts],
        },
    )


def _columns(result: Recommendations, rows: Sequence[int]) -> dict[str, list[Any]]:
    """What the engine said of the chosen rows, as columns of `recommendations`."""
    one_of_each, place_of = alike(result, rows)
    shown = [
        (
            *(basis_of(result, i), status_of(result, i), class_of(result, i), level_of(result.risk_level[i])),
            orjson.dumps(weights_of(result.codes, result.weights[i])).decode(),
            *(share(float(f[i])) for f in (result.expected_return, result.volatility, result.annual_cost)),
        )
        for i in one_of_each
    ]
    names = ("bases", "statuses", "classes", "levels", "weights", "returns", "volatilities", "costs")
    columns = zip(*(shown[place] for place in place_of), strict=True)
    return {**dict(zip(names, map(list, columns), strict=True)), "limits": [limit_of(result, i) for i in rows]}
