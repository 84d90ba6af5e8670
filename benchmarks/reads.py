"""GET /v1/customers/{id} against a bare asyncpg route that reads the same row, each in a process of its own."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import orjson
from fastapi import FastAPI, Response

from app.auth.service import create_key
from app.clock import utc_now
from app.config import Settings
from app.customers.schemas import CustomerCreate
from app.customers.service import create_customers
from app.main import create_app
from benchmarks import Result
from benchmarks.scene import fresh_database
from benchmarks.serving import CONCURRENCY, SECRET, Ask, compare


def bare() -> FastAPI:
    """The floor: one route, one select by primary key over an asyncpg pool, orjson."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        url = os.environ["DATABASE_URL"]
        async with asyncpg.create_pool(url, min_size=CONCURRENCY, max_size=CONCURRENCY) as app.state.pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/v1/customers/{customer_id}")
    async def read(customer_id: UUID) -> Response:
        row = await app.state.pool.fetchrow("SELECT * FROM customers WHERE id = $1", customer_id)
        return Response(orjson.dumps(dict(row), default=str), media_type="application/json")

    return app


def ours() -> FastAPI:
    """The service itself."""
    return create_app(Settings(pool_size=CONCURRENCY), secret_key=SECRET)


async def _measure() -> Result:
    async with fresh_database(Settings()) as (url, database):
        now = utc_now()
        async with database.transaction() as session:
            people = [CustomerCreate(full_name=f"Customer {i}", external_ids=[f"c-{i}"]) for i in range(500)]
            ids = await create_customers(session, people, now, zone="UTC")
            _, key = await create_key(session, "bench", ["all"], now, secret=SECRET, expires_at=None)
        asks = [Ask(f"/v1/customers/{customer_id}") for customer_id in ids]
        found = await compare("benchmarks.reads:bare", "benchmarks.reads:ours", url, asks, key)
    return {
        "name": "read a customer",
        "ratio": found.ratio,
        "promise": "at most 3",
        "holds": found.ratio <= 3,
        "detail": found.detail,
    }


def run() -> Result:
    """The ratio of the time of a read through the service to that of the bare route."""
    return asyncio.run(_measure())


if __name__ == "__main__":
    print(run())
