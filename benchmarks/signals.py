"""Signals in batches of 1,000, against the same rows inserted bare."""

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from app.clock import new_id, utc_now
from app.config import Settings
from app.customers.schemas import CustomerCreate
from app.customers.service import create_customers
from app.db import Database
from app.lifecycle.parking import Offered
from app.lifecycle.service import record_signals
from benchmarks.scene import fresh_database

CUSTOMERS = 2000
IN_A_BATCH = 200
SIGNALS = 1000
ROUNDS = 15
HISTORY_DAYS = 120

_INSERT = """
INSERT INTO bare_signals (id, received_at, customer_id, source, source_event_id, type, occurred_at, payload)
SELECT i, $8, c, s, e, t, o, p::jsonb
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
  AS v(i, c, s, e, t, o, p)
"""


def _signal(customer: UUID, kind: str, at: datetime, **payload: str) -> Offered:
    return Offered(customer, None, "bench", str(new_id()), kind, at, payload)


def _usual(customer: UUID, at: datetime, rng: random.Random) -> Offered:
    kind = rng.choice(["login", "login", "deposit", "withdrawal", "trade"])
    payload = {"amount": f"{rng.randrange(1, 90)}.50", "account": "main"} if kind in ("deposit", "withdrawal") else {}
    return _signal(customer, kind, at - timedelta(seconds=rng.randrange(60)), **payload)


async def _population(database: Database, settings: Settings, now: datetime) -> list[UUID]:
    """Growing customers with a history of HISTORY_DAYS days and about four signals a week."""
    rng = random.Random(1)
    ids: list[UUID] = []
    for _ in range(0, CUSTOMERS, 500):
        people = [
            CustomerCreate(full_name=f"Customer {i}", kyc_status="passed", contact_verified=True) for i in range(500)
        ]
        async with database.transaction() as session:
            ids += await create_customers(session, people, now - timedelta(days=HISTORY_DAYS), zone="UTC")
    started = now - timedelta(days=HISTORY_DAYS)
    history = [
        s
        for i in ids
        for s in (
            _signal(i, "risk_profile_completed", started),
            _signal(i, "deposit", started, amount="20000", account="main"),
        )
    ]
    for day in range(1, HISTORY_DAYS):
        at = started + timedelta(days=day)
        history += [_usual(i, at, rng) for i in ids if rng.random() < 4 / 7]
    for begin in range(0, len(history), SIGNALS):
        async with database.transaction() as session:
            await record_signals(
                session, history[begin : begin + SIGNALS], history[begin].occurred_at + timedelta(days=1), settings.tz
            )
    return ids


def _batch(ids: Sequence[UUID], leavers: Sequence[UUID], now: datetime, rng: random.Random) -> list[Offered]:
    chosen = rng.sample(list(ids), IN_A_BATCH - len(leavers))
    batch = [_usual(rng.choice(chosen), now, rng) for _ in range(SIGNALS - len(leavers))]
    return batch + [_signal(leaver, "closure_requested", now) for leaver in leavers]


async def _bare(connection: "asyncpg.Connection[Any]", batch: Sequence[Offered], now: datetime) -> float:
    columns = (
        [new_id() for _ in batch],
        [s.customer_id for s in batch],
        [s.source for s in batch],
        [s.source_event_id for s in batch],
        [s.type for s in batch],
        [s.occurred_at for s in batch],
        [orjson.dumps(s.payload).decode() for s in batch],
    )
    begun = time.perf_counter()
    async with connection.transaction():
        await connection.execute(_INSERT, *columns, now)
    return time.perf_counter() - begun


async def _measure() -> dict[str, Any]:
    settings = Settings()
    rng = random.Random(2)
    async with fresh_database(settings) as (url, database):
        now = utc_now()
        ids = await _population(database, settings, now)
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE bare_signals (LIKE signals INCLUDING ALL)")
        await connection.execute("VACUUM ANALYZE")
        # What the population left behind is not the service's: its collector shall not walk through it.
        gc.collect()
        gc.freeze()
        ours, floor, moved = [], [], 0
        for number in range(ROUNDS):
            leavers, ids = ids[:2], ids[2:]
            batch = _batch(ids, leavers, utc_now(), rng)
            floor.append(await _bare(connection, batch, utc_now()))
            begun = time.perf_counter()
            async with database.transaction() as session:
                _, changes = await record_signals(session, batch, utc_now(), settings.tz)
            ours.append(time.perf_counter() - begun)
            moved += len(changes) if number else 0
        await connection.close()
    ratio = statistics.median(o / f for o, f in zip(ours[1:], floor[1:], strict=True))
    detail = (
        f"{SIGNALS} signals of {IN_A_BATCH} customers: median {statistics.median(ours[1:]) * 1000:.0f} ms, bare insert"
        f" {statistics.median(floor[1:]) * 1000:.1f} ms, {moved / (ROUNDS - 1):.1f} stage changes a batch"
    )
    return {"name": "signals", "ratio": ratio, "promise": "at most 15", "holds": ratio <= 15, "detail": detail}


def run() -> dict[str, Any]:
    """The ratio of a batch through the whole path to the bare insert of its rows, median of interleaved rounds."""
    return asyncio.run(_measure())


if __name__ == "__main__":
    print(run())
