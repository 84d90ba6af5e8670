"""Problem documents: what becomes of every exception, and how it is told."""

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from app.errors import CODES, FieldProblem, Problem


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
            "request_id": request.scope.get("request_id", ""),
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


def problem_of(error: Exception) -> Problem:
    """What to tell about an exception. Never repeats the input."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            found = [
                FieldProblem(pointer=_pointer(e["loc"]), code=e["type"], detail=e["msg"]) for e in error.errors()[:100]
            ]
            return Problem("invalid", errors=found)
        case HTTPException(status_code=404):
            return Problem("not_found", "There is nothing at this address.")
        case HTTPException(status_code=405):
            return Problem("method_not_allowed", headers=dict(error.headers or {}))
        case HTTPException():
            return Problem("bad_request" if error.status_code < 500 else "internal")
        case OperationalError() | InterfaceError() | PoolTimeout() | ConnectionError() | TimeoutError():
            return Problem("unavailable", "The database does not answer; try again.", headers={"Retry-After": "2"})
        case DBAPIError() if getattr(error.orig, "sqlstate", "") in ("40001", "40P01", "55P03", "57014"):
            return Problem("unavailable", "Too much at once on the same rows; try again.", headers={"Retry-After": "1"})
        case DBAPIError() if getattr(error.orig, "sqlstate", "") == "22003":
            return Problem("invalid", "A number is too large to be added up.")
        case DBAPIError() if getattr(error.orig, "sqlstate", "")[:2] in ("08", "57", "53"):
            return Problem("unavailable", "The database does not answer; try again.", headers={"Retry-After": "2"})
    return Problem("internal")
