"""Shapes of merges."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Reason = Annotated[str, Field(min_length=3, max_length=500, pattern=r"\S", description="Why, for those who look later")]


class MergeCreate(BaseModel):
    """The record that is the same person or business twice."""

    model_config = ConfigDict(extra="forbid")

    duplicate_id: UUID = Field(description="The customer that is merged into the one of the address")
    reason: Reason


class MergeUndo(BaseModel):
    """Why two records are two people after all."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class MergeRead(BaseModel):
    """A merge. While it is not undone, the duplicate is part of the customer."""

    id: UUID
    customer_id: UUID = Field(description="The surviving customer")
    duplicate_id: UUID
    merged_at: datetime
    actor: str
    reason: str
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None


class MergeList(BaseModel):
    """Merges, newest first."""

    items: list[MergeRead]
