"""Lets random lives happen on a database, through the functions that the routes and the worker call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import insert, text

from app.customers.merging import Wanted, find_merge, merge, undo
from app.customers.models import Customer
from app.customers.schemas import CustomerCreate, CustomerPatch
from app.customers.service import create_customers, lock, patch_customer
from app.db import Database
from app.errors import Problem
from app.lifecycle.by_hand import Move, move
from app.lifecycle.core.policy import parse_policy
from app.lifecycle.models import LifecyclePolicy
from app.lifecycle.parking import Offered
from app.lifecycle.pins import Pin, set_pins
from app.lifecycle.policies import digest, shipped_document
from app.lifecycle.service import catch_up, record_signals, switch_policy
from app.lifecycle.sweeps import BATCH, evaluate_due
from tests.conftest import NOW
from tests.lifecycle.population import Happening, Sent
from tests.lifecycle.restless import restless

POLICIES = (restless(10), shipped_document("retail_bank"), restless(25), shipped_document("wealth"), restless(14))
"""Published one after the other; the database begins with `wealth`."""


async def publish(db: Database, version: int, document: dict[str, Any], at: datetime) -> None:
    """Put a version of the policy in force, for whoever is created or switched to it from now on."""
    parse_policy(document, version)
    row: dict[str, Any] = {"version": version, "name": document["name"], "status": "published", "body": document}
    row |= {"digest": digest(document), "created_at": at, "published_at": at}
    async with db.transaction() as session:
        await session.execute(insert(LifecyclePolicy), [row])


@dataclass
class Player:
    """Plays happenings. `ids`: the customers, by number."""

    db: Database
    zone: ZoneInfo
    ids: list[UUID] = field(default_factory=list)
    version: int = 1
    statuses: list[str] = field(default_factory=list)

    async def create(self, count: int, at: datetime = NOW) -> None:
        """Customers with a past of their own: some passed the identity check, some have a stage already."""
        items = [
            CustomerCreate(
                full_name=f"Customer {n}",
                contact_verified=n % 5 > 0,
                kyc_status=("passed", "none", "passed", "pending")[n % 4],
                stage=(None, None, None, "mature", "growth", "decline")[n % 6],
                playbook_mode="none",
            )
            for n in range(count)
        ]
        async with self.db.transaction() as session:
            self.ids += await create_customers(session, items, at, zone=self.zone.key, silent=True)

    async def play(self, happenings: Iterable[Happening]) -> None:
        """Let everything happen, each in a transaction of its own; what is refused is left out."""
        for happening in happenings:
            try:
                await getattr(self, f"_{happening.kind}")(happening)
            except Problem:
                continue

    def offered(self, signals: Sequence[Sent]) -> list[Offered]:
        """Signals as the route hands them on."""
        return [Offered(self.ids[s.who], None, s.source, s.key, s.kind, s.at, s.payload) for s in signals]

    async def _signals(self, given: Happening) -> None:
        async with self.db.transaction() as session:
            outcomes, _ = await record_signals(session, self.offered(given.signals), given.at, self.zone)
        self.statuses += [outcome.status for outcome in outcomes]

    async def _sweep(self, given: Happening) -> None:
        count = BATCH
        while count == BATCH:
            async with self.db.transaction() as session:
                count, _ = await evaluate_due(session, given.at, self.zone)

    async def _edit(self, given: Happening) -> None:
        changes = CustomerPatch.model_validate(given.data).model_dump()
        async with self.db.transaction() as session:
            customer = await session.get(Customer, self.ids[given.who[0]], with_for_update={"key_share": True})
            assert customer is not None
            if customer.merged_into is None:
                await patch_customer(session, customer, changes, given.at)

    async def _move(self, given: Happening) -> None:
        async with self.db.transaction() as session:
            there = await lock(session, [self.ids[given.who[0]]])
            await catch_up(session, there, given.at, self.zone)
            await move(session, [Move(there[0], given.data, "as agreed")], "test", given.at, self.zone)

    async def _pin(self, given: Happening) -> None:
        await self._set_pin(given, given.at + given.data)

    async def _lift(self, given: Happening) -> None:
        await self._set_pin(given, None)

    async def _set_pin(self, given: Happening, until: datetime | None) -> None:
        async with self.db.transaction() as session:
            customer = await session.get(Customer, self.ids[given.who[0]], with_for_update={"key_share": True})
            assert customer is not None
            if customer.merged_into is None:
                await catch_up(session, [customer.id], given.at, self.zone)
                await set_pins(session, {customer.id: Pin(until, "as agreed")}, "test", given.at, self.zone)

    async def _publish(self, given: Happening) -> None:
        self.version += 1
        await publish(self.db, self.version, POLICIES[(self.version - 2) % len(POLICIES)], given.at)

    async def _switch(self, given: Happening) -> None:
        async with self.db.transaction() as session:
            there = await lock(session, [self.ids[n] for n in given.who])
            mine = await session.scalars(
                text("SELECT id FROM customers WHERE id = ANY(:ids) AND merged_into IS NULL"), {"ids": there}
            )
            await switch_policy(session, list(mine), self.version, given.at, self.zone, "full")

    async def _merge(self, given: Happening) -> None:
        kept, duplicate = (self.ids[n] for n in given.who)
        async with self.db.transaction() as session:
            await merge(session, [Wanted(kept, duplicate, "the same person")], given.at, actor="test")

    async def _part(self, given: Happening) -> None:
        """Undo the last merge of anybody."""
        async with self.db.transaction() as session:
            found = await session.execute(
                text(
                    "SELECT id, customer_id FROM customer_merges WHERE undone_at IS NULL ORDER BY position DESC LIMIT 1"
                )
            )
            row = found.first()
            if row is not None:
                open_merge = await find_merge(session, row.customer_id, row.id)
                await undo(session, [open_merge], given.at, actor="test", reason="not the same person")
