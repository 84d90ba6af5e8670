"""Webhook endpoints: created, changed, tested, switched off, listed; and the log of what was sent to them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app import jobs
from app.clock import new_id
from app.errors import FieldProblem, Problem, not_found
from app.events import EndpointDisabled, PublicEvent, publish
from app.webhooks.address import AddressPolicy, AddressRefused, check_url
from app.webhooks.catalogue import unknown_patterns
from app.webhooks.event_log import LogEntry, head_position, message_id, write
from app.webhooks.models import DeliveryAttempt, WebhookEndpoint
from app.webhooks.signing import new_secret

READ_COLUMNS = tuple(
    column
    for column in WebhookEndpoint.__table__.c
    if column.name not in ("secret", "cursor", "failing_since")  # the secret is shown once; the others are the worker's
)


def _refuse_url(url: str, policy: AddressPolicy) -> None:
    try:
        check_url(url, policy)
    except AddressRefused as refused:
        raise Problem(
            "address_refused", errors=[FieldProblem(pointer="/url", code=refused.code, detail=refused.detail)]
        ) from refused


def refuse_unknown_types(patterns: Sequence[str], pointer: str) -> None:
    """422 for patterns that no event matches; each is pointed at below `pointer`."""
    unknown = unknown_patterns(patterns)
    if unknown:
        detail = "Not an event type, and not a group like lifecycle.* or *."
        raise Problem(
            "invalid",
            errors=[FieldProblem(pointer=f"{pointer}/{i}", code="unknown_event_type", detail=detail) for i in unknown],
        )


async def create_endpoint(
    session: AsyncSession,
    *,
    url: str,
    event_types: Sequence[str],
    description: str | None,
    policy: AddressPolicy,
    now: datetime,
) -> WebhookEndpoint:
    """Store a new endpoint, which gets the events from now on. Its `secret` is to be shown this once."""
    _refuse_url(url, policy)
    refuse_unknown_types(event_types, "/event_types")
    endpoint = WebhookEndpoint(
        id=new_id(),
        url=url,
        description=description,
        event_types=list(dict.fromkeys(event_types)),
        secret=new_secret(),
        status="enabled",
        disabled_reason=None,
        cursor=await head_position(session),
        failing_since=None,
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(endpoint)
    await session.flush()
    return endpoint


async def lock_endpoint(session: AsyncSession, endpoint_id: UUID) -> WebhookEndpoint:
    """The endpoint, locked; 404 if there is none."""
    endpoint = await session.get(WebhookEndpoint, endpoint_id, with_for_update={"key_share": True})
    if endpoint is None:
        raise not_found("webhook endpoint")
    return endpoint


async def patch_endpoint(
    session: AsyncSession, endpoint: WebhookEndpoint, changes: Mapping[str, Any], policy: AddressPolicy, now: datetime
) -> None:
    """Apply a merge patch to a locked endpoint and raise its version; what changes nothing leaves it alone.

    An endpoint that is enabled again goes on where it stopped: nothing that happened meanwhile is lost.
    """
    changed = {name: value for name, value in changes.items() if getattr(endpoint, name) != value}
    if "url" in changed:
        _refuse_url(changed["url"], policy)
        endpoint.failing_since = None
    if "event_types" in changed:
        refuse_unknown_types(changed["event_types"], "/event_types")
    status = changed.pop("status", None)
    for name, value in changed.items():
        setattr(endpoint, name, value)
    if status == "disabled":
        disable(session, endpoint, "owner", now)
    elif status == "enabled":
        endpoint.status, endpoint.disabled_reason, endpoint.failing_since = "enabled", None, None
        await jobs.wake(session, "sequence_events")
    if status == "enabled" or changed:
        _touch(endpoint, now)
    await session.flush()


def disable(session: AsyncSession, endpoint: WebhookEndpoint, reason: str, now: datetime) -> None:
    """Switch a locked endpoint off and tell of it. `reason`: owner, gone (it answered 410) or failing (for days)."""
    endpoint.status, endpoint.disabled_reason = "disabled", reason
    _touch(endpoint, now)
    publish(session, EndpointDisabled(now, endpoint.id, reason))


def _touch(endpoint: WebhookEndpoint, now: datetime) -> None:
    endpoint.updated_at = now
    endpoint.version += 1


async def delete_endpoint(session: AsyncSession, endpoint_id: UUID) -> None:
    """Forget an endpoint and what was still to be tried for it. The log of attempts stays."""
    await session.execute(delete(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id))


async def send_test(session: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> str:
    """Put a test event for this endpoint alone into the log; returns its message id. 409 if it is disabled."""
    if endpoint.status != "enabled":
        raise Problem("conflict", "The endpoint is disabled; enable it first.")
    test = PublicEvent("endpoint.test", None, now, {"endpoint_id": str(endpoint.id)})
    await write(session, [LogEntry(test, None, endpoint.id)], now)
    return message_id(test.id)


async def read_endpoint(connection: AsyncConnection, endpoint_id: UUID) -> dict[str, Any]:
    """One endpoint in the API's shape; 404 if there is none."""
    row = (await connection.execute(select(*READ_COLUMNS).where(WebhookEndpoint.id == endpoint_id))).mappings().first()
    if row is None:
        raise not_found("webhook endpoint")
    return dict(row)


async def list_endpoints(connection: AsyncConnection, limit: int, before: UUID | None) -> list[dict[str, Any]]:
    """At most `limit` endpoints, newest first, older than `before`."""
    query = select(*READ_COLUMNS).order_by(WebhookEndpoint.id.desc()).limit(limit)
    if before is not None:
        query = query.where(WebhookEndpoint.id < before)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def list_attempts(
    connection: AsyncConnection,
    endpoint_id: UUID,
    limit: int,
    before: UUID | None,
    *,
    outcomes: Sequence[str] = (),
    event_id: UUID | None = None,
) -> list[dict[str, Any]]:
    """At most `limit` attempts to reach an endpoint, newest first, older than `before`."""
    query = (
        select(*DeliveryAttempt.__table__.c)
        .where(DeliveryAttempt.endpoint_id == endpoint_id)
        .order_by(DeliveryAttempt.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(DeliveryAttempt.id < before)
    if outcomes:
        query = query.where(DeliveryAttempt.outcome.in_(outcomes))
    if event_id is not None:
        query = query.where(DeliveryAttempt.event_id == event_id)
    return [dict(row) for row in (await connection.execute(query)).mappings()]
