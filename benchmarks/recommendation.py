"""One recommendation over HTTP, warm: read as it is stored, and computed for a described person.

The floor is the same application in which the same route, with the same access checks and the same request to read,
returns a constant answer of the same size.
"""

import asyncio
from typing import Any
from uuid import UUID

from fastapi import FastAPI, Response
from fastapi.routing import APIRoute

from app.allocation import routes
from app.allocation.preview_schemas import PreviewCreate
from app.auth.service import create_key
from app.clock import utc_now
from app.config import Settings
from app.customers.schemas import CustomerCreate
from app.customers.service import create_customers
from app.deps import IfNoneMatch, NowDep, ReadDep, StrictRoute, json_response
from app.main import create_app
from benchmarks import Result
from benchmarks.scene import fresh_database
from benchmarks.serving import CONCURRENCY, SECRET, Ask, compare

MOST = {"read a recommendation": 3.0, "compute a recommendation": 4.0}
"""What a customer is shown is stored; computing one for somebody described takes the engine as well."""
_CONSTANT: dict[str, Any] = {"weights": [], "text": "x" * 5_000}
_PERSON = {"age": 45, "profile": {"tolerance": 60.0, "capacity": 70.0, "horizon_years": 12.0}}


def ours() -> FastAPI:
    """The service itself."""
    return create_app(Settings(pool_size=CONCURRENCY), secret_key=SECRET)


def constant() -> FastAPI:
    """The floor: the service, with two routes that answer without looking anything up."""

    async def read(
        customer_id: UUID,
        query: routes.Language,
        connection: ReadDep,
        now: NowDep,
        _: routes.Reader,
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        return json_response(_CONSTANT)

    async def compute(body: PreviewCreate, connection: ReadDep, now: NowDep, _: routes.Reader) -> Response:
        return json_response(_CONSTANT)

    app = ours()
    kinds: list[APIRoute] = [
        StrictRoute("/v1/customers/{customer_id}/recommendation", read, methods=["GET"]),
        StrictRoute("/v1/allocation/preview", compute, methods=["POST"]),
    ]
    app.router.routes[:0] = kinds
    return app


async def _measure() -> list[Result]:
    async with fresh_database(Settings()) as (url, database):
        now = utc_now()
        async with database.transaction() as session:
            people = [CustomerCreate(full_name=f"Customer {i}", external_ids=[f"c-{i}"]) for i in range(500)]
            ids = await create_customers(session, people, now, zone="UTC")
            _, key = await create_key(session, "bench", ["all"], now, secret=SECRET, expires_at=None)
        stored = [Ask(f"/v1/customers/{customer_id}/recommendation") for customer_id in ids]
        computed = [Ask("/v1/allocation/preview", {**_PERSON, "age": 25 + i % 60}) for i in range(500)]
        results: list[Result] = []
        for (name, most), asks in zip(MOST.items(), (stored, computed), strict=True):
            found = await compare(
                "benchmarks.recommendation:constant", "benchmarks.recommendation:ours", url, asks, key
            )
            results.append(
                {
                    "name": name,
                    "ratio": found.ratio,
                    "promise": f"at most {most:g}",
                    "holds": found.ratio <= most,
                    "detail": found.detail,
                }
            )
    return results


def run() -> list[Result]:
    """The ratios of our time to that of the constant route."""
    return asyncio.run(_measure())


if __name__ == "__main__":
    for result in run():
        print(result)
