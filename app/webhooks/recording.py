"""What came of a batch, recorded in one transaction: the log of attempts, retries, the cursor, the endpoint's state.

The transaction compares the cursor with the one the batch began at. When two drains of an endpoint meet (a worker was
given up while it still lived), the second changes nothing but the log of attempts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.db import Database
from app.webhooks import service
from app.webhooks.models import WebhookEndpoint
from app.webhooks.retry import exhausted
from app.webhooks.sending import Answer


@dataclass(frozen=True, slots=True)
class Message:
    """An event to send: its row in the log, and the attempts that failed so far. `position` 0: not read by cursor."""

    log_id: int
    position: int
    event_id: UUID
    type: str
    body: str
    failed: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages in order. `begins` and `ends` are the cursor before and after; both None for retries."""

    messages: Sequence[Message]
    begins: int | None = None
    ends: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending one message. `next_at` None: delivered, or given up."""

    message: Message
    at: datetime
    answer: Answer
    outcome: str  # delivered | retry | dead | gone
    next_at: datetime | None


async def record(
    database: Database, endpoint_id: UUID, batch: Batch, attempts: Sequence[Attempt], now: datetime
) -> None:
    """Record `attempts`, which are those of the first messages of `batch`. Nothing if the endpoint was deleted."""
    async with database.transaction() as session:
        endpoint = await session.get(WebhookEndpoint, endpoint_id, with_for_update={"key_share": True})
        if endpoint is None:
            return
        await _log_attempts(session, endpoint_id, attempts)
        if batch.begins is None or batch.ends is None:
            await _settle_retries(session, endpoint_id, attempts)
        elif endpoint.cursor == batch.begins:
            await _add_retries(session, endpoint_id, attempts)
            complete = len(attempts) == len(batch.messages)
            endpoint.cursor = batch.ends if complete else attempts[-1].message.position
        _judge_endpoint(session, endpoint, attempts, now)


def _judge_endpoint(
    session: AsyncSession, endpoint: WebhookEndpoint, attempts: Sequence[Attempt], now: datetime
) -> None:
    """Note since when everything fails, and switch off an endpoint that is gone or failed for days."""
    if not attempts:
        return
    if any(attempt.outcome == "delivered" for attempt in attempts):
        endpoint.failing_since = None
    elif endpoint.failing_since is None:
        endpoint.failing_since = min(attempt.at for attempt in attempts)
    if endpoint.status != "enabled":
        return
    if any(attempt.outcome == "gone" for attempt in attempts):
        service.disable(session, endpoint, "gone", now)
    elif exhausted(endpoint.failing_since, now):
        service.disable(session, endpoint, "failing", now)


async def _log_attempts(session: AsyncSession, endpoint_id: UUID, attempts: Sequence[Attempt]) -> None:
    if not attempts:
        return
    await session.execute(
        text(
            """INSERT INTO delivery_attempts (endpoint_id, id, attempted_at, event_id, event_type, attempt, outcome,
                                              status, error_class, duration_ms, answer)
            SELECT :endpoint, a.* FROM unnest(
                CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]), CAST(:events AS uuid[]), CAST(:types AS text[]),
                CAST(:numbers AS integer[]), CAST(:outcomes AS text[]), CAST(:statuses AS integer[]),
                CAST(:errors AS text[]), CAST(:durations AS integer[]), CAST(:answers AS text[])) AS a"""
        ),
        {
            "endpoint": endpoint_id,
            "ids": [new_id() for _ in attempts],
            "times": [a.at for a in attempts],
            "events": [a.message.event_id for a in attempts],
            "types": [a.message.type for a in attempts],
            "numbers": [a.message.failed + 1 for a in attempts],
            "outcomes": [a.outcome for a in attempts],
            "statuses": [a.answer.status for a in attempts],
            "errors": [a.answer.error_class for a in attempts],
            "durations": [a.answer.duration_ms for a in attempts],
            "answers": [a.answer.text for a in attempts],
        },
    )


async def _add_retries(session: AsyncSession, endpoint_id: UUID, attempts: Sequence[Attempt]) -> None:
    """Rows for first attempts that failed."""
    failed = [(a, a.next_at) for a in attempts if a.next_at is not None]
    if not failed:
        return
    await session.execute(
        text(
            """INSERT INTO webhook_retries (endpoint_id, event_id, attempts, state, next_attempt_at)
            SELECT :endpoint, event_id, 1, 'pending', next_at
            FROM unnest(CAST(:events AS bigint[]), CAST(:times AS timestamptz[])) AS f(event_id, next_at)
            ON CONFLICT DO NOTHING"""
        ),
        {"endpoint": endpoint_id, "events": [a.message.log_id for a, _ in failed], "times": [at for _, at in failed]},
    )


async def _settle_retries(session: AsyncSession, endpoint_id: UUID, attempts: Sequence[Attempt]) -> None:
    """What became of retries. Only rows that still count as many attempts as were read are touched."""
    delivered = [a for a in attempts if a.outcome == "delivered"]
    failed = [a for a in attempts if a.outcome != "delivered"]
    if delivered:
        await session.execute(
            text("DELETE FROM webhook_retries WHERE endpoint_id = :endpoint AND event_id = ANY(:events)"),
            {"endpoint": endpoint_id, "events": [a.message.log_id for a in delivered]},
        )
    if failed:
        await session.execute(
            text(
                """UPDATE webhook_retries r SET attempts = f.before + 1, next_attempt_at = f.next_at,
                    state = CASE WHEN f.pending THEN 'pending' ELSE 'dead' END
                FROM unnest(CAST(:events AS bigint[]), CAST(:before AS integer[]), CAST(:times AS timestamptz[]),
                            CAST(:pending AS boolean[])) AS f(event_id, before, next_at, pending)
                WHERE r.endpoint_id = :endpoint AND r.event_id = f.event_id AND r.attempts = f.before"""
            ),
            {
                "endpoint": endpoint_id,
                "events": [a.message.log_id for a in failed],
                "before": [a.message.failed for a in failed],
                "times": [a.next_at or a.at for a in failed],
                "pending": [a.next_at is not None for a in failed],
            },
        )
