"""Creating, finding and revoking API keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.keys import SCOPES, hash_key, new_key
from app.auth.models import ApiKey
from app.clock import new_id
from app.db import Database
from app.errors import FieldProblem, Problem, invalid, not_found


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request: the key's id and name, and what it may do."""

    key_id: UUID
    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """How the principal is named in histories."""
        return f"key:{self.name}"


async def create_key(
    session: AsyncSession, name: str, scopes: Sequence[str], now: datetime, *, secret: str, expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """Store a new key; returns its row and the key itself, which is never readable again."""
    unknown = [i for i, scope in enumerate(scopes) if scope not in SCOPES]
    if unknown:
        known = ", ".join(SCOPES)
        raise Problem(
            "invalid",
            errors=[
                FieldProblem(pointer=f"/scopes/{i}", code="unknown_scope", detail=f"Known scopes: {known}.")
                for i in unknown
            ],
        )
    if expires_at is not None and expires_at <= now:
        raise invalid("/expires_at", "in_the_past", "Must lie in the future.")
    key = new_key()
    row = ApiKey(
        id=new_id(),
        name=name,
        key_hash=hash_key(key, secret),
        hint=f"…{key[-4:]}",
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    await session.flush()
    return row, key


async def find_principal(database: Database, key_hash: bytes, now: datetime) -> Principal | None:
    """The principal of a valid key, or None. Notes the use of the key at most once an hour."""
    async with database.read() as connection:
        row = (
            await connection.execute(
                select(ApiKey.id, ApiKey.name, ApiKey.scopes, ApiKey.last_used_at).where(
                    ApiKey.key_hash == key_hash,
                    ApiKey.revoked_at.is_(None),
                    or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
                )
            )
        ).first()
        if row is None:
            return None
        if row.last_used_at is None or now - row.last_used_at > timedelta(hours=1):
            await connection.execute(update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=now))
    return Principal(row.id, row.name, frozenset(row.scopes))


async def revoke_key(session: AsyncSession, key_id: UUID, now: datetime) -> None:
    """Make a key invalid; it stays listed."""
    found = await session.get(ApiKey, key_id, with_for_update=True)
    if found is None:
        raise not_found("API key")
    found.revoked_at = found.revoked_at or now
