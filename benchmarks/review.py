"""The review of everybody: 1,000,000 customers with portfolios, of whom a tenth change because a policy was published.

The work: the operation as a worker runs it: screen everybody, then write to those who change, under their locks, in
transactions of at most 1,000: records with reasons, what is in force, former proposals superseded, events.
The floor: COPY of the same rows out and in, on one connection: every row that the work reads, in binary, to nowhere; and
every row that it wrote, into tables of the same kind with the same indexes. The promise: at most PROMISE times the floor.

Run `python -m benchmarks.review 100000` for fewer customers.
"""

import asyncio
import gc
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import text

from app.allocation.engine.defaults import default_document
from app.allocation.everybody.operation import begin_review
from app.allocation.models import AllocationVersion
from app.allocation.versions.store import digest
from app.clock import utc_now
from app.config import Settings
from app.db import Database
from app.jobs import Worker
from app.operations.running import run_now
from app.webhooks.sending import http_session
from benchmarks import Result
from benchmarks.portfolios import load
from benchmarks.scene import fresh_database

CUSTOMERS = 1_000_000
BUSINESSES = 0.126
"""Share of customers whom the new policy is about; one in five of them holds so much cash already."""
PROMISE = 8

_READ = (
    "SELECT id, kind, segment, stage, tier, birth_on, merged_into FROM customers",
    "SELECT customer_id, created_at, id, tolerance, capacity, facts, valid_until FROM risk_profiles",
    "SELECT customer_id, portfolio, standing, review_at FROM recommendation_current",
    "SELECT * FROM allocation_circumstances",
)
_WRITTEN = {
    "recommendations": "created_at >= $1 OR state = 'superseded'",
    "recommendation_current": "recommendation_id IN (SELECT id FROM recommendations WHERE created_at >= $1)",
    "events": "created_at >= $1 AND customer_id IS NOT NULL",
    "customer_event_counters": "$1::timestamptz IS NOT NULL",
}
"""Tables that the work writes to -> which of their rows it wrote."""


async def _publish(database: Database, now: datetime) -> Any:
    """A policy by which small businesses keep more cash, and the review that follows; the id of its operation."""
    body = default_document("policy")
    body["version"] = "more cash"
    body["segments"]["small_business"]["minimum_cash"] = 0.3
    async with database.transaction() as session:
        times = {"created_at": now, "published_at": now}
        status = {"status": "published", "name": body["version"], "digest": digest(body)}
        session.add(AllocationVersion(kind="policy", version=2, body=body, **status, **times))
        return await begin_review(session, "benchmark", now)


async def _reviewed(worker: Worker, operation_id: Any) -> tuple[float, float, dict[str, Any]]:
    """Seconds that the review takes, those of them that screening everybody takes, and the result."""
    now = worker.clock()
    async with worker.database.transaction() as session:
        trial = await begin_review(session, "benchmark", now, dry_run=True)
    seconds = []
    for one in (trial, operation_id):
        begun = time.perf_counter()
        await run_now(worker, one)
        seconds.append(time.perf_counter() - begun)
    async with worker.database.read() as connection:
        found = await connection.execute(text("SELECT result FROM operations WHERE id = :id"), {"id": operation_id})
        return seconds[1], seconds[0], found.scalar_one()


async def _bare(url: str, now: datetime) -> tuple[float, float]:
    """Seconds for the same rows out, and for the same rows in."""
    connection = await asyncpg.connect(url)

    async def nowhere(_: bytes) -> None:
        return None

    begun = time.perf_counter()
    for query in _READ:
        await connection.copy_from_query(query, output=nowhere, format="binary")
    out, into = time.perf_counter() - begun, 0.0
    for table, written in _WRITTEN.items():
        await connection.execute(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL)")
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows"
            query = f"SELECT * FROM {table} WHERE {written}"
            await connection.copy_from_query(query, now, output=rows, format="binary")
            begun = time.perf_counter()
            await connection.copy_to_table(f"bare_{table}", source=rows, format="binary")
            into += time.perf_counter() - begun
    await connection.close()
    return out, into


async def _measure(customers: int) -> Result:
    settings = Settings()
    before = utc_now()
    now = before + timedelta(minutes=10)
    async with fresh_database(settings) as (url, database), http_session(settings) as http:
        people = await load(database, url, customers, before, business=BUSINESSES)
        operation_id = await _publish(database, now)
        gc.collect()
        gc.freeze()
        ours, screening, result = await _reviewed(Worker(database, settings, lambda: now, http), operation_id)
        out, into = await _bare(url, now)
    assert result["customers"] == people
    if not 0.09 < result["changed"] / people < 0.11:
        raise RuntimeError(f"the new policy was to change a tenth of them, not {result['changed']:,}: {result}")
    ratio = ours / (out + into)
    return {
        "name": f"review of {people:,} customers, {result['changed'] / people:.0%} of whom change",
        "ratio": ratio,
        "promise": f"at most {PROMISE:g}",
        "holds": ratio <= PROMISE,
        "detail": f"{ours:.1f} s, of which {screening:.1f} s to screen everybody; COPY of the same rows out {out:.1f} s,"
        f" in {into:.1f} s; {result['changed']:,} changed",
    }


def run(customers: int = CUSTOMERS) -> Result:
    """One review and one floor, in the same database."""
    return asyncio.run(_measure(customers))


if __name__ == "__main__":
    for name, value in run(*map(int, sys.argv[1:])).items():
        print(f"{name:8} {value}")
