"""Shapes of actions, messages and playbooks."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.clock import Instant
from app.pagination import PageQuery
from app.playbooks.definition import ActionClass, Anchor, CalendarDate, Channel, Kind, StageOrAny

State = Literal["planned", "claimed", "done", "skipped", "cancelled", "failed", "unknown"]


class ActionText(BaseModel):
    """One text of an action, as plain text."""

    subject: str
    body: str


class ActionRead(BaseModel):
    """One thing to do, or done, for one customer at one time."""

    id: UUID
    customer_id: UUID
    key: str = Field(description="Name of the action in the playbook")
    occurrence: str = Field(
        description="Which of a series; the first is 1. After three returns: the day on which the rules act again"
    )
    stage: StageOrAny
    kind: Kind
    action_class: ActionClass
    measure: str = Field(description="What the action is good for")
    cause: str | None = Field(
        description="The rule that moved the customer, or the kind of the transition; "
        "`returns` if three returns switched the rules off"
    )
    channel: Channel | None = Field(
        description="How it reaches the customer; null for what the institution does inside"
    )
    owner: str | None = Field(description="Adviser or role that does the task; null for what is no task")
    due_at: datetime
    expires_at: datetime = Field(description="Not done any more after this")
    state: State = Field(
        description="planned; claimed: a task that is due, on its owner's list; then done, skipped, cancelled or failed"
    )
    reason: str | None = Field(description="Why it was skipped, cancelled or failed")
    outcome: str | None = Field(description="How the task ended")
    note: str | None
    content: dict[str, ActionText] | None = Field(description="Texts by language")
    scope: str = Field(description="The interval it belongs to, or `customer`")
    interval_id: UUID | None = Field(
        description="The first interval of a stay that a correction or false alarm resumed"
    )
    transition_id: UUID | None = Field(description="The transition that planned it")
    playbook_version: int
    created_at: datetime
    claimed_at: datetime | None
    finished_at: datetime | None
    finished_by: str | None = Field(description="Who completed or cancelled it by hand")
    version: int = Field(description="Rises with every change: the ETag")


class ActionPage(BaseModel):
    """One page of actions."""

    items: list[ActionRead]
    next_cursor: str | None = Field(description="Null on the last page")


class CustomerActionQuery(PageQuery):
    """Filters and sort of one customer's actions. A filter given twice means either value."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    state: Annotated[list[State], Field(max_length=7)] = []
    sort: Literal["due_at", "-due_at"] = "due_at"


class ActionQuery(CustomerActionQuery):
    """Filters and sort of the list of actions. A filter given twice means either value."""

    owner: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    kind: Annotated[list[Kind], Field(max_length=9)] = []
    stage: Annotated[list[StageOrAny], Field(max_length=6)] = []
    due_until: Annotated[Instant | None, Field(alias="due_at[lte]")] = None


class ActionComplete(BaseModel):
    """How a task ended."""

    model_config = ConfigDict(extra="forbid")

    outcome: Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S", description="Result in a word or two")]
    note: Annotated[str | None, Field(max_length=5000, description="Whatever else is worth knowing")] = None


class ActionCancel(BaseModel):
    """Why an action shall not happen."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class MessageRead(BaseModel):
    """One message in the in-app inbox. Plain text: escape it before showing it as HTML."""

    id: UUID
    customer_id: UUID
    action_id: UUID
    subject: str
    body: str
    language: Literal["en", "zh"]
    created_at: datetime
    read_at: datetime | None


class MessagePage(BaseModel):
    """One page of messages, newest first."""

    items: list[MessageRead]
    next_cursor: str | None = Field(description="Null on the last page")


class MessageQuery(PageQuery):
    """Filter of an inbox."""

    unread: bool | None = Field(default=None, description="Only messages not read yet, or only those read")


class PlaybookSummary(BaseModel):
    """One version of the playbook, without its actions."""

    version: int
    name: str
    status: Literal["draft", "published"]
    published_at: datetime | None


class PlaybookList(BaseModel):
    """All versions, newest first."""

    items: list[PlaybookSummary]


class TierDurations(BaseModel):
    """ISO 8601 durations by tier of the customer."""

    A: str = Field(examples=["P30D"])
    B: str = Field(examples=["P90D"])
    C: str = Field(examples=["P180D"])


class DefinitionText(BaseModel):
    """Templates of one text; `name`, `adviser`, `tier`, `stage` and `cause` may be used in double braces."""

    subject: str
    body: str


class DefinitionContent(BaseModel):
    """Templates by language."""

    en: DefinitionText
    zh: DefinitionText


class DefinitionRead(BaseModel):
    """One action of a playbook."""

    key: str
    stage: StageOrAny
    kind: Kind
    anchor: Anchor = Field(description="What the offset is measured from")
    date: CalendarDate | None = Field(description="Which date, for the anchor date")
    signals: list[str] = Field(description="Which signals, for the anchor signal")
    offset: TierDurations
    every: TierDurations | None = Field(description="Repeated after so long; null for once")
    action_class: ActionClass
    measure: str
    condition: dict[str, Any] | None = Field(description="Tree of all and any over {field, op, value}; null: always")
    channel: Channel | None
    content: DefinitionContent
    owner: str = Field(description="Role that does a task; adviser: the customer's own, if there is one")
    survives_exit: bool = Field(description="Whether it still happens after the customer left the stage")
    expires_after: str = Field(description="ISO 8601 duration after which it is too late")


class PlaybookRead(PlaybookSummary):
    """One version of the playbook."""

    actions: list[DefinitionRead]
