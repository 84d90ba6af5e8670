"""GET /v1/customers/{id} against a bare asyncpg route that reads the same row, each in a process of its own."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import orjson
from fastapi import FastAPI, Response

from app.auth.service import create_key
from app.clock import utc_now
from app.config import Settings
from app.customers.schemas import CustomerCreate
from app.customers.service import create_customers
from app.main import create_app
from benchmarks.scene import fresh_database

SECRET = "benchmark-secret-of-more-than-32-characters"
REQUESTS = 2000
CONCURRENCY = 16
ROUNDS = 7


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


def _start(factory: str, port: int, url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            f"benchmarks.reads:{factory}",
            "--factory",
            "--port",
            str(port),
            "--log-level",
            "critical",
            "--no-access-log",
        ],
        env={**os.environ, "DATABASE_URL": url},
    )


async def _round(http: aiohttp.ClientSession, port: int, ids: Sequence[Any], key: str) -> float:
    queue = [ids[i % len(ids)] for i in range(REQUESTS)]

    async def drain() -> None:
        while queue:
            url = f"http://127.0.0.1:{port}/v1/customers/{queue.pop()}"
            async with http.get(url, headers={"Authorization": f"Bearer {key}"}) as answer:
                await answer.read()
                assert answer.status == 200, f"{url}: {answer.status}"

    begun = time.perf_counter()
    await asyncio.gather(*(drain() for _ in range(CONCURRENCY)))
    return time.perf_counter() - begun


async def _ready(http: aiohttp.ClientSession, port: int) -> None:
    for _ in range(100):
        try:
            async with http.get(f"http://127.0.0.1:{port}/openapi.json"):
                return
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


async def _measure() -> dict[str, Any]:
    async with fresh_database(Settings()) as (url, database):
        now = utc_now()
        async with database.transaction() as session:
            people = [CustomerCreate(full_name=f"Customer {i}", external_ids=[f"c-{i}"]) for i in range(500)]
            ids = await create_customers(session, people, now, zone="UTC")
            _, key = await create_key(session, "bench", ["all"], now, secret=SECRET, expires_at=None)
        processes = {"bare": _start("bare", 8451, url), "ours": _start("ours", 8452, url)}
        times: dict[str, list[float]] = {"bare": [], "ours": []}
        try:
            async with aiohttp.ClientSession() as http:
                for port in (8451, 8452):
                    await _ready(http, port)
                    await _round(http, port, ids, key)
                for _ in range(ROUNDS):
                    times["bare"].append(await _round(http, 8451, ids, key))
                    times["ours"].append(await _round(http, 8452, ids, key))
        finally:
            for process in processes.values():
                process.terminate()
                process.wait(20)
    ratio = statistics.median(o / b for o, b in zip(times["ours"], times["bare"], strict=True))
    per_second = {name: REQUESTS / statistics.median(found) for name, found in times.items()}
    detail = f"{per_second['ours']:.0f} requests a second, bare {per_second['bare']:.0f}, {CONCURRENCY} at a time, one process each"
    return {"name": "read a customer", "ratio": ratio, "promise": "at most 3", "holds": ratio <= 3, "detail": detail}


def run() -> dict[str, Any]:
    """The ratio of the time of a read through the service to that of the bare route."""
    return asyncio.run(_measure())


if __name__ == "__main__":
    print(run())
