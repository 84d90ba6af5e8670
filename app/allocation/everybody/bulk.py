"""Reads customers in bulk for the review of everybody: a chunk comes over as one block of fixed-width binary rows, which
numpy reads in place. No Python object is made for a customer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.allocation.engine.policy import STAGES
from app.allocation.engine.upkeep import TIERS
from app.allocation.versions.store import InForce
from app.customers.models import SEGMENTS

CHUNK = 50_000
"""Customers screened at once."""

_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # of dates and times in binary rows
NO_DAY = -(2**31)
SHARE = 10_000  # shares have four decimals
CASH_BITS = 14  # of 0 to SHARE

_UNTIL = text(
    """SELECT id FROM customers WHERE merged_into IS NULL AND id > :after AND segment = ANY(:segments)
    AND stage = ANY(:stages) ORDER BY id OFFSET :most - 1 LIMIT 1"""
)
BAR = "|"
_FORMER = f"r.portfolio || '{BAR}' || r.standing"
_FORMERS = text(
    f"""SELECT DISTINCT hashtextextended({_FORMER}, 0) AS code, {_FORMER} AS former FROM recommendation_current r
    WHERE customer_id > :after AND customer_id <= :until"""  # noqa: S608 - fixed text
)

# Joined by sorting and hashing whatever the planner believes: after a large import its statistics are old, and nested
# loops over 50,000 rows that it takes for a few would last for minutes.
_NO_LOOPS = text("SET LOCAL enable_nestloop = off")

# As `knowing.py` reads them: of merged duplicates the latest profile and all that limits count too. No column is null.
_DUPLICATES = "ANY (ARRAY(SELECT id FROM customers WHERE merged_into > $1 AND merged_into <= $2))"
_OWNER = "(SELECT merged_into FROM customers d WHERE d.id = customer_id)"
_ROWS = f"""
WITH profiles AS (
    SELECT DISTINCT ON (owner) * FROM (
        SELECT customer_id AS owner, created_at, id, tolerance, capacity, facts, valid_until FROM risk_profiles
        WHERE customer_id > $1 AND customer_id <= $2
        UNION ALL
        SELECT {_OWNER}, created_at, id, tolerance, capacity, facts, valid_until FROM risk_profiles
        WHERE customer_id = {_DUPLICATES}) p
    ORDER BY owner, created_at DESC, id DESC),
told AS (
    SELECT customer_id AS owner, true AS own, a.* FROM allocation_circumstances a
    WHERE customer_id > $1 AND customer_id <= $2
    UNION ALL
    SELECT {_OWNER}, false, a.* FROM allocation_circumstances a WHERE customer_id = {_DUPLICATES}),
limits AS (
    SELECT owner, max(minimum_cash) AS minimum_cash,
        bit_or((SELECT coalesce(bit_or(1::bigint << place::int - 1), 0) FROM unnest($5::text[]) WITH ORDINALITY
                AS known(code, place) WHERE code = ANY (excluded))) AS excluded,
        max(withdrawal_share) FILTER (WHERE own) AS withdrawal_share,
        max(withdrawal_amount) FILTER (WHERE own) AS withdrawal_amount,
        max(withdrawal_by) FILTER (WHERE own) AS withdrawal_by,
        coalesce(bool_or(closure_announced_at IS NOT NULL) FILTER (WHERE own), false) AS closing
    FROM told GROUP BY owner)
