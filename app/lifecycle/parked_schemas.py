"""Shapes of signals that wait, or waited in vain, for their customer."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.customers.schemas import ExternalId
from app.lifecycle.schemas import TransitionRead
from app.pagination import PageQuery

Status = Literal["waiting", "expired", "refused"]
MOST_IDS = 500

Source = Annotated[str, Field(min_length=1, max_length=60)]
SourceEventId = Annotated[str, Field(min_length=1, max_length=120)]


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


class ParkedSignalRead(BaseModel):
    """A signal of an external id that nobody had when it came, or that was refused when it was replayed."""

    source: str
    source_event_id: str
    external_id: str
    type: str
    occurred_at: datetime
    expires_at: datetime = Field(description="Until then it is replayed by itself; 90 days later it is deleted")
    status: Status
    code: str | None = Field(description="Why it was refused when it was replayed")
    detail: str | None = Field(description="The same in words, with the field")
    payload: dict[str, Any]


class ParkedSignalPage(BaseModel):
    """One page of parked signals, those that expire last first."""

    items: list[ParkedSignalRead]
    next_cursor: str | None = Field(description="Null on the last page")


class ParkedSignalQuery(PageQuery):
    """Filters of the parked signals."""

    status: Annotated[list[Status], Field(max_length=3, description="Only these; repeat for several")] = []
    external_id: Annotated[str | None, Field(max_length=100)] = None
    source: Annotated[str | None, Field(max_length=60)] = None


class ParkedSignalKey(BaseModel):
    """Which parked signal."""

    model_config = ConfigDict(extra="forbid")

    source: Source
    source_event_id: SourceEventId


class ParkedReplay(BaseModel):
    """Whose parked signals to try again."""

    model_config = ConfigDict(extra="forbid")

    external_ids: Annotated[
        list[ExternalId], AfterValidator(_distinct), Field(min_length=1, max_length=MOST_IDS, description="One or more")
    ]


class ParkedResult(BaseModel):
    """What became of one parked signal."""

    source: str
    source_event_id: str
    external_id: str
    status: Literal["accepted", "duplicate", "parked", "rejected"] = Field(
        description="Accepted and duplicate ones are parked no more; a rejected one is kept as refused"
    )
    customer_id: UUID | None
    code: str | None
    detail: str | None


class ParkedReceipt(BaseModel):
    """One result for each signal that was tried, earliest occurrence first, and the transitions they caused."""

    results: list[ParkedResult]
    transitions: list[TransitionRead]
    unknown_external_ids: list[str] = Field(description="Nobody has these; what is parked for them was left alone")
    remaining: int = Field(
        description="Signals of known external ids that were not tried, since one request tries 1,000: send it again"
    )
