"""Who makes a request, and whether the key's scopes allow it."""

import time
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from app.auth.keys import allowed, hash_key, well_formed
from app.auth.service import Principal, find_principal
from app.deps import DatabaseDep, NowDep
from app.errors import Problem

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="api_key",
    description="An API key as bearer token. Create one with `stagefolio keys create NAME --scope all`.",
)

_CACHE_SECONDS = 5.0
"""How long a found key is remembered by a process; a revoked key works at most this much longer."""


async def _principal(
    request: Request,
    security: SecurityScopes,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    database: DatabaseDep,
    now: NowDep,
) -> Principal:
    if credentials is None:
        raise Problem(
            "unauthenticated", "Send Authorization: Bearer <key>.", headers={"WWW-Authenticate": 'Bearer realm="api"'}
        )
    principal = None
    if well_formed(credentials.credentials):
        cache: dict[bytes, tuple[float, Principal]] = request.app.state.principals
        digest = hash_key(credentials.credentials, request.app.state.secret_key)
        remembered = cache.get(digest)
        if remembered and remembered[0] > time.monotonic():
            principal = remembered[1]
        else:
            principal = await find_principal(database, digest, now)
            if principal is not None:
                cache[digest] = (time.monotonic() + _CACHE_SECONDS, principal)
    if principal is None:
        raise Problem(
            "unauthenticated",
            "The key is unknown, expired or revoked.",
            headers={"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'},
        )
    missing = [scope for scope in security.scopes if not allowed(principal.scopes, scope)]
    if missing:
        raise Problem("forbidden", f"This needs the scope {missing[0]}.")
    return principal


def needs(scope: str) -> object:
    """A parameter default: the principal of the request, which must hold `scope`."""
    return Security(_principal, scopes=[scope])
