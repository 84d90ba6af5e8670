"""Records what decisions depend on beside signals and transitions, and reads signals back as they arrived."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.lifecycle.core.book import Noted


async def note_inputs(
    session: AsyncSession, kind: str, inputs: Mapping[UUID, tuple[datetime, Mapping[str, Any]]]
) -> None:
    """Record one input of a kind for each locked customer: customer -> (moment, data). See models.LifecycleInput."""
    if inputs:
        await session.execute(
            text(
                "INSERT INTO lifecycle_inputs (customer_id, kind, at, data) SELECT i, :kind, a, d::jsonb FROM"
                " unnest(CAST(:ids AS uuid[]), CAST(:at AS timestamptz[]), CAST(:data AS text[])) AS v(i, a, d)"
            ),
            {
                "kind": kind,
                "ids": list(inputs),
                "at": [at for at, _ in inputs.values()],
                "data": [orjson.dumps(data).decode() for _, data in inputs.values()],
            },
        )


async def note_moments(session: AsyncSession, moments: Mapping[UUID, datetime]) -> None:
    """Record that the batch stored last was judged later than it was received, for these customers."""
    if moments:
        await session.execute(
            text(
                "INSERT INTO lifecycle_inputs (customer_id, position, kind, at)"
                " SELECT i, currval('lifecycle_positions'), 'moment', a"
                " FROM unnest(CAST(:ids AS uuid[]), CAST(:at AS timestamptz[])) AS v(i, a)"
            ),
            {"ids": list(moments), "at": list(moments.values())},
        )


async def signals_of(
    executor: AsyncSession | AsyncConnection, customer_ids: Sequence[UUID], *, retracted: bool = False
) -> dict[UUID, list[Noted]]:
    """All signals of each customer in order of position; with `retracted`, also those that count no more."""
    found: dict[UUID, list[Noted]] = {customer_id: [] for customer_id in customer_ids}
    rows = await executor.execute(
        text(
            "SELECT s.customer_id, s.position, s.received_at, s.source, s.source_event_id, s.type, s.occurred_at,"
            " s.payload::text AS payload, s.origin_id, coalesce(m.position, 0) AS joined FROM signals s"
            " LEFT JOIN customer_merges m ON m.duplicate_id = s.origin_id AND m.customer_id = s.customer_id"
            " AND m.undone_at IS NULL AND m.position > s.position"
            " WHERE s.customer_id = ANY(:ids) AND (:retracted OR s.retracted_at IS NULL) ORDER BY s.position, s.id"
        ),
        {"ids": list(customer_ids), "retracted": retracted},
    )
    for row in rows:
        found[row.customer_id].append(
            Noted(
                row.position,
                row.received_at,
                row.source,
                row.source_event_id,
                row.type,
                row.occurred_at,
                orjson.loads(row.payload),
                str(row.origin_id or row.customer_id),
                row.joined,
            )
        )
    return found
