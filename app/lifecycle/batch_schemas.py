"""Shapes of moves of many customers by hand."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.customers.schemas import PlaybookMode, Segment, Stage, Tier
from app.lifecycle.by_hand_schemas import Reason

MOST_IDS = 10_000


class BatchFilter(BaseModel):
    """Which customers: those to whom every criterion applies; a list means any of its values. Not empty."""

    model_config = ConfigDict(extra="forbid")

    stage: Annotated[list[Stage], Field(max_length=5)] = []
    segment: Annotated[list[Segment], Field(max_length=4)] = []
    tier: Annotated[list[Tier], Field(max_length=3)] = []
    owner: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    tag: Annotated[str | None, Field(min_length=1, max_length=60)] = None

    @model_validator(mode="after")
    def _some(self) -> "BatchFilter":
        if not (self.stage or self.segment or self.tier or self.owner or self.tag):
            raise ValueError("name at least one criterion")
        return self


class BatchTransitionCreate(BaseModel):
    """A move of many customers to one stage. Exactly one of `customer_ids` and `filter`."""

    model_config = ConfigDict(extra="forbid")

    customer_ids: Annotated[
        list[UUID] | None,
        Field(min_length=1, max_length=MOST_IDS, description="Named twice, a customer is moved once"),
    ] = None
    filter: Annotated[BatchFilter | None, Field(description="Those who match when the request is made")] = None
    to: Stage
    reason: Reason
    playbook_mode: Annotated[
        PlaybookMode, Field(description="How much of what the stage starts begins: none, dwell_only or full")
    ] = "full"

    @model_validator(mode="after")
    def _one(self) -> "BatchTransitionCreate":
        if (self.customer_ids is None) == (self.filter is None):
            raise ValueError("give either customer_ids or filter")
        return self
