"""What tests of webhooks need: customers, events, endpoints, and a worker that is turned by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.customers.models import Customer
from app.events import CustomerChange, CustomersUpdated, StageChange, StagesChanged
from app.jobs import Worker
from app.webhooks.address import AddressPolicy
from app.webhooks.delivery import drain_endpoint
from app.webhooks.event_log import append, sequence_events
from app.webhooks.models import WebhookEndpoint
from app.webhooks.service import create_endpoint

ANYWHERE = AddressPolicy.parse(["127.0.0.0/8"], allow_http=True)


class ShiftedClock:
    """The real time, moved forward as far as a test wants."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


async def make_customers(session: AsyncSession, count: int, now: datetime) -> list[UUID]:
    rows = [
        {
            "id": new_id(),
            "kind": "individual",
            "full_name": "Ada Example",
            "segment": "mass",
            "tier": "C",
            "language": "en",
            "time_zone": "UTC",
            "stage_entered_at": now,
            "created_at": now,
            "updated_at": now,
        }
        for _ in range(count)
    ]
    await session.execute(insert(Customer), rows)
    return [row["id"] for row in rows]


def updated(customer_ids: Sequence[UUID], now: datetime, *fields: str) -> CustomersUpdated:
    return CustomersUpdated(now, tuple(CustomerChange(i, fields or ("email",), {}) for i in customer_ids))


def moved(customer_ids: Sequence[UUID], now: datetime) -> StagesChanged:
    return StagesChanged(
        now,
        tuple(
            StageChange(
                customer_id=customer_id,
                transition_id=new_id(),
                interval_id=new_id(),
                sequence=1,
                from_stage="prospect",
                to_stage="trial",
                kind="automatic",
                rule_id="first_deposit",
                policy_version=1,
                reason=None,
                actor="rules",
                facts={"deposits_90d": "100.00"},
                effective_at=now - timedelta(minutes=5),
                scope_id=new_id(),
                evaluated_at=now,
            )
            for customer_id in customer_ids
        ),
    )


async def make_endpoint(worker: Worker, url: str, *event_types: str) -> WebhookEndpoint:
    async with worker.database.transaction() as session:
        return await create_endpoint(
            session,
            url=url,
            event_types=event_types or ["*"],
            description=None,
            policy=ANYWHERE,
            now=worker.clock(),
        )


async def happen(worker: Worker, count: int) -> list[UUID]:
    """Commit `count` events, each of a customer of its own."""
    async with worker.database.transaction() as session:
        customers = await make_customers(session, count, worker.clock())
        await append(session, moved(customers, worker.clock()))
    return customers


async def turn(worker: Worker) -> None:
    """What a worker process does in a second: number events, then run the drains that this started."""
    while await sequence_events(worker):
        pass
    async with worker.database.transaction() as session:
        taken = await session.execute(
            text("DELETE FROM pgqueuer WHERE entrypoint = 'drain_endpoint' RETURNING payload")
        )
        payloads = [row.payload.decode() for row in taken]
    for payload in payloads:
        await drain_endpoint(worker, payload)


async def reload(worker: Worker, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    async with worker.database.transaction() as session:
        return (await session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id))).one()
