"""The event log: rows are appended in the transaction of the change, numbered after its commit, and read by position.

A late commit is never skipped: cursors are positions, and only committed rows get one. One customer's events stay in
order: `id` is drawn while the customer is locked, and numbering goes by `id`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app import jobs
from app.events import Event, PublicEvent
from app.jobs import Worker

_SEQUENCER_LOCK = 7_310_006
_NUMBERED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A rendered event on its way into the log. `endpoint_id`: for that endpoint alone."""

    event: PublicEvent
    sequence: int | None
    endpoint_id: UUID | None = None


def message_id(event_id: UUID) -> str:
    """How an event is named outside: the `webhook-id` of all its deliveries."""
    return f"evt_{event_id.hex}"


def render(event: PublicEvent, sequence: int | None) -> str:
    """The exact text that receivers get and that signatures cover: `{id, type, timestamp, data}`, thin."""
    about = {} if event.customer_id is None else {"customer_id": event.customer_id, "sequence": sequence}
    document = {
        "id": message_id(event.id),
        "type": event.type,
        "timestamp": event.occurred_at.astimezone(UTC),
        "data": about | event.data,
    }
    return orjson.dumps(document, default=str, option=orjson.OPT_UTC_Z).decode()


async def append(session: AsyncSession, event: Event) -> None:
    """The reaction to every event with a public side: write it to the log, in the running transaction.

    The customers concerned are locked by the caller. However many they are, the number of statements is fixed.
    """
    public = event.public()
    if public:
        sequences = await _sequences(session, public)
        await write(session, [LogEntry(p, s) for p, s in zip(public, sequences, strict=True)], event.at)


async def write(session: AsyncSession, entries: Sequence[LogEntry], now: datetime) -> None:
    """Insert entries, in order, and wake the sequencer when they commit."""
    await session.execute(
        text(
            """INSERT INTO events (event_id, type, customer_id, sequence, endpoint_id, occurred_at, created_at, body)
            SELECT event_id, type, customer_id, sequence, endpoint_id, occurred_at, :now, body
            FROM unnest(CAST(:event_ids AS uuid[]), CAST(:types AS text[]), CAST(:customers AS uuid[]),
                        CAST(:sequences AS bigint[]), CAST(:endpoints AS uuid[]), CAST(:times AS timestamptz[]),
                        CAST(:bodies AS text[]))
                 WITH ORDINALITY AS e(event_id, type, customer_id, sequence, endpoint_id, occurred_at, body, place)
            ORDER BY place"""
        ),
        {
            "now": now,
            "event_ids": [entry.event.id for entry in entries],
            "types": [entry.event.type for entry in entries],
            "customers": [entry.event.customer_id for entry in entries],
            "sequences": [entry.sequence for entry in entries],
            "endpoints": [entry.endpoint_id for entry in entries],
            "times": [entry.event.occurred_at for entry in entries],
            "bodies": [render(entry.event, entry.sequence) for entry in entries],
        },
    )
    await jobs.wake(session, "sequence_events")


async def _sequences(session: AsyncSession, events: Sequence[PublicEvent]) -> list[int | None]:
    """The next number of its customer for each event, in order; None for events about no customer."""
    counts = Counter(event.customer_id for event in events if event.customer_id is not None)
    if not counts:
        return [None] * len(events)
    last = await _count_up(session, counts)
    following = {customer_id: last[customer_id] - count for customer_id, count in counts.items()}
    sequences: list[int | None] = []
    for event in events:
        if event.customer_id is None:
            sequences.append(None)
        else:
            following[event.customer_id] += 1
            sequences.append(following[event.customer_id])
    return sequences


