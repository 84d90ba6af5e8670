"""A receiver of webhooks on this machine, as an institution's other systems would run one."""

import base64
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Mapping
from typing import Self

import orjson
from aiohttp import web

TOLERANCE_SECONDS = 300


class Receiver:
    """Listens on a free loopback port while the context is open, and verifies every request by Standard Webhooks.

    `secret` is that of the endpoint. `verified` counts messages with a right signature and a fresh time by event type,
    each id once; `repeated` those that came again; `refused` requests that were not genuine, answered 401.
    """

    def __init__(self) -> None:
        self.secret = ""
        self.verified: Counter[str] = Counter()
        self.repeated = 0
        self.refused = 0
        self._seen: set[str] = set()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        message_id = request.headers.get("webhook-id", "")
        if not self._is_genuine(message_id, request.headers, body):
            self.refused += 1
            return web.Response(status=401)
        if message_id in self._seen:
            self.repeated += 1
        else:
            self._seen.add(message_id)
            self.verified[orjson.loads(body)["type"]] += 1
        return web.Response(status=204)

    def _is_genuine(self, message_id: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Checked from the specification alone, with nothing of the sender's code."""
        stamp = headers.get("webhook-timestamp", "")
        if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
            return False
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        digest = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        return any(hmac.compare_digest(wanted, given) for given in headers.get("webhook-signature", "").split(" "))
