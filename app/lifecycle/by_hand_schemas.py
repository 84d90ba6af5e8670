"""Shapes of what people do by hand: moves and pins."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.clock import Instant
from app.customers.schemas import Pin, Stage
from app.lifecycle.schemas import TransitionRead

Reason = Annotated[str, Field(min_length=3, max_length=500, pattern=r"\S", description="Kept with what was done")]
Blockers = Annotated[
    list[dict[str, Any]],
    Field(
        description="What stands in the way; each has a `code`: same_stage; no_edge, with `from`, `to` and the stages "
        "`allowed`; hold, with `hold`; merged, with the customer `into`"
    ),
]


class TransitionOption(BaseModel):
    """Another stage, and whether the customer can be moved there by hand."""

    to: Stage
    allowed: bool
    blockers: Blockers


class TransitionOptions(BaseModel):
    """Where a customer stands, and every other stage."""

    stage: Stage
    items: list[TransitionOption] = Field(description="In the order of the stages")


class PinSet(BaseModel):
    """Until when the stage is to stay as it is."""

    model_config = ConfigDict(extra="forbid")

    until: Annotated[Instant, Field(description="In the future, at most 366 days ahead")]
    reason: Reason


class PinLift(BaseModel):
    """Why the stage need not stay as it is any longer."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class PinRead(BaseModel):
    """A customer's pin after a change, and what followed from it at once. `version` is the customer's ETag."""

    customer_id: UUID
    pin: Pin | None
    stage: Stage
    transitions: list[TransitionRead] = Field(description="What a rule did that the pin kept from acting")
    version: int
