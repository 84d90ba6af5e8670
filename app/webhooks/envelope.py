"""What every public event carries."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

EventId = Annotated[
    str, Field(pattern=r"^evt_[0-9a-f]{32}$", max_length=36, description="Stable: repeats of an event carry it too")
]


class CustomerEventData(BaseModel):
    """What every event about a customer says."""

    customer_id: UUID = Field(description="The customer it is about")
    sequence: int = Field(
        ge=1, description="Number of the event among all of this customer: orders them and shows gaps"
    )


class EventEnvelope(BaseModel):
    """What every event is wrapped in."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: EventId
    timestamp: datetime = Field(description="When it happened (UTC)")
