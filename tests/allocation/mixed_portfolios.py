"""Customers of every sort with portfolios, for the tests of what looks at everybody; and versions to publish."""

import random
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.engine.defaults import default_document
from app.allocation.models import AllocationVersion
from app.allocation.versions.store import digest
from app.clock import new_id
from app.customers.schemas import CustomerCreate
from app.customers.service import create_customers
from app.db import Database
from tests.conftest import NOW

KINDS = [("mass", "individual"), ("affluent", "individual"), ("high_net_worth", "individual")]
KINDS += [("small_business", "business")]
STAGES = ("prospect", "trial", "growth", "mature", "decline")
_CLASSES = ("gold", "emerging_equity", "domestic_equity", "no_such_class")

_PROFILE = text(
    """INSERT INTO risk_profiles (id, customer_id, questionnaire_version, questionnaire_digest, policy_version, answers,
        tolerance, capacity, score, risk_class, limit_code, facts, contradictions, created_at, valid_until)
    VALUES (:id, :customer, '1', 'd', '1', '{}', :tolerance, :capacity, 0, 'C1', 'tolerance', CAST(:facts AS jsonb),
        '[]', :created, :until)"""
)
_WISHES = text(
    """INSERT INTO allocation_circumstances (customer_id, excluded, minimum_cash, withdrawal_share, withdrawal_amount,
        withdrawal_by, closure_announced_at, updated_at, updated_by)
    VALUES (:customer, :excluded, :cash, :share, :amount, :by, :closing, :now, 'test')"""
)
_HOLDING = text(
    """INSERT INTO holdings (customer_id, as_of, amounts, total, source, received_at)
    VALUES (:customer, :now, '{}', :total, 'test', :now)"""
)


def customer(rng: random.Random, number: int) -> CustomerCreate:
    """Somebody of any segment, stage and age."""
    segment, kind = KINDS[number % len(KINDS)]
    born = rng.choice([None, date(1996, 2, 29), NOW.date(), date(1935, 1, 1) + timedelta(days=rng.randrange(32_000))])
    return CustomerCreate(
        full_name=f"Customer {number}",
        segment=segment,
        kind=kind,
        tier=rng.choice("ABC"),
        stage=rng.choice(STAGES),
        playbook_mode="none",
        birth_on=born,
    )


async def make(db: Database, count: int, seed: int = 1, *, now: Any = NOW) -> list[UUID]:
    """Customers with the indications that they get on creation."""
    rng = random.Random(seed)
    async with db.transaction() as session:
        return await create_customers(session, [customer(rng, i) for i in range(count)], now, zone="UTC")


async def add_profile(session: AsyncSession, customer_id: UUID, rng: random.Random) -> None:
    """A profile of any result that is valid, has ended, or ends at this moment."""
    facts = rng.choice(['{"horizon_years": 2.5, "liquidity_need": 0.3}', '{"horizon_years": 12}', "{}"])
    values = {"tolerance": rng.randrange(101), "capacity": rng.randrange(101), "facts": facts}
    times = {
        "created": NOW - timedelta(days=rng.randrange(400)),
        "until": NOW + timedelta(days=rng.choice([-1, 0, 90])),
    }
    await session.execute(_PROFILE, {"id": new_id(), "customer": customer_id, **values, **times})


async def add_wishes(session: AsyncSession, customer_id: UUID, rng: random.Random) -> None:
    """Classes never held, cash, a withdrawal by share or amount on any day, a closure; and holdings."""
    excluded = rng.sample(_CLASSES, rng.randrange(3))
    share, amount = rng.choice([(None, None), (rng.randrange(10_001) / 10_000, None), (None, rng.randrange(1, 40))])
    # Totals that leave amounts half-way between two shares too.
    amount = None if amount is None else f"{amount / 10_000:.4f}"
    total = rng.choice(["0", "2", "0.0007", "0.0016"])
    by = None if share is amount is None else NOW.date() + timedelta(days=rng.choice([-1, 0, 20, 90, 4000]))
    values = {"cash": rng.choice([0, 0.1, 0.2345]), "share": share, "amount": amount, "by": by}
    closing = NOW if rng.random() < 0.1 else None
    await session.execute(
        _WISHES, {"customer": customer_id, "excluded": excluded, "closing": closing, "now": NOW, **values}
    )
    if rng.random() < 0.7:
        await session.execute(_HOLDING, {"customer": customer_id, "total": total, "now": NOW})


async def mix(db: Database, ids: list[UUID], seed: int = 1) -> None:
    """Profiles, wishes and merged duplicates beside the recommendations that are there, which know nothing of them."""
    rng = random.Random(seed)
    async with db.transaction() as session:
        for one in ids:
            for _ in range(rng.choice([0, 1, 1, 2])):
                await add_profile(session, one, rng)
            if rng.random() < 0.5:
                await add_wishes(session, one, rng)
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for owner, duplicate in zip(ids[::5], ids[1::5], strict=False):
            merged = {"owner": owner, "duplicate": duplicate}
            await session.execute(text("UPDATE customers SET merged_into = :owner WHERE id = :duplicate"), merged)
        await session.execute(text("SET LOCAL session_replication_role = DEFAULT"))


def next_version(kind: str, version: int, **changes: Any) -> AllocationVersion:
    """A published version: the shipped document with other members."""
    body = default_document(kind) | changes
    status = {"status": "published", "created_at": NOW, "published_at": NOW}
    return AllocationVersion(kind=kind, version=version, name=f"v{version}", body=body, digest=digest(body), **status)


def more_cash() -> dict[str, Any]:
    """Segments of a policy by which small businesses hold more cash than before."""
    segments = default_document("policy")["segments"]
    return segments | {"small_business": segments["small_business"] | {"minimum_cash": 0.4}}


async def count(db: Database, query: str, **values: Any) -> Any:
    """The one value that a query gives."""
    async with db.read() as connection:
        return (await connection.execute(text(query), values)).scalar_one()