SELECT c.id, (c.kind = 'business')::int, array_position($6::text[], c.segment), array_position($7::text[], c.stage),
    array_position($8::text[], c.tier), coalesce(c.birth_on, '-infinity'),
    coalesce(p.tolerance, 0)::int, coalesce(p.capacity, 0)::int,
    coalesce((p.facts ->> 'horizon_years')::float8, 'NaN'), coalesce((p.facts ->> 'liquidity_need')::float8, 'NaN'),
    coalesce(p.valid_until, '-infinity'), coalesce(s.excluded, 0), (coalesce(s.minimum_cash, 0) * {SHARE})::int,
    (CASE WHEN s.closing THEN {SHARE}
        WHEN s.withdrawal_by IS NULL OR s.withdrawal_by < $9::date OR s.withdrawal_by - $10::int > $9::date THEN 0
        WHEN s.withdrawal_share IS NOT NULL THEN s.withdrawal_share * {SHARE}
        WHEN coalesce(h.total, 0) = 0 THEN 0
        ELSE least({SHARE}, (SELECT q + (2 * r > h.total OR 2 * r = h.total AND mod(q, 2) = 1)::int  -- half to even
            FROM (SELECT div(amount, h.total) AS q, mod(amount, h.total) AS r
                  FROM (SELECT coalesce(s.withdrawal_amount, 0) * {SHARE} AS amount) a) d)) END)::int,
    coalesce(s.withdrawal_by, '-infinity'), coalesce(hashtextextended({_FORMER}, 0), 0),
    coalesce(r.review_at, '-infinity')
FROM customers c
LEFT JOIN recommendation_current r ON r.customer_id = c.id AND r.customer_id > $1 AND r.customer_id <= $2
LEFT JOIN profiles p ON p.owner = c.id
LEFT JOIN limits s ON s.owner = c.id
LEFT JOIN holdings h ON h.customer_id = c.id AND h.customer_id > $1 AND h.customer_id <= $2
    AND s.withdrawal_amount IS NOT NULL
WHERE c.id > $1 AND c.id <= $2 AND c.merged_into IS NULL AND c.segment = ANY($3) AND c.stage = ANY($4)
ORDER BY c.id
"""  # noqa: S608 - fixed text
_COLUMNS = {
    "id": "V16",
    **dict.fromkeys(("business", "segment", "stage", "tier", "birth_on", "tolerance", "capacity"), ">i4"),
    "horizon_years": ">f8",
    "liquidity_need": ">f8",
    "valid_until": ">i8",
    "excluded": ">i8",
    "minimum_cash": ">i4",
    "withdrawal": ">i4",
    "withdrawal_by": ">i4",
    "former": ">i8",
    "review_at": ">i8",
}
_HEADER, _TRAILER = 19, 2  # bytes around the rows of a binary COPY
_ROW = np.dtype(
    [("fields", ">i2")] + [part for name, kind in _COLUMNS.items() for part in ((f"{name}_bytes", ">i4"), (name, kind))]
)


@dataclass(frozen=True, slots=True)
class Whom:
    """Customers of these segments who are in these stages."""

    segments: Sequence[str] = SEGMENTS
    stages: Sequence[str] = STAGES


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Customers in order of id as they were read: `rows` as of `_COLUMNS`, and `portfolio|standing` of their
    recommendations by code. `until` is None behind the last customer."""

    rows: NDArray[Any]
    formers: Mapping[int, str]
    until: UUID | None


async def read_chunk(
    connection: AsyncConnection, rules: InForce, whom: Whom, now: datetime, after: UUID | None, most: int
) -> Chunk:
    """The next customers behind `after`, at most `most`, in a fixed number of statements. `connection` is a snapshot."""
    await connection.execute(_NO_LOOPS)
    begin = after or _FIRST
    chosen = {"segments": list(whom.segments), "stages": list(whom.stages)}
    until = await connection.scalar(_UNTIL, {"after": begin, "most": most, **chosen})
    end = until or _LAST
    formers = await connection.execute(_FORMERS, {"after": begin, "until": end})
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    block = bytearray()

    async def take(piece: bytes) -> None:
        block.extend(piece)

    today, notice = now.astimezone(UTC).date(), rules.policy.upkeep.withdrawal_notice_days
    tables = (list(rules.assumptions.codes), list(SEGMENTS), list(STAGES), list(TIERS))
    await driver.copy_from_query(
        _ROWS, begin, end, *chosen.values(), *tables, today, notice, output=take, format="binary"
    )
    rows = np.frombuffer(block, _ROW, offset=_HEADER, count=(len(block) - _HEADER - _TRAILER) // _ROW.itemsize)
    return Chunk(rows, {row.code: row.former for row in formers}, until)
