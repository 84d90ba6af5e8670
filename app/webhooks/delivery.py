"""Draining one endpoint: read a batch behind its cursor, send it with no transaction open, record what came of it.

A worker that is killed while sending has recorded nothing, so its batch is sent again, under the same ids.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from random import SystemRandom
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from app import jobs
from app.jobs import Worker
from app.webhooks.address import AddressPolicy
from app.webhooks.catalogue import matching
from app.webhooks.event_log import head_position, message_id
from app.webhooks.models import WebhookEndpoint
from app.webhooks.recording import Attempt, Batch, Message, record
from app.webhooks.retry import classify, next_wait, parse_retry_after
from app.webhooks.sending import address_policy, http_session, post
from app.webhooks.signing import signed_headers

__all__ = ["drain_endpoint", "http_session"]

IN_FLIGHT = 16
"""Requests that one endpoint gets at once."""

_BATCH = 500
_POSITIONS = 10_000  # how far one read looks for events that match: a narrow filter must not scan the whole log
_LAUNCH_SECONDS = 5.0  # a slow receiver's batch is cut short, so that little is repeated after a crash
_JOB_SECONDS = 20.0  # then the job ends and the next sweep starts another: a long backlog must not hold up a shutdown

_chance = SystemRandom().random


@jobs.register("drain_endpoint")
async def drain_endpoint(worker: Worker, payload: str) -> None:
    """Send an endpoint what it has not got, new events and due retries in turn, until nothing is left."""
    endpoint_id = UUID(payload)
    policy = address_policy(worker.settings)
    until = time.monotonic() + _JOB_SECONDS
    while time.monotonic() < until:
        progressed = [await _drain_once(worker, endpoint_id, policy, read) for read in (_read_new, _read_due)]
        if not any(progressed):
            return


_Read = Callable[[Worker, Any], Awaitable[Batch | None]]


async def _drain_once(worker: Worker, endpoint_id: UUID, policy: AddressPolicy, read: _Read) -> bool:
    """Read, send and record one batch; False if there was none, or the endpoint is off."""
    columns = WebhookEndpoint.__table__.c
    async with worker.database.read() as connection:
        found = await connection.execute(select(*columns).where(columns.id == endpoint_id, columns.status == "enabled"))
        endpoint = found.first()
    batch = None if endpoint is None else await read(worker, endpoint)
    if endpoint is None or batch is None:
        return False
    attempts = await _send(worker, endpoint, policy, batch.messages)
    await record(worker.database, endpoint_id, batch, attempts, worker.clock())
    return True


async def _read_new(worker: Worker, endpoint: Any) -> Batch | None:
    async with worker.database.read() as connection:
        horizon = min(await head_position(connection), endpoint.cursor + _POSITIONS)
        if horizon <= endpoint.cursor:
            return None
        found = await connection.execute(
            text(
                """SELECT id, position, event_id, type, body, 0 AS failed FROM events
                WHERE position > :cursor AND position <= :horizon
                  AND (endpoint_id = :endpoint OR (endpoint_id IS NULL AND type = ANY(:types)))
                ORDER BY position LIMIT :most"""
            ),
            {
                "cursor": endpoint.cursor,
                "horizon": horizon,
                "endpoint": endpoint.id,
                "types": matching(endpoint.event_types),
                "most": _BATCH,
            },
        )
        messages = [Message(*row) for row in found]
    return Batch(messages, endpoint.cursor, horizon if len(messages) < _BATCH else messages[-1].position)


async def _read_due(worker: Worker, endpoint: Any) -> Batch | None:
    async with worker.database.read() as connection:
        found = await connection.execute(
            text(
                """SELECT e.id, 0 AS position, e.event_id, e.type, e.body, r.attempts AS failed
                FROM webhook_retries r JOIN events e ON e.id = r.event_id
                WHERE r.endpoint_id = :endpoint AND r.state = 'pending' AND r.next_attempt_at <= :now
                ORDER BY r.next_attempt_at, e.id LIMIT :most"""
            ),
            {"endpoint": endpoint.id, "now": worker.clock(), "most": _BATCH},
        )
        messages = [Message(*row) for row in found]
    return Batch(messages) if messages else None


async def _send(worker: Worker, endpoint: Any, policy: AddressPolicy, messages: Sequence[Message]) -> list[Attempt]:
    """Attempts for the first messages, in order: all of them, unless time runs out or the receiver says 410."""
    begun = 0
    results: dict[int, Attempt] = {}
    until = time.monotonic() + _LAUNCH_SECONDS
    open_ended = True

    async def lane() -> None:
        nonlocal begun, open_ended
        while begun < len(messages) and open_ended:
            mine = begun
            begun += 1
            results[mine] = await _attempt(worker, endpoint, policy, messages[mine])
            open_ended = open_ended and results[mine].outcome != "gone" and time.monotonic() < until

    async with asyncio.TaskGroup() as group:
        for _ in range(min(IN_FLIGHT, len(messages))):
            group.create_task(lane())
    return [results[i] for i in range(begun)]


async def _attempt(worker: Worker, endpoint: Any, policy: AddressPolicy, message: Message) -> Attempt:
    """Sign and send one message, and judge the answer."""
    at = worker.clock()
    headers = signed_headers(endpoint.secret, message_id(message.event_id), at, message.body)
    answer = await post(worker.http, policy, endpoint.url, message.body, headers)
    verdict = classify(answer.status)
    if verdict == "delivered":
        return Attempt(message, at, answer, "delivered", None)
    now = worker.clock()
    wait = next_wait(message.failed + 1, _chance(), parse_retry_after(answer.retry_after, now))
    if wait is None:
        return Attempt(message, at, answer, "gone" if verdict == "gone" else "dead", None)
    return Attempt(message, at, answer, verdict, now + wait)
