"""Signals as they are sent, and those that wait for their customer."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

import orjson
from sqlalchemy import Table, case, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.customers.models import ExternalId
from app.customers.service import lock, lock_with_merges
from app.lifecycle.models import ParkedSignal
from app.lifecycle.parked_schemas import ParkedSignalQuery
from app.pagination import decode_cursor, encode_cursor

PARKED_FOR = timedelta(hours=72)
"""How long a signal waits for its customer."""
KEPT_FOR = timedelta(days=90)
"""How long a parked signal is kept after that, so that somebody can look and replay it."""
REPLAYED_AT_ONCE = 1000
"""Parked signals that one transaction records, where their number has no other bound."""


class Offered(NamedTuple):
    """A signal as it was sent: of a customer by id or by external id."""

    customer_id: UUID | None
    external_id: str | None
    source: str
    source_event_id: str
    type: str
    occurred_at: datetime
    payload: dict[str, Any]


class Owner(NamedTuple):
    """Whose signal it is. `origin_id`: the merged duplicate that it was sent for, None if it was not."""

    customer_id: UUID
    origin_id: UUID | None


async def owners_of(session: AsyncSession, offered: Sequence[Offered]) -> dict[UUID | str | None, Owner]:
    """By customer id and by external id; what is sent for a merged duplicate belongs to the customer it was merged into."""
    rows = await session.execute(
        text(
            "SELECT NULL AS external_id, id AS asked, coalesce(merged_into, id) AS owner,"
            " CASE WHEN merged_into IS NOT NULL THEN id END AS origin FROM customers WHERE id = ANY(:ids) UNION ALL"
            " SELECT external_id, customer_id, customer_id, origin_id"
            " FROM customer_external_ids WHERE external_id = ANY(:externals)"
        ),
        {
            "ids": list({s.customer_id for s in offered if s.customer_id}),
            "externals": list({s.external_id for s in offered if s.external_id}),
        },
    )
    return {row.external_id or row.asked: Owner(row.owner, row.origin) for row in rows}


async def lock_owners(
    session: AsyncSession, offered: Sequence[Offered]
) -> tuple[dict[UUID | str | None, Owner], set[UUID]]:
    """`owners_of`, locked, with who of them exists: an owner may have been erased meanwhile.

    A merge, or the undoing of one, that came between the look-up and the lock is followed.
    """
    found = await owners_of(session, offered)
    wanted = {i for owner in found.values() for i in owner if i is not None}
    merged = await lock_with_merges(session, sorted(wanted)) if wanted else {}
    owners = {key: _present(owner, merged) for key, owner in found.items()}
    # Locked out of order: a deadlock refuses the batch, which may be sent again. A duplicate that is locked stays where
    # it is, so there is no third look.
    late = {owner.customer_id for owner in owners.values()} - wanted
    return owners, set(merged) | set(await lock(session, sorted(late)) if late else ())


def _present(owner: Owner, merged: Mapping[UUID, UUID | None]) -> Owner:
    asked = owner.origin_id or owner.customer_id
    into = merged.get(asked)
    return Owner(asked, None) if into is None else Owner(into, asked)


async def park(session: AsyncSession, signals: Sequence[Offered], now: datetime) -> None:
    """Keep signals of external ids that nobody has yet; a repetition of one that still waits changes nothing."""
    if signals:
        # Sorted, so that two batches that park the same signals wait for each other and never deadlock.
        first = {(s.source, s.source_event_id): s for s in reversed(signals)}
        signals = [first[key] for key in sorted(first)]
        await session.execute(
            text(
                "INSERT INTO parked_signals AS p"
                " (source, source_event_id, external_id, type, occurred_at, payload, expires_at)"
                " SELECT s, e, x, t, o, p::jsonb, :until FROM unnest(CAST(:sources AS text[]), CAST(:events AS text[]),"
                " CAST(:externals AS text[]), CAST(:types AS text[]), CAST(:times AS timestamptz[]),"
                " CAST(:payloads AS text[])) AS v(s, e, x, t, o, p) ON CONFLICT (source, source_event_id) DO UPDATE SET"
                " external_id = excluded.external_id, type = excluded.type, occurred_at = excluded.occurred_at,"
                " payload = excluded.payload, expires_at = excluded.expires_at, code = NULL, detail = NULL"
                " WHERE p.code IS NOT NULL OR p.expires_at <= :now"
            ),
            {
                "now": now,
                "until": now + PARKED_FOR,
                "sources": [s.source for s in signals],
                "events": [s.source_event_id for s in signals],
                "externals": [s.external_id for s in signals],
                "types": [s.type for s in signals],
                "times": [s.occurred_at for s in signals],
                "payloads": [orjson.dumps(s.payload).decode() for s in signals],
            },
        )


async def unpark(session: AsyncSession, keys: Sequence[tuple[str, str]]) -> None:
    """Forget parked signals that are stored by now, by (source, source_event_id)."""
    if keys:
        await session.execute(
            text(
                # Locked in the order of `park`, so that the two wait for each other and never deadlock.
                # As a rule nothing is parked at all, which one look tells.
                "WITH stored AS (SELECT p.source, p.source_event_id FROM parked_signals p"
                " JOIN unnest(CAST(:sources AS text[]), CAST(:events AS text[])) AS k(s, e)"
                " ON p.source = k.s AND p.source_event_id = k.e"
                " WHERE EXISTS (SELECT FROM parked_signals)"
                ' ORDER BY p.source COLLATE "C", p.source_event_id COLLATE "C" FOR UPDATE OF p)'
                " DELETE FROM parked_signals p USING stored"
                " WHERE p.source = stored.source AND p.source_event_id = stored.source_event_id"
            ),
            {"sources": [source for source, _ in keys], "events": [event for _, event in keys]},
        )


async def refuse_parked(
    session: AsyncSession, refusals: Mapping[tuple[str, str], tuple[str | None, str | None]]
) -> None:
    """Note why parked signals were refused: (source, source_event_id) -> (code, reason). They are kept."""
    if refusals:
        keys = sorted(refusals)
        await session.execute(
            text(
                "UPDATE parked_signals p SET code = k.c, detail = k.d FROM unnest(CAST(:sources AS text[]),"
                " CAST(:events AS text[]), CAST(:codes AS text[]), CAST(:details AS text[])) AS k(s, e, c, d)"
                " WHERE p.source = k.s AND p.source_event_id = k.e"
            ),
            {
                "sources": [source for source, _ in keys],
                "events": [event for _, event in keys],
                "codes": [refusals[key][0] for key in keys],
                "details": [refusals[key][1] for key in keys],
            },
        )


async def parked_for(
    session: AsyncSession, external_ids: Sequence[str], now: datetime, *, ended: bool = False, limit: int | None = None
) -> list[Offered]:
    """Signals parked for those external ids that somebody has, earliest occurrence first, `limit` at most.

    With `ended`, also those that expired, and behind all others those that were refused before.
    """
    rows = await session.execute(
        text(
            "SELECT p.* FROM parked_signals p JOIN customer_external_ids x ON x.external_id = p.external_id"
            " WHERE p.external_id = ANY(:externals) AND (:ended OR (p.expires_at > :now AND p.code IS NULL))"
            " ORDER BY p.code IS NOT NULL, p.occurred_at, p.source, p.source_event_id LIMIT :limit"
        ).columns(payload=JSONB),
        {"externals": list(external_ids), "now": now, "ended": ended, "limit": limit},
    )
    return [Offered(None, r.external_id, r.source, r.source_event_id, r.type, r.occurred_at, r.payload) for r in rows]


async def found_since(session: AsyncSession, now: datetime, limit: int) -> list[str]:
    """External ids that signals wait for although somebody has them by now: an edit, or a race with the creation."""
    rows = await session.scalars(
        select(ParkedSignal.external_id)
        .distinct()
        .join(ExternalId, ExternalId.external_id == ParkedSignal.external_id)
        .where(ParkedSignal.expires_at > now, ParkedSignal.code.is_(None))
        .limit(limit)
    )
    return list(rows)


async def count_unrefused(session: AsyncSession, external_ids: Sequence[str]) -> int:
    """How many signals of these external ids wait, or waited in vain."""
    found = select(func.count()).where(ParkedSignal.external_id.in_(external_ids), ParkedSignal.code.is_(None))
    return await session.scalar(found) or 0


async def page_of_parked(
    connection: AsyncConnection, query: ParkedSignalQuery, now: datetime
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of parked signals, those that expire last first, and the cursor of the next."""
    table = cast("Table", ParkedSignal.__table__)
    status = case((table.c.code.is_not(None), "refused"), (table.c.expires_at <= now, "expired"), else_="waiting")
    found = select(*table.c, status.label("status"))
    if query.status:
        found = found.where(status.in_(query.status))
    if query.external_id is not None:
        found = found.where(table.c.external_id == query.external_id)
    if query.source is not None:
        found = found.where(table.c.source == query.source)
    key = (table.c.expires_at, table.c.source, table.c.source_event_id)
    fingerprint = query.fingerprint("parked-signals")
    if query.cursor is not None:
        found = found.where(tuple_(*key) < tuple_(*decode_cursor(fingerprint, query.cursor, (datetime, str, str))))
    found = found.order_by(*(column.desc() for column in key)).limit(query.limit + 1)
    rows = (await connection.execute(found)).mappings().all()
    items = [dict(row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return items, None
    return items, encode_cursor(fingerprint, *(items[-1][column.name] for column in key))


async def prune_parked(session: AsyncSession, now: datetime, limit: int) -> int:
    """Delete parked signals that expired longer than KEPT_FOR ago, `limit` at most; returns how many."""
    gone = await session.execute(
        text(
            "DELETE FROM parked_signals WHERE (source, source_event_id) IN (SELECT source, source_event_id"
            " FROM parked_signals WHERE expires_at < :before ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED)"
            " RETURNING source"
        ),
        {"before": now - KEPT_FOR, "limit": limit},
    )
    return len(gone.all())
