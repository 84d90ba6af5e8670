"""What every route may ask for: the unit of work, a reading connection, the time, ETags, and its problem responses.

Dependencies are coroutines even where they await nothing: FastAPI sends plain functions through a thread each.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.config import Settings
from app.db import Database
from app.errors import CODES, FieldProblem, Problem, ProblemDocument


async def get_database(request: Request) -> Database:
    """The database of this process."""
    database: Database = request.app.state.database
    return database


async def get_settings(request: Request) -> Settings:
    """The settings of this process."""
    settings: Settings = request.app.state.settings
    return settings


async def get_now(request: Request) -> datetime:
    """The `now` of this request; read once."""
    if not hasattr(request.state, "now"):
        request.state.now = request.app.state.clock()
    now: datetime = request.state.now
    return now


async def _session(database: Annotated[Database, Depends(get_database)]) -> AsyncIterator[AsyncSession]:
    async with database.transaction() as session:
        yield session


async def _reader(database: Annotated[Database, Depends(get_database)]) -> AsyncIterator[AsyncConnection]:
    async with database.read() as connection:
        yield connection


# scope="function": the commit happens before the response is sent. With FastAPI's default scope the client would read
# 200 and the commit could still fail.
SessionDep = Annotated[AsyncSession, Depends(_session, scope="function")]
ReadDep = Annotated[AsyncConnection, Depends(_reader, scope="function")]
DatabaseDep = Annotated[Database, Depends(get_database)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
NowDep = Annotated[datetime, Depends(get_now)]
IfMatch = Annotated[str | None, Header(max_length=200, description="ETag of the version that the change is based on")]
IfNoneMatch = Annotated[str | None, Header(max_length=1000, description="Answer 304 if the ETag is still this one")]


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON of rows as they come from the database. FastAPI's own encoder costs more than the query.

    Times are written in UTC with Z; decimals and the driver's UUIDs as strings.
    """
    return Response(orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z), status, headers, "application/json")


def etag(version: int | str) -> str:
    """Strong entity tag of a version."""
    return f'"{version}"'


def require_match(if_match: str | None, version: int | str) -> None:
    """428 without `If-Match`, 412 if it does not name the present version."""
    if if_match is None:
        raise Problem("precondition_required", "Send If-Match with the ETag that you read.")
    # What follows a dot in a tag tells representations of one version apart; a change is based on the version.
    based_on = [tag.strip().strip('"').split(".")[0] for tag in if_match.split(",")]
    if if_match.strip() != "*" and str(version) not in based_on:
        raise Problem("stale", "Read the resource again and repeat the change.", headers={"ETag": etag(version)})


def unchanged(if_none_match: str | None, version: int | str) -> bool:
    """Whether a conditional GET may be answered 304."""
    return if_none_match is not None and (
        if_none_match.strip() == "*" or etag(version) in [tag.strip() for tag in if_none_match.split(",")]
    )


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route: its own problem codes and those that every route may answer."""
    by_status: dict[int, list[str]] = {}
    # Where an erased customer is refused, a merged duplicate is, too.
    merged = ("merged",) if "erased" in codes else ()
    for code in dict.fromkeys(("unauthenticated", "forbidden", "invalid", "internal", *codes, *merged)):
        by_status.setdefault(CODES[code].status, []).append(code)
    return {
        status: {
            "description": ", ".join(f"`{code}`: {CODES[code].en}" for code in listed),
            "model": ProblemDocument,
            "content": {"application/problem+json": {}},
        }
        for status, listed in sorted(by_status.items())
    }


_DEEPEST = 64
"""Levels of nesting that a body may have: more than any shape of ours, and far from what breaks a writer of JSON."""


def _check_values(parsed: Any) -> None:
    """No nesting beyond _DEEPEST (400), and no NUL characters, which PostgreSQL cannot store (422)."""
    waiting: list[tuple[Any, str, int]] = [(parsed, "", 0)]
    while waiting:
        value, pointer, depth = waiting.pop()
        if depth > _DEEPEST:
            raise Problem("malformed_json", f"Nested more than {_DEEPEST} levels deep.")
        if isinstance(value, str):
            if "\x00" in value:
                raise Problem("invalid", errors=[FieldProblem(pointer=pointer, code="nul", detail="Contains U+0000.")])
        elif isinstance(value, dict):
            waiting += [(key, pointer, depth) for key in value]
            waiting += [(child, f"{pointer}/{key}", depth + 1) for key, child in value.items()]
        elif isinstance(value, list):
            waiting += [(child, f"{pointer}/{i}", depth + 1) for i, child in enumerate(value)]


def parse_json(body: bytes) -> Any:
    """Strict JSON: no NaN, no lone surrogates, no absurd depth (400); no NUL characters (422)."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem("malformed_json", f"Line {error.lineno}, column {error.colno}.") from error
    _check_values(parsed)
    return parsed


_JSON_TYPES = ("application/json", "application/merge-patch+json")


class StrictRoute(APIRoute):
    """A route that reads its JSON body with `parse_json`, once, before FastAPI validates it; no NUL in the query."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if b"%00" in request.scope["query_string"]:
                nul = next((n for n, v in request.query_params.multi_items() if "\x00" in n + v), "query")
                raise Problem("invalid", errors=[FieldProblem(pointer=nul, code="nul", detail="Contains U+0000.")])
            if self.body_field is not None:
                body = await request.body()
                kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
                if body and kind not in _JSON_TYPES and not kind.startswith("multipart/"):
                    raise Problem("unsupported_media_type", "Send application/json.")
                if body and kind in _JSON_TYPES:
                    request._json = parse_json(body)  # noqa: SLF001 - Starlette's own cache of the parsed body
            return await handler(request)

        return strict
