"""What every request gets: an id, a limit of its body, security headers, one log line, and an answer whatever happens.

Plain ASGI, since Starlette's middleware class costs as much as a whole read.
"""

import logging
import time
from typing import Any

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.clock import new_id
from app.errors import Problem
from app.problems import problem_response

log = logging.getLogger("app.http")


class RequestFrame:
    """Outermost middleware. `max_body_bytes` counts what really arrives, announced or not."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        scope["request_id"] = str(new_id())
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = scope["request_id"]
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self.app(scope, self._limited(scope, receive), sending)
        except Exception as error:
            problem = error if isinstance(error, Problem) else Problem("internal")
            if problem.status >= 500:
                log.exception("unforeseen", extra={"request_id": scope["request_id"]})
            if status == 0:
                await problem_response(Request(scope), problem)(scope, receive, sending)
        finally:
            _log(scope, status, started)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        left = self.max_body_bytes
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = Problem("too_large", f"At most {self.max_body_bytes} bytes.")

        async def receiving() -> Message:
            nonlocal left
            if announced.isdigit() and int(announced) > self.max_body_bytes:
                raise too_large
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise too_large
            return message

        return receiving


def _log(scope: Scope, status: int, started: float) -> None:
    if log.isEnabledFor(logging.INFO):
        route: Any = scope.get("route")
        extra = {
            "request_id": scope["request_id"],
            "method": scope["method"],
            "route": getattr(route, "path", None),
            "status": status,
            "ms": round((time.perf_counter() - started) * 1000, 1),
        }
        log.info("request", extra=extra)
