"""API keys over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy import select

from app.auth.deps import needs
from app.auth.keys import SCOPES, allowed
from app.auth.models import ApiKey
from app.auth.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyList, ApiKeyRead
from app.auth.service import Principal, create_key, revoke_key
from app.deps import NowDep, ReadDep, SessionDep, StrictRoute, problems
from app.errors import Problem

router = APIRouter(prefix="/v1/api-keys", tags=["API keys"], route_class=StrictRoute)

Manager = Annotated[Principal, needs("keys:manage")]


@router.post("", status_code=201, summary="Create an API key", responses=problems("malformed_json"))
async def create_api_key(
    body: ApiKeyCreate, request: Request, session: SessionDep, now: NowDep, principal: Manager
) -> ApiKeyCreated:
    """The answer holds the key; it cannot be read again. Nobody can give away scopes that they do not hold."""
    for scope in body.scopes:
        if scope in SCOPES and not allowed(principal.scopes, scope):
            raise Problem("forbidden", f"Your own key lacks the scope {scope}.")
    row, key = await create_key(
        session, body.name, body.scopes, now, secret=request.app.state.secret_key, expires_at=body.expires_at
    )
    return ApiKeyCreated(**ApiKeyRead.model_validate(row).model_dump(), key=key)


@router.get("", summary="List API keys", responses=problems())
async def list_api_keys(connection: ReadDep, _: Manager) -> ApiKeyList:
    """All keys, newest first, revoked ones included."""
    rows = (await connection.execute(select(ApiKey.__table__).order_by(ApiKey.id.desc()))).mappings()
    return ApiKeyList(items=[ApiKeyRead.model_validate(dict(row)) for row in rows])


@router.delete("/{key_id}", status_code=204, summary="Revoke an API key", responses=problems("not_found"))
async def revoke_api_key(key_id: UUID, session: SessionDep, now: NowDep, _: Manager) -> None:
    """Takes effect everywhere within five seconds."""
    await revoke_key(session, key_id, now)
