"""A service with a database of its own, for tests that are not coroutines: every call runs in the loop of the world."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.config import Settings
from app.customers.service import lock
from app.db import Database, async_url
from app.lifecycle.service import switch_policy
from app.lifecycle.sweeps import evaluate_due
from app.main import create_app
from app.reactions import reactions
from tests.conftest import NOW, SECRET, FrozenClock, make_key
from tests.factories import make_customer
from tests.lifecycle import laws
from tests.lifecycle.policy_drafts import make_draft, publish
from tests.lifecycle.replaying import agree

T = TypeVar("T")

REFUSED = {409, 410, 412}
"""Not allowed now; merged into another customer; and moved by the rules just now, which nobody has seen yet."""


class World:
    """The application over one connection. What happens between `begin` and `end` is undone."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.settings = settings
        self.clock = FrozenClock()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._engine = create_async_engine(async_url(url))
        self._connection = self.run(self._engine.connect().start())
        self.db = Database(self._connection, self._connection, reactions(settings))
        self._open()
        key = self.run(make_key(self.db))
        app = create_app(settings, secret_key=SECRET, database=self.db, clock=self.clock)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://test",
            headers={"Authorization": f"Bearer {key}"},
        )
        self.run(self._outer.commit())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result."""
        return self._runner.run(coroutine)

    def _open(self) -> None:
        self._outer = self.run(self._connection.begin().start())

    def begin(self) -> None:
        """The time before anybody came."""
        self.clock.now = NOW
        self.ids: list[UUID] = []
        self.version = 1
        self._open()

    def end(self) -> None:
        """Undo everything since `begin`."""
        self.run(self._outer.rollback())

    def close(self) -> None:
        """Let go of the database."""
        self.run(self.client.aclose())
        self.run(self._connection.close())
        self.run(self._engine.dispose())
        self._runner.close()

    def create(self, **fields: Any) -> None:
        """One customer more."""
        self.ids.append(UUID(self.run(make_customer(self.client, **fields))["id"]))

    def send(self, signals: list[dict[str, Any]]) -> list[str]:
        """Send signals; what became of each."""
        answer = self.run(self.client.post("/v1/signals", json={"signals": signals}))
        assert answer.status_code == 200, answer.text
        return [result["status"] for result in answer.json()["results"]]

    def change(self, method: str, who: int, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """A change of a customer based on what it is now; None if it was refused for a good reason."""
        url = f"/v1/customers/{self.ids[who]}"
        read = self.run(self.client.get(url))
        headers = {"If-Match": read.headers.get("ETag", "*")}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        answer = self.run(self.client.request(method, url + path, json=body, headers=headers))
        assert answer.is_success or answer.status_code in REFUSED, answer.text
        return answer.json() if answer.is_success else None

    def sweep(self) -> None:
        """A sweep at the present time."""
        self.run(self._sweep())

    async def _sweep(self) -> None:
        async with self.db.transaction() as session:
            await evaluate_due(session, self.clock.now, self.settings.tz)

    def publish(self, document: dict[str, Any]) -> None:
        """Put another policy in force; nobody is switched to it yet."""
        draft = self.run(make_draft(self.client, document))
        answer = self.run(publish(self.client, draft, rollout_over_seconds=2_592_000))
        assert answer.status_code == 202, answer.text
        self.version = draft.json()["version"]

    def switch(self, some: set[int]) -> None:
        """Let the newest policy reach some customers, as its rollout does in pieces."""
        self.run(self._switch([self.ids[who] for who in some]))

    async def _switch(self, ids: list[UUID]) -> None:
        async with self.db.transaction() as session:
            alive = "SELECT id FROM customers WHERE id = ANY(:ids) AND merged_into IS NULL"
            there = await session.scalars(text(alive), {"ids": await lock(session, ids)})
            await switch_policy(session, list(there), self.version, self.clock.now, self.settings.tz, "full")

    def step_times(self) -> list[datetime]:
        """When the last steps happened and were decided."""
        return self.run(self._step_times())

    async def _step_times(self) -> list[datetime]:
        latest = "SELECT effective_at, evaluated_at FROM transitions ORDER BY position DESC LIMIT 4"
        async with self.db.read() as connection:
            return [at for row in await connection.execute(text(latest)) for at in row]

    def last_moved(self) -> UUID | None:
        """Who took the last step."""
        return self.run(self._last_moved())

    async def _last_moved(self) -> UUID | None:
        async with self.db.read() as connection:
            query = "SELECT customer_id FROM transitions ORDER BY position DESC LIMIT 1"
            return await connection.scalar(text(query))

    def check(self) -> None:
        """The invariants that can be seen in the rows."""
        self.run(self._check())

    async def _check(self) -> None:
        async with self.db.read() as connection:
            await laws.one_chain(connection)
            await laws.only_edges(connection)
            await laws.bound_stay(connection)
            await laws.not_twice_a_day(connection)
            await laws.profiles_follow(connection, self.settings.zone)

    def replay(self) -> None:
        """Check that a replay is what was lived."""
        self.run(agree(self.db, self.settings.tz, self.clock.now, self.ids))
