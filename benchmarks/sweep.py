"""The sweep at midnight, when 100,000 customers are due at once, against the same rows read and written bare.

The work: the sweep as a worker runs it, batch by batch: claim and lock, load, decide, write every state; of 200
customers three change stage, with all that follows in the same transaction (actions, recommendations, events).
The floor: batches of the same customers and size, one connection: lock, read the same rows, write back the state that
the sweep wrote and insert the rows that it added, without a decision. The promise: at most PROMISE times the floor.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from app.clock import utc_now
from app.config import Settings
from app.jobs import Worker
from app.lifecycle.core.ledger import BALANCE_PAST, PAST
from app.lifecycle.sweeps import BATCH
from app.lifecycle.sweeps import run as sweep
from app.webhooks.sending import http_session
from benchmarks import Result, crowd
from benchmarks.scene import fresh_database

CUSTOMERS = 100_000
SLICES = 5
PROMISE = 4

_SINCE = "DATE '2000-01-01'"
_LOCK = "SELECT id FROM customers WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"
_HEADS = """
SELECT c.id, c.version, c.stage, c.stage_entered_at, c.cycle, c.holds, c.pin, c.relationship, c.merged_into, s.*,
       t.inflow, t.outflow, t.trades, t.first_funded_on, t.last_active_on, t.since_on
FROM customers c JOIN bare_state s ON s.customer_id = c.id LEFT JOIN customer_totals t ON t.customer_id = c.id
WHERE c.id = ANY($1)
"""
_DAYS = f"""
SELECT customer_id, array_agg(day - {_SINCE}), array_agg(inflow), array_agg(outflow), array_agg(deposits),
       array_agg(trades), array_agg(logins), array_agg(activity)
FROM customer_day WHERE customer_id = ANY($1) AND day > $2 GROUP BY customer_id
"""
_BALANCES = f"""
SELECT customer_id, account, array_agg(day - {_SINCE}), array_agg(balance)
FROM account_day WHERE customer_id = ANY($1) AND day > $2 GROUP BY customer_id, account
"""
_FACTS = """
SELECT customer_id, json_object_agg(name, json_build_array(day, occurred_at, value))::text
FROM customer_fact WHERE customer_id = ANY($1) GROUP BY customer_id
"""
_STATES = """
UPDATE bare_state s SET attrition_score = v.score, score_reasons = string_to_array(v.reasons, ','),
       confirming = v.confirming::jsonb, next_evaluation_at = v.next_at, evaluated_at = v.at
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
  AS v(id, score, reasons, confirming, next_at, at) WHERE s.customer_id = v.id
"""
_WRITTEN_STATES = """
SELECT customer_id, attrition_score, array_to_string(score_reasons, ','), confirming::text, next_evaluation_at, evaluated_at
FROM lifecycle_state WHERE customer_id = ANY($1) ORDER BY customer_id
"""
_ADDED = {
    "transitions": "decided_at",
    "stage_intervals": "entered_at",
    "actions": "created_at",
    "recommendations": "created_at",
    "events": "created_at",
}
"""Tables that grow when somebody moves -> the column that tells since when."""


async def _prepare(connection: "asyncpg.Connection[Any]", moment: datetime) -> list[UUID]:
    """The crowd, and tables of the same kind for the floor."""
    ids = await crowd.copies(connection, CUSTOMERS, moment)
    await connection.execute("CREATE TABLE bare_state (LIKE lifecycle_state INCLUDING ALL)")
    await connection.execute("INSERT INTO bare_state SELECT * FROM lifecycle_state")
    for table in _ADDED:
        await connection.execute(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL)")
    await connection.execute("VACUUM ANALYZE bare_state")
    await connection.execute("CHECKPOINT")
    return ids


async def _swept(worker: Worker, batches: int) -> float:
    """Seconds that the sweep takes for so many batches."""
    begun = time.perf_counter()
    for _ in range(batches):
        assert await sweep(worker)
    return time.perf_counter() - begun


async def _bare(connection: "asyncpg.Connection[Any]", ids: Sequence[UUID], moment: datetime) -> float:
    """Seconds for the same customers, once the sweep has been there: what it wrote is looked up before."""
    batches = [ids[at : at + BATCH] for at in range(0, len(ids), BATCH)]
    states = [await connection.fetch(_WRITTEN_STATES, batch) for batch in batches]
    added = [
        {
            table: await connection.fetch(
                f"SELECT * FROM {table} WHERE customer_id = ANY($1) AND {since} >= $2", batch, moment
            )
            for table, since in _ADDED.items()
        }
        for batch in batches
    ]
    begun = time.perf_counter()
    for batch, written, rows in zip(batches, states, added, strict=True):
        async with connection.transaction():
            await connection.fetch(_LOCK, batch)
            await connection.fetch(_HEADS, batch)
            await connection.fetch(_DAYS, batch, moment.date() - timedelta(days=PAST))
            await connection.fetch(_BALANCES, batch, moment.date() - timedelta(days=BALANCE_PAST))
            await connection.fetch(_FACTS, batch)
            await connection.execute(_STATES, *map(list, zip(*written, strict=True)))
            for table, new in rows.items():
                if new:
                    await connection.copy_records_to_table(f"bare_{table}", records=new, columns=list(new[0].keys()))
    return time.perf_counter() - begun


async def _measure() -> Result:
    settings = Settings()
    moment = utc_now().astimezone(settings.tz).replace(hour=0, minute=0, second=0, microsecond=0)
    now = moment + timedelta(minutes=1)
    async with fresh_database(settings) as (url, database), http_session(settings) as http:
        await crowd.lives(database, settings, moment)
        connection = await asyncpg.connect(url)
        ids = await _prepare(connection, moment)
        worker = Worker(database, settings, lambda: now, http)
        # What the crowd left behind is not the service's: its collector shall not walk through it.
        gc.collect()
        gc.freeze()
        ours, floor, size = [], [], CUSTOMERS // SLICES
        for at in range(0, CUSTOMERS, size):
            ours.append(await _swept(worker, size // BATCH))
            floor.append(await _bare(connection, ids[at : at + size], moment))
        moved, due = await _outcome(connection, moment)
        await connection.close()
    assert due == 0
    assert moved == CUSTOMERS * crowd.MOVERS // crowd.LIVES
    ratio = statistics.median(o / f for o, f in zip(ours, floor, strict=True))
    return {
        "name": f"sweep of {CUSTOMERS:,} customers due at once",
        "ratio": ratio,
        "promise": f"at most {PROMISE:g}",
        "holds": ratio <= PROMISE,
        "detail": f"{CUSTOMERS / sum(ours):,.0f} customers/s in one worker, bare {CUSTOMERS / sum(floor):,.0f}/s; {moved:,} moved",
    }


async def _outcome(connection: "asyncpg.Connection[Any]", moment: datetime) -> tuple[int, int]:
    """How many moved, and how many are still due."""
    moved = await connection.fetchval("SELECT count(*) FROM transitions WHERE decided_at >= $1", moment)
    due = await connection.fetchval("SELECT count(*) FROM lifecycle_state WHERE next_evaluation_at <= $1", moment)
    return moved, due


def run() -> Result:
    """Five slices, each swept and then read and written bare; the ratio is the median of theirs."""
    return asyncio.run(_measure())


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:8} {value}")
