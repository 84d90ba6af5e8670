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
    """One step from stage to stage. Both times: when its cause happened, and when it was decided."""

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
    effective_at: datetime
    decided_at: datetime


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


class IntervalRead(BaseModel):
    """One stay in one stage."""

    id: UUID
    stage: Stage
    cycle: int
    entered_at: datetime
    exited_at: datetime | None = Field(description="Null while the customer is in it")
    days: int = Field(description="Whole days, so far if it is open")


class IntervalList(BaseModel):
    """All stays of a customer, oldest first."""

    items: list[IntervalRead]


class ConditionRead(BaseModel):
    """One comparison of a rule, with the customer's actual value."""

    fact: str
    label: str
    op: str
    threshold: Any
    actual: Any = Field(description="Null if it cannot be computed; the comparison is then false")
    holds: bool
    distance: float | None = Field(description="How far the value is from holding, in the fact's unit")
    flips_at: datetime | None = Field(description="When time alone changes it")


class RuleRead(BaseModel):
    """One rule of the customer's stage."""

    id: str
    to: Stage | None
    holds: bool
    blocked_by: list[str] = Field(description="Facts that keep it from holding")
    confirmed_at: datetime | None = Field(description="When its confirm window ends, if it holds and has one")
    flips_at: datetime | None = Field(description="When time alone changes whether it holds")
    conditions: list[ConditionRead]


class HeldBack(BaseModel):
    """Something that keeps the rules from acting, even one that holds. Leaving is never held back."""

    code: Literal["hold", "pin", "returns", "daily_limit"] = Field(
        description="A hold, a stage chosen by hand, three returns within 60 days, or the last step less than a day ago"
    )
    until: datetime | None = Field(description="When it ends by itself; null if it does not")


class LifecycleRead(BaseModel):
    """Why a customer is where they are, what comes next, and what stands in the way."""

    stage: Stage
    entered_at: datetime
    days_in_stage: int
    target_days: int | None = Field(description="How long the policy expects the stage to take")
    stage_before: Stage | None
    entered_by: str | None = Field(description="The rule that led here; null at the beginning and by hand")
    attrition_score: int = Field(description="0 to 100")
    score_reasons: list[str]
    held_back: list[HeldBack] = Field(description="What keeps the rules from acting now")
    next_evaluation_at: datetime | None = Field(description="When time alone may change something")
    transition_sequence: int
    event_sequence: int = Field(description="Number of public events of the customer so far")
    policy_name: str
    policy_version: int
    rules: list[RuleRead]


class PolicySummary(BaseModel):
    """One version of the rules."""

    version: int
    name: str
    status: Literal["draft", "published"]
    created_at: datetime
    published_at: datetime | None


class PolicyRead(PolicySummary):
    """One version of the rules, whole."""

    document: dict[str, Any]


class PolicyList(BaseModel):
    """All versions, newest first."""

    items: list[PolicySummary]
