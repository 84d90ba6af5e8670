"""Delivers the events of a demonstration to a receiver of its own while they happen.

What a worker does, for one endpoint and with the real clock: the sweep that numbers events, and the job that drains an
endpoint. The other sweeps stay off, for customers whose clock is shifted must not be looked at from the present.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import select, text

from app.clock import utc_now
from app.config import Settings
from app.db import Database
from app.demo.receiver import Receiver
from app.jobs import HANDLERS, SWEEPS, Worker
from app.webhooks import delivery as _delivery  # noqa: F401 - imported so that its job is known
from app.webhooks.models import WebhookEndpoint
from app.webhooks.sending import address_policy, http_session
from app.webhooks.service import create_endpoint, lock_endpoint, patch_endpoint

NAME = "Receiver of the demonstration"
_PAUSE = 0.2
_PATIENCE = 60.0


@asynccontextmanager
async def delivering(database: Database, settings: Settings) -> AsyncIterator[Receiver]:
    """A receiver that gets every event while the context is open, and all that are left before it closes."""
    allowed = settings.model_copy(update={"webhook_allow": ("127.0.0.0/8",), "webhook_allow_http": True})
    async with Receiver() as receiver, http_session(allowed) as http:
        worker = Worker(database, allowed, utc_now, http)
        endpoint_id, receiver.secret = await _endpoint(worker, receiver.url)
        over = asyncio.Event()
        task = asyncio.create_task(_deliver(worker, endpoint_id, over))
        try:
            yield receiver
            over.set()
            await asyncio.wait_for(task, _PATIENCE)
        finally:
            task.cancel()


async def _endpoint(worker: Worker, url: str) -> tuple[UUID, str]:
    """The endpoint of the time before, which goes on where it stopped, or a new one; with its secret."""
    policy, now = address_policy(worker.settings), worker.clock()
    async with worker.database.transaction() as session:
        known = await session.scalar(select(WebhookEndpoint.id).where(WebhookEndpoint.description == NAME))
        if known is None:
            endpoint = await create_endpoint(
                session, url=url, event_types=["*"], description=NAME, policy=policy, now=now
            )
        else:
            endpoint = await lock_endpoint(session, known)
            await patch_endpoint(session, endpoint, {"url": url, "status": "enabled"}, policy, now)
        return endpoint.id, endpoint.secret


async def _deliver(worker: Worker, endpoint_id: UUID, over: asyncio.Event) -> None:
    """Number and send until nothing is left after `over`."""
    while True:
        ending = over.is_set()
        while await SWEEPS["sequence_events"](worker):
            pass
        await HANDLERS["drain_endpoint"](worker, str(endpoint_id))
        if ending and not await _waiting(worker, endpoint_id):
            return
        await asyncio.sleep(_PAUSE)


async def _waiting(worker: Worker, endpoint_id: UUID) -> bool:
    """Whether there is anything that can be sent now."""
    async with worker.database.read() as connection:
        found = await connection.execute(
            text(
                "SELECT EXISTS (SELECT 1 FROM events WHERE position IS NULL) OR EXISTS (SELECT 1 FROM events e"
                " JOIN webhook_endpoints w ON w.id = :endpoint AND e.position > w.cursor) OR EXISTS (SELECT 1 FROM"
                " webhook_retries WHERE endpoint_id = :endpoint AND state = 'pending' AND next_attempt_at <= :now)"
            ),
            {"endpoint": endpoint_id, "now": worker.clock()},
        )
        waiting: bool = found.scalar_one()
    return waiting
