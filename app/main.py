"""The HTTP service: routers, the one error handler, and what every request gets."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from starlette.exceptions import HTTPException as StarletteHTTPException

from app import openapi
from app.auth.routes import router as auth_router
from app.clock import Clock, new_id, utc_now
from app.config import Settings
from app.customers.routes import router as customers_router
from app.db import Database
from app.errors import CODES, FieldProblem, Problem
from app.lifecycle.routes import router as lifecycle_router
from app.lifecycle.routes import signals_router
from app.playbooks.routes import router as playbooks_router
from app.reactions import reactions
from app.setup import ensure_defaults
from app.webhooks.routes import events_router
from app.webhooks.routes import router as webhooks_router

log = logging.getLogger("app.http")

ROUTERS = (
    customers_router,
    signals_router,
    lifecycle_router,
    playbooks_router,
    webhooks_router,
    events_router,
    auth_router,
)


def create_app(
    settings: Settings, *, secret_key: str, database: Database | None = None, clock: Clock = utc_now
) -> FastAPI:
    """The application. With `database` None it opens its own from the settings, and closes it at the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if database is None:
            if settings.database_url is None:
                raise RuntimeError("DATABASE_URL is not set")
            app.state.database = Database.connect(
                settings.database_url, reactions(settings), pool_size=settings.pool_size
            )
            await ensure_defaults(app.state.database, settings, clock())
        yield
        if database is None:
            await app.state.database.close()

    app = FastAPI(
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        **openapi.INFO,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.clock = clock
    app.state.secret_key = secret_key
    app.state.principals = {}
    for router in ROUTERS:
        app.include_router(router)
    openapi.install(app)
    _add_health(app)
    _add_errors(app)
    _add_request_frame(app, settings.max_body_bytes)
    return app


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz(request: Request) -> dict[str, str]:
        """The database answers and has a schema."""
        async with request.app.state.database.read() as connection:
            await connection.execute(text("SELECT 1 FROM customers LIMIT 1"))
        return {"status": "ready"}


def _add_request_frame(app: FastAPI, max_body_bytes: int) -> None:
    @app.middleware("http")
    async def frame(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Request id, size limit, security headers, one log line. The catch-all for what nobody foresaw is here too."""
        started = time.perf_counter()
        request.state.request_id = str(new_id())
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > max_body_bytes:
            response: Response = problem_response(request, Problem("too_large", f"At most {max_body_bytes} bytes."))
        else:
            try:
                response = await call_next(request)
            except Exception as error:
                log.exception("unforeseen", exc_info=error, extra={"request_id": request.state.request_id})
                response = problem_response(request, Problem("internal"))
        response.headers["X-Request-Id"] = request.state.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-store")
        route = request.scope.get("route")
        log.info(
            "request",
            extra={
                "request_id": request.state.request_id,
                "method": request.method,
                "route": getattr(route, "path", None),
                "status": response.status_code,
                "ms": round((time.perf_counter() - started) * 1000, 1),
            },
        )
        return response


def problem_response(request: Request, problem: Problem) -> JSONResponse:
    """The problem document of `problem`, in the language that the client prefers."""
    code = CODES[problem.code]
    chinese = request.headers.get("accept-language", "").strip().lower().startswith("zh")
    return JSONResponse(
        {
            "type": f"urn:stagefolio:problem:{problem.code}",
            "title": code.zh if chinese else code.en,
            "status": code.status,
            "detail": problem.detail,
            "instance": request.url.path,
            "code": problem.code,
            "request_id": getattr(request.state, "request_id", ""),
            "errors": [error.model_dump() for error in problem.errors],
            "blockers": problem.blockers,
        },
        status_code=code.status,
        headers=problem.headers,
        media_type="application/problem+json",
    )


def _pointer(location: tuple[Any, ...]) -> str:
    where, *path = location
    if where == "body":
        return "".join(f"/{part}" for part in path)
    return str(path[0]) if path else str(where)


def _problem_of(error: Exception) -> Problem:
    """What to tell about an exception. Never repeats the input."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            found = [
                FieldProblem(pointer=_pointer(e["loc"]), code=e["type"], detail=e["msg"]) for e in error.errors()[:100]
            ]
            return Problem("invalid", errors=found)
        case StarletteHTTPException(status_code=404):
            return Problem("not_found", "There is nothing at this address.")
        case StarletteHTTPException(status_code=405):
            return Problem("method_not_allowed", headers=dict(error.headers or {}))
        case StarletteHTTPException():
            return Problem("bad_request" if error.status_code < 500 else "internal")
        case OperationalError() | InterfaceError() | ConnectionError() | TimeoutError():
            return Problem("unavailable", "The database does not answer; try again.", headers={"Retry-After": "2"})
        case DBAPIError() if getattr(error.orig, "sqlstate", "") in ("40001", "40P01", "55P03", "57014"):
            return Problem("unavailable", "Too much at once on the same rows; try again.", headers={"Retry-After": "1"})
        case DBAPIError() if getattr(error.orig, "sqlstate", "")[:2] in ("08", "57", "53"):
            return Problem("unavailable", "The database does not answer; try again.", headers={"Retry-After": "2"})
    return Problem("internal")


def _add_errors(app: FastAPI) -> None:
    async def answer(request: Request, error: Exception) -> Response:
        problem = _problem_of(error)
        if problem.status >= 500:
            extra = {"request_id": request.state.request_id, "code": problem.code}
            log.error("failed", exc_info=error, extra=extra)
        if problem.code == "method_not_allowed":
            problem.headers["Allow"] = _allowed(request)
        return problem_response(request, problem)

    for kind in (Problem, RequestValidationError, StarletteHTTPException, HTTPException, DBAPIError, OSError):
        app.add_exception_handler(kind, answer)


def _allowed(request: Request) -> str:
    """Every method of the path, not only those of the first route that matched it."""
    methods: set[str] = set()
    for route in (route for router in ROUTERS for route in router.routes):
        if isinstance(route, APIRoute) and route.path_regex.match(request.url.path):
            methods |= route.methods
    return ", ".join(sorted(methods))
