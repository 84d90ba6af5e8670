"""Shapes of signals, stages, transitions and policies."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.clock import Instant
from app.customers.schemas import ExternalId, Stage
from app.pagination import PageQuery


class SignalCustomer(BaseModel):
    """Whose signal it is: exactly one of the two."""

    model_config = ConfigDict(extra="forbid")

    id: UUID | None = None
    external_id: ExternalId | None = None

    @model_validator(mode="after")
    def _one(self) -> "SignalCustomer":
        if (self.id is None) == (self.external_id is None):
            raise ValueError("give either id or external_id")
        return self


class SignalInput(BaseModel):
    """One thing that a customer did, or that happened to them."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, Field(min_length=1, max_length=60, description="The system that tells it")]
    source_event_id: Annotated[str, Field(min_length=1, max_length=120, description="Unique within the source")]
    type: Annotated[str, Field(min_length=1, max_length=80, description="A known type, or custom.<name>")]
    customer: SignalCustomer
    occurred_at: Instant
    payload: Annotated[
        dict[Annotated[str, Field(max_length=60)], Any],
        Field(
            max_length=40, description="By type: amount, account, balance_after, product_id, …; see docs/lifecycle.md"
        ),
    ] = {}


class SignalBatch(BaseModel):
    """Up to 1,000 signals, of any customers, in any order."""

    model_config = ConfigDict(extra="forbid")

    signals: Annotated[list[SignalInput], Field(min_length=1, max_length=1000)]


class SignalResult(BaseModel):
    """What became of one signal."""

    status: Literal["accepted", "duplicate", "parked", "rejected"]
    customer_id: UUID | None
    code: str | None = Field(description="Why it was rejected or parked")
    detail: str | None = Field(description="The same in words, with the field")


class TransitionRead(BaseModel):
    """One step from stage to stage."""

    id: UUID
    customer_id: UUID
    sequence: int = Field(description="Dense per customer, from 1")
    from_stage: Stage
    to_stage: Stage
    kind: Literal["automatic", "manual", "import", "merge", "correction"]
    rule_id: str | None
    policy_version: int
    reason: str | None
    actor: str
    facts: dict[str, Any] = Field(description="The facts that the rule read, with their values")
    effective_at: datetime = Field(description="When its cause happened")
    evaluated_at: datetime = Field(
        description="The moment that was judged; a sweep that ran late judges the moment it was due"
    )
    decided_at: datetime = Field(description="When that was done")
    corrects_sequence: int | None = Field(description="For a correction: the transition that it takes back")


class SignalReceipt(BaseModel):
    """One result per signal, in order, and the transitions that the batch caused."""

    results: list[SignalResult]
    transitions: list[TransitionRead]


class SignalRead(BaseModel):
    """A stored signal."""

    id: UUID
    source: str
    source_event_id: str
    type: str
    occurred_at: datetime
    received_at: datetime
    retracted_at: datetime | None = Field(description="When it was taken back; it counts no more since then")
    payload: dict[str, Any]


class SignalPage(BaseModel):
    """One page of signals, newest first."""

    items: list[SignalRead]
    next_cursor: str | None


class SignalQuery(PageQuery):
    """Filter of a customer's signals."""

    type: Annotated[str | None, Field(max_length=80)] = None


class TransitionCreate(BaseModel):
    """A move by hand."""

    model_config = ConfigDict(extra="forbid")

    to: Stage
    reason: Annotated[str, Field(min_length=3, max_length=500, pattern=r"\S")]


class TransitionPage(BaseModel):
    """A customer's transitions, newest first."""

    items: list[TransitionRead]
    next_cursor: str | None
