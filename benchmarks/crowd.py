"""A crowd for benchmarks: a few customers who live through the front door, and as many copies of them as wanted.

Copies differ in their ids only. Rows of days lie on disk by day, as they would have come.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from app.clock import new_id
from app.config import Settings
from app.customers.schemas import CustomerCreate
from app.customers.service import create_customers, lock
from app.db import Database, settle
from app.lifecycle.parking import Offered
from app.lifecycle.service import catch_up, record_signals

LIVES = 200
"""Of 200: 40 prospects, 30 in trial, 90 in growth, 30 mature, 10 in decline."""
MOVERS = 3
"""Of 200: two trials that end at the moment, one customer whose points have been confirmed by then."""
DAYS = (60, 120)
_BY_DAY = ("customer_day", "account_day")
_TABLES = (
    "customers",
    "stage_intervals",
    "transitions",
    "lifecycle_state",
    *_BY_DAY,
    "customer_totals",
    "customer_accounts",
    "customer_fact",
    "recommendations",
    "recommendation_current",
    "playbook_pins",
    "actions",
)
_COLUMNS = """
SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER' ORDER BY ordinal_position
"""


@dataclass(slots=True)
class _Person:
    """One who lives: `role` decides what happens; `balance` in whole units of the currency."""

    number: int
    role: str
    begin: datetime
    id: UUID
    balance: int = 0


def _role(number: int) -> str:
    """What becomes of customer `number`."""
    if number < MOVERS:
        return ("recycled", "recycled", "at_risk")[number]
    bounds = ((43, "prospect"), (71, "trial"), (160, "growth"), (190, "mature"))
    return next((role for bound, role in bounds if number < bound), "decline")


async def lives(database: Database, settings: Settings, moment: datetime) -> None:
    """Let LIVES customers live up to an hour before `moment`, a local midnight."""
    rng = random.Random(3)
    people = [await _create(database, settings, number, moment, rng) for number in range(LIVES)]
    for back in range(max(DAYS), 0, -1):
        day = moment - timedelta(days=back)
        batch = [signal for person in people for signal in _day(person, day, moment, rng)]
        async with database.transaction() as session:
            now = day + timedelta(days=1, microseconds=-1) if back > 1 else moment - timedelta(hours=1)
            await record_signals(session, batch, now, settings.tz)
    async with database.transaction() as session:
        await catch_up(session, await lock(session, [p.id for p in people]), moment - timedelta(hours=1), settings.tz)
        await settle(session)


async def _create(database: Database, settings: Settings, number: int, moment: datetime, rng: random.Random) -> _Person:
    role = _role(number)
    begin = moment - timedelta(days=max(DAYS) - 5 if number < MOVERS else rng.randint(*DAYS))
    started = {"stage": role, "playbook_mode": "none"} if role in ("mature", "decline") else {}
    profile = {"full_name": f"Customer {number}", "kyc_status": "passed", "contact_verified": True, **started}
    async with database.transaction() as session:
        wanted = [CustomerCreate.model_validate(profile)]
        [customer_id] = await create_customers(session, wanted, begin, zone=settings.zone)
    return _Person(number, role, begin, customer_id)


def _day(person: _Person, day: datetime, moment: datetime, rng: random.Random) -> Iterator[Offered]:
    """What a customer does on a day: about four days in seven anything at all."""
    age = (day - person.begin).days
    if age < 0:
        return
    at = day + timedelta(hours=rng.randrange(6, 20))
    trial = person.role in ("recycled", "trial")
    if person.role != "prospect" and not trial and age == 0:
        yield from _funding(person, at)
    elif trial and (moment - day).days == (45 if person.role == "recycled" else min(44, 20 + person.number % 25)):
        yield _signal(person, "trial_started", at)
        yield _signal(person, "onboarding_step", at, step="identity")
    elif person.role == "at_risk" and (moment - day).days == 8:
        yield _payment(person, "withdrawal", at, person.balance * 2 // 5)
        yield _signal(person, "contact_in", at, topic="fee")
    elif person.role != "recycled" and rng.random() < 4 / 7:
        yield from _usual(person, at, rng)


def _funding(person: _Person, at: datetime) -> Iterator[Offered]:
    for kind in ("risk_profile_completed", "portfolio_accepted", "meeting_held"):
        yield _signal(person, kind, at)
    for step in ("identity", "documents", "bank_link"):
        yield _signal(person, "onboarding_step", at, step=step)
    yield _signal(person, "account_opened", at, account="main")
    yield _signal(person, "product_opened", at, product_id="plan")
    yield _signal(person, "recurring_deposit_started", at, id="order")
    yield _signal(person, "survey_answered", at, survey="nps", score=8)
    yield _payment(person, "deposit", at + timedelta(minutes=1), 20_000)


def _usual(person: _Person, at: datetime, rng: random.Random) -> Iterator[Offered]:
    kind = rng.choice(["login", "login", "deposit", "withdrawal", "trade"])
    if person.role in ("prospect", "trial"):
        yield _signal(person, "login" if person.role == "trial" else "content_opened", at)
    elif kind in ("deposit", "withdrawal"):
        yield _payment(person, kind, at, rng.randrange(1, 90))
    else:
        yield _signal(person, kind, at)


def _payment(person: _Person, kind: str, at: datetime, amount: int) -> Offered:
    person.balance += amount if kind == "deposit" else -amount
    return _signal(person, kind, at, amount=f"{amount}.00", account="main", balance_after=f"{person.balance}.00")


def _signal(person: _Person, kind: str, at: datetime, **payload: Any) -> Offered:
    return Offered(person.id, None, "bench", str(new_id()), kind, at, payload)


async def copies(connection: "asyncpg.Connection[Any]", count: int, due_at: datetime) -> list[UUID]:
    """Copy the customers in turn until there are `count` copies, all due at `due_at`; ids in order.

    The customers themselves are due no more. Foreign keys are not checked meanwhile: they would cost minutes.
    """
    originals = [row["id"] for row in await connection.fetch("SELECT id FROM customers ORDER BY created_at, id")]
    ids = sorted(new_id() for _ in range(count))
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("CREATE TEMP TABLE copies (original uuid, copy uuid)")
    rows = [(originals[n % len(originals)], one) for n, one in enumerate(ids)]
    await connection.copy_records_to_table("copies", records=rows, columns=["original", "copy"])
    await connection.execute("ANALYZE copies")
    for table in _TABLES:
        await connection.execute(await _copying(connection, table))
    await connection.execute(
        "UPDATE lifecycle_state SET next_evaluation_at = NULL WHERE customer_id = ANY($1)", originals
    )
    await connection.execute(
        "UPDATE lifecycle_state SET next_evaluation_at = $1 WHERE next_evaluation_at IS NOT NULL", due_at
    )
    await connection.execute("SET session_replication_role = DEFAULT")
    await connection.execute("VACUUM ANALYZE")
    return ids


async def _copying(connection: "asyncpg.Connection[Any]", table: str) -> str:
    """The statement that copies a table's rows: every id becomes another, the same wherever it stands."""
    owner = "id" if table == "customers" else "customer_id"
    columns = await connection.fetch(_COLUMNS, table)
    values = [_value(row["column_name"], row["data_type"], owner) for row in columns]
    order = "t.day, c.copy" if table in _BY_DAY else "c.copy"
    return (
        f"INSERT INTO {table} ({', '.join(row['column_name'] for row in columns)}) SELECT {', '.join(values)}"
        f" FROM {table} t JOIN copies c ON c.original = t.{owner} ORDER BY {order}"
    )


def _value(column: str, kind: str, owner: str) -> str:
    if column == owner:
        return "c.copy"
    if column == "former":
        return "jsonb_set(t.former, '{scope}', to_jsonb(md5((t.former ->> 'scope') || c.copy::text)::uuid))"
    if column == "scope":
        return "coalesce(md5(t.interval_id::text || c.copy::text)::uuid::text, t.scope)"
    return f"md5(t.{column}::text || c.copy::text)::uuid" if kind == "uuid" else f't."{column}"'