async def _count_up(session: AsyncSession, counts: Counter[UUID]) -> dict[UUID, int]:
    """Add `counts` to the counters of their customers; returns the new values.

    An erased customer's counter went with it: what follows its erasure is numbered by the log itself.
    """
    counted = await session.execute(
        text(
            """INSERT INTO customer_event_counters AS counter (customer_id, sequence)
            SELECT customer_id, count FROM unnest(CAST(:customers AS uuid[]), CAST(:counts AS bigint[]))
                 AS new(customer_id, count) JOIN customers ON customers.id = new.customer_id
            ORDER BY customer_id
            ON CONFLICT (customer_id) DO UPDATE SET sequence = counter.sequence + EXCLUDED.sequence
            RETURNING customer_id, sequence"""
        ),
        {"customers": list(counts), "counts": list(counts.values())},
    )
    last: dict[UUID, int] = {row.customer_id: row.sequence for row in counted}
    erased = [customer_id for customer_id in counts if customer_id not in last]
    if erased:
        logged = await session.execute(
            text("SELECT customer_id, max(sequence) AS n FROM events WHERE customer_id = ANY(:ids) GROUP BY 1"),
            {"ids": erased},
        )
        highest = {row.customer_id: row.n for row in logged}
        last |= {customer_id: highest.get(customer_id, 0) + counts[customer_id] for customer_id in erased}
    return last


@jobs.sweep("sequence_events")
async def sequence_events(worker: Worker) -> bool:
    """Number what has committed, then start a drain of every endpoint that has something to send.

    One sequencer at a time, over all processes. The numbering is a second statement, so that its snapshot begins after
    the lock and sees what the sequencer before it did.
    """
    async with worker.database.transaction() as session:
        locked = await session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _SEQUENCER_LOCK})
        if not locked:
            return False
        numbered = await session.scalar(
            text(
                """WITH numbered AS (
                    UPDATE events SET position = head.position + next.place
                    FROM (SELECT coalesce(max(position), 0) AS position FROM events) AS head,
                         (SELECT id, row_number() OVER (ORDER BY id) AS place FROM
                            (SELECT id FROM events WHERE position IS NULL ORDER BY id LIMIT :most) AS waiting) AS next
                    WHERE events.id = next.id RETURNING 1)
                SELECT count(*) FROM numbered"""
            ),
            {"most": _NUMBERED_AT_ONCE},
        )
        waiting = await session.scalars(
            text(
                """SELECT id FROM webhook_endpoints AS e
                WHERE status = 'enabled' AND (
                    e.cursor < (SELECT coalesce(max(position), 0) FROM events)
                    OR (SELECT min(next_attempt_at) FROM webhook_retries
                        WHERE endpoint_id = e.id AND state = 'pending') <= :now)
                ORDER BY id"""
            ),
            {"now": worker.clock()},
        )
        await jobs.enqueue(session, "drain_endpoint", [str(endpoint_id) for endpoint_id in waiting])
    return bool(numbered == _NUMBERED_AT_ONCE)


async def head_position(connection: AsyncConnection | AsyncSession) -> int:
    """Position of the newest event that has one; 0 in an empty log."""
    found = await connection.execute(text("SELECT coalesce(max(position), 0) FROM events"))
    head: int = found.scalar_one()
    return head


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Bodies in order of position; `reached` is how far the log was read; `more`: something is left up to the head."""

    bodies: list[str]
    reached: int
    more: bool


async def read_feed(
    connection: AsyncConnection, after: int, limit: int, types: Sequence[str] | None, customer_id: UUID | None
) -> FeedPage:
    """At most `limit` events behind position `after`, of `types` (None: all) and of one customer if one is named."""
    head = await head_position(connection)
    conditions = "position > :after AND position <= :head AND endpoint_id IS NULL"
    values: dict[str, Any] = {"after": after, "head": head, "limit": limit + 1}
    if types is not None:
        conditions += " AND type = ANY(:types)"
        values["types"] = list(types)
    if customer_id is not None:
        conditions += " AND customer_id = :customer"
        values["customer"] = customer_id
    found = await connection.execute(
        text(f"SELECT position, body FROM events WHERE {conditions} ORDER BY position LIMIT :limit"),  # noqa: S608 - fixed text
        values,
    )
    rows = found.all()
    if len(rows) > limit:
        return FeedPage([row.body for row in rows[:limit]], rows[limit - 1].position, more=True)
    return FeedPage([row.body for row in rows], max(head, after), more=False)
