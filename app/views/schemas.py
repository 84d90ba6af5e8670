"""Shapes of answers that are put together from several domains."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.customers.schemas import Stage
from app.lifecycle.by_hand_schemas import Blockers


class TransitionPreviewAsk(BaseModel):
    """A move by hand that is only thought of."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[Stage, Field(description="Where the customer would be moved")]


class BlockedCount(BaseModel):
    """Customers who would not be moved, for one reason."""

    code: str = Field(description="The first obstacle: same_stage, no_edge, hold, merged or unknown_customer")
    customers: int


class StartingAction(BaseModel):
    """An action of the playbook that would be planned."""

    key: str
    kind: str
    stage: str = Field(description="The stage that it belongs to, or any")
    customers: int
    first_due_at: datetime = Field(description="The earliest time at which it would be due")


class StoppingAction(BaseModel):
    """A planned action that would be cancelled, since it ends with the stage."""

    key: str
    kind: str
    customers: int


class CustomerPreview(BaseModel):
    """What would become of one customer."""

    customer_id: UUID
    from_stage: Stage | None = Field(description="Null where there is no such customer")
    to_stage: Stage
    allowed: bool
    blockers: Blockers


class TransitionPreview(BaseModel):
    """What a move by hand would do to the customers as they stand now."""

    customers: int = Field(description="All who were asked for, each once")
    allowed: int = Field(description="Those who would be moved")
    blocked: list[BlockedCount] = Field(description="The others, the most frequent reason first")
    starts: list[StartingAction] = Field(description="The first to be due comes first")
    stops: list[StoppingAction]
    sample: list[CustomerPreview] = Field(description="The first 20 customers, in the order given or by id")
