"""Shapes of API keys."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.clock import Instant


class ApiKeyCreate(BaseModel):
    """A key to create."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, description="Who or what uses the key")]
    scopes: Annotated[list[str], Field(min_length=1, max_length=30, description="What it may do")]
    expires_at: Annotated[Instant | None, Field(description="When it stops working")] = None


class ApiKeyRead(BaseModel):
    """A key, without the key."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    hint: str = Field(description="Last characters, to tell keys apart")
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Exact to the hour")


class ApiKeyCreated(ApiKeyRead):
    """A new key; the only time that the key itself is shown."""

    key: str


class ApiKeyList(BaseModel):
    """All keys, newest first."""

    items: list[ApiKeyRead]
