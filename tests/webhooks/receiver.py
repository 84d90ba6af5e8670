"""A real local receiver of webhooks."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived. `status` is what it was answered."""

    headers: Mapping[str, str]
    body: bytes
    status: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Listens on a loopback port of its own while the context is open.

    Answers the statuses in `statuses` first, one a request, and `status` afterwards; waits `delay` seconds before each
    answer; never answers while `black_hole` is set. `headers` and `text` are those of every answer.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.statuses: deque[int] = deque()
        self.status = 204
        self.delay = 0.0
        self.black_hole = False
        self.headers: dict[str, str] = {}
        self.text = ""
        self.in_flight = 0
        self.most_in_flight = 0
        self._released = asyncio.Event()
        self._arrived = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/hooks"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._released.set()
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.black_hole:
                await self._released.wait()
        finally:
            self.in_flight -= 1
        status = self.statuses.popleft() if self.statuses else self.status
        self.requests.append(Received(request.headers.copy(), body, status))
        self._arrived.set()
        return web.Response(status=status, headers=self.headers, text=self.text)

    @property
    def message_ids(self) -> list[str]:
        """Ids in order of arrival, repeats included."""
        return [request.message_id for request in self.requests]

    async def wait_for(self, count: int, seconds: float = 10) -> list[Received]:
        """The requests, as soon as `count` different messages have arrived; TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while len(set(self.message_ids)) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.requests
