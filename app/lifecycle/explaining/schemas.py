"""Shapes of the explanation of a lifecycle, and of the time in stages."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from app.customers.schemas import Stage


class IntervalRead(BaseModel):
    """One stay in one stage."""

    id: UUID
    stage: Stage
    cycle: int
    entered_at: datetime
    exited_at: datetime | None = Field(description="Null while the customer is in it")
    days: int = Field(description="Days of the institution's calendar, so far if it is open")
    corrected: bool = Field(description="Taken back by a correction: the stay before goes on through it")


class IntervalList(BaseModel):
    """All stays of a customer, oldest first."""

    items: list[IntervalRead]


class StageTime(BaseModel):
    """A customer's time in one of the five stages."""

    stage: Stage
    visits: int = Field(description="Number of stays, the present one included; 0 if the customer never was in it")
    first_entered_at: datetime | None
    last_entered_at: datetime | None
    last_exited_at: datetime | None
    total_days: int = Field(description="Whole days of all stays, summed")
    current: bool
    target_days: int | None = Field(
        description="How long the policy expects the stage to take; null if it does not say"
    )
    overdue: bool = Field(description="In it now, for longer than that")


class FactRead(BaseModel):
    """A fact that the rule read when it moved the customer."""

    fact: str
    label: str
    value: Any = Field(description="Null if it could not be computed")
    text: str = Field(description="Value and what the rule asked of it, in words")


class WhyRead(BaseModel):
    """The step that led to the present stage."""

    text: str = Field(description="One sentence, in the language asked for")
    kind: Literal["created", "automatic", "manual", "import", "merge", "correction"]
    sequence: int = Field(description="The transition's; 0 at the beginning")
    from_stage: Stage | None
    rule_id: str | None
    actor: str | None
    reason: str | None
    corrects_sequence: int | None = Field(description="Of a correction: the transition that it took back")
    effective_at: datetime
    decided_at: datetime | None
    facts: list[FactRead]


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
    text: str = Field(description="The same in words")


class AllNode(BaseModel):
    """All parts must hold."""

    all: list["ConditionNode"]
    holds: bool
    met: int = Field(description="How many of the parts hold")


class AnyNode(BaseModel):
    """One part must hold."""

    any: list["ConditionNode"]
    holds: bool
    met: int = Field(description="How many of the parts hold")


class AtLeastNode(BaseModel):
    """So many parts must hold."""

    at_least: int
    of: list["ConditionNode"]
    holds: bool
    met: int = Field(description="How many of the parts hold")


ConditionNode = TypeAliasType(
    "ConditionNode",
    Annotated[int, Field(ge=0, description="Place in `conditions`")] | AllNode | AnyNode | AtLeastNode,
)


class RuleRead(BaseModel):
    """One rule of the customer's stage."""

    id: str
    to: Stage | None
    text: str = Field(description="What it would do and what it waits for, in one sentence")
    why: str = Field(description="The policy's reason for its numbers")
    priority: int = Field(description="Of several rules that hold, the one with the highest fires")
    confirm_days: int = Field(description="How long it must hold without a break")
    min_dwell_days: int = Field(description="Least days in the stage")
    holds: bool
    blocked_by: list[str] = Field(description="Facts that keep it from holding and whose change would help")
    confirmed_at: datetime | None = Field(description="When its confirm window ends, if it holds and has one")
    flips_at: datetime | None = Field(description="When time alone changes whether it holds")
    conditions: list[ConditionRead]
    tree: ConditionNode = Field(description="How the conditions belong together")


class ScoreContribution(BaseModel):
    """A part of the attrition score."""

    id: str
    points: int
    counts: bool
    text: str


class HeldBack(BaseModel):
    """Something that keeps the rules from acting, even one that holds. Leaving is never held back."""

    code: Literal["hold", "pin", "returns", "daily_limit"] = Field(
        description="A hold, a pin of the stage, three returns within 60 days, or the last step less than a day ago"
    )
    until: datetime | None = Field(description="When it ends by itself; null if it does not")


class ComingRead(BaseModel):
    """Something that comes by time alone."""

    at: datetime
    kind: Literal["holds", "moves", "pin", "returns", "daily_limit"] = Field(
        description="A rule begins to hold, a rule moves the customer, or that which held the rules back ends"
    )
    rule_id: str | None
    to: Stage | None
    text: str


class LifecycleRead(BaseModel):
    """Why a customer is where they are, what comes next, and what stands in the way."""

    stage: Stage
    entered_at: datetime
    days_in_stage: int
    target_days: int | None = Field(description="How long the policy expects the stage to take")
    overdue: bool = Field(description="In the stage for longer than that")
    overdue_days: int = Field(description="Days beyond the target, 0 if there are none")
    stage_before: Stage | None
    entered_by: str | None = Field(description="The rule that led here; null at the beginning and by hand")
    why: WhyRead
    next: list[ComingRead] = Field(description="What comes if nothing happens, soonest first, up to the next step")
    attrition_score: int = Field(description="0 to 100")
    score_reasons: list[str]
    score: list[ScoreContribution] = Field(description="Everything that the attrition score is made of")
    held_back: list[HeldBack] = Field(description="What keeps the rules from acting now")
    next_evaluation_at: datetime | None = Field(description="When time alone may change something")
    transition_sequence: int
    event_sequence: int = Field(description="Number of public events of the customer so far")
    policy_name: str
    policy_version: int = Field(description="The version that applies to this customer")
    rules: list[RuleRead]
    stages: list[StageTime] = Field(description="Time in each of the five stages")


class StageOverview(BaseModel):
    """The customers of one stage. All figures but `closed` are of open relationships."""

    stage: Stage
    customers: int
    overdue: int = Field(description="In the stage for longer than the target")
    target_days: int | None
    median_days_in_stage: int | None = Field(description="Half of them are in it at most so long; null if it is empty")
    on_hold: int
    pinned: int = Field(description="Whose stage was chosen by hand and is still protected")
    due_evaluations: int = Field(description="Whom time alone may have moved, and who wait to be looked at")
    closed: int = Field(description="Customers whose relationship has ended")


class LifecycleOverview(BaseModel):
    """One line per stage, by the policy in force. Merged duplicates are not counted."""

    as_of: datetime
    policy_version: int
    stages: list[StageOverview]
