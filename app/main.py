"""The HTTP service: routers, the one error handler, and what every request gets."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException as StarletteHTTPException

from app import openapi
from app.allocation.backtesting.routes import router as backtest_router
from app.allocation.effects.routes import router as effects_router
from app.allocation.everybody.routes import router as allocation_review_router
from app.allocation.holdings.routes import customer_router as customer_holdings_router
from app.allocation.holdings.routes import router as holdings_router
from app.allocation.importing.routes import router as importing_router
from app.allocation.projecting.routes import customer_router as customer_projection_router
from app.allocation.projecting.routes import router as projection_router
from app.allocation.restrictions.routes import router as restriction_router
from app.allocation.reviews.routes import customer_router as customer_reviews_router
from app.allocation.reviews.routes import router as reviews_router
from app.allocation.routes import customer_router as allocation_customer_router
from app.allocation.routes import router as allocation_router
from app.allocation.versions.routes import router as versions_router
from app.auth.routes import router as auth_router
from app.clock import Clock, utc_now
from app.config import Settings
from app.customers.merge_routes import router as merges_router
from app.customers.routes import router as customers_router
from app.db import Database
from app.errors import Problem
from app.frame import RequestFrame
from app.lifecycle.batch_routes import router as batch_router
from app.lifecycle.by_hand_routes import router as by_hand_router
from app.lifecycle.parked_routes import router as parked_router
from app.lifecycle.routes import router as lifecycle_router
from app.lifecycle.routes import signals_router
from app.lifecycle.versions.routes import router as policies_router
from app.operations.routes import router as operations_router
from app.playbooks.routes import router as playbooks_router
from app.problems import problem_of, problem_response
from app.reactions import reactions
from app.setup import ensure_defaults
from app.simulations.routes import router as simulations_router
from app.views.routes import router as views_router
from app.webhooks.routes import events_router
from app.webhooks.routes import router as webhooks_router

log = logging.getLogger("app.http")

ROUTERS = (
    customers_router,
    merges_router,
    allocation_customer_router,
    allocation_router,
    allocation_review_router,
    versions_router,
    effects_router,
    importing_router,
    backtest_router,
    customer_projection_router,
    projection_router,
    restriction_router,
    holdings_router,
    customer_holdings_router,
    reviews_router,
    customer_reviews_router,
    signals_router,
    parked_router,
    lifecycle_router,
    by_hand_router,
    batch_router,
    views_router,
    policies_router,
    playbooks_router,
    webhooks_router,
    events_router,
    operations_router,
    simulations_router,
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

    # The interactive docs come with their scripts: an institution's network need not reach anybody else's.
    app = FastAPIOffline(
        redoc_url=None,
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
    app.add_middleware(RequestFrame, max_body_bytes=settings.max_body_bytes)
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


def _add_errors(app: FastAPI) -> None:
    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status >= 500:
            extra = {"request_id": request.scope.get("request_id"), "code": problem.code}
            log.error("failed", exc_info=error, extra=extra)
        if problem.code == "method_not_allowed":
            problem.headers["Allow"] = _allowed(request)
        return problem_response(request, problem)

    for kind in (Problem, RequestValidationError, StarletteHTTPException, HTTPException, SQLAlchemyError, OSError):
        app.add_exception_handler(kind, answer)


def _allowed(request: Request) -> str:
    """Every method of the path, not only those of the first route that matched it."""
    methods: set[str] = set()
    for route in (route for router in ROUTERS for route in router.routes):
        if isinstance(route, APIRoute) and route.path_regex.match(request.url.path):
            methods |= set(route.methods or ())
    return ", ".join(sorted(methods))
