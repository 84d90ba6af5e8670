"""The shape of every public event: what receivers are sent, what the feed lists, what clients are generated from.

`app.events` says what happened and renders `data`; the models here say what that means. A test renders every event and
holds it against its model.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from app.events import PUBLIC_TYPES
from app.webhooks.envelope import CustomerEventData, EventEnvelope
from app.webhooks.portfolio_events import (
    AllocationVersionPublishedEvent,
    PortfolioReviewDueEvent,
    RecommendationAcceptedEvent,
    RecommendationCreatedEvent,
)

Stage = Literal["prospect", "trial", "growth", "mature", "decline"]


class CustomerCreatedData(CustomerEventData):
    """Where the customer starts."""

    stage: Stage = Field(description="The stage the customer starts in")


class CustomerCreatedEvent(EventEnvelope):
    """A customer was created or imported."""

    type: Literal["customer.created"]
    data: CustomerCreatedData


class CustomerUpdatedData(CustomerEventData):
    """Which fields of the profile changed, without their values."""

    fields: list[Annotated[str, Field(max_length=100)]] = Field(description="Names of the fields that changed")


class CustomerUpdatedEvent(EventEnvelope):
    """Fields of a customer's profile changed."""

    type: Literal["customer.updated"]
    data: CustomerUpdatedData


class CustomerMergedData(CustomerEventData):
    """A duplicate and the customer it is merged into; both hear of it, so `customer_id` is either of them."""

    merge_id: UUID
    into: UUID = Field(description="The surviving customer")
    duplicate_id: UUID


class CustomerMergedEvent(EventEnvelope):
    """A duplicate was merged into another customer."""

    type: Literal["customer.merged"]
    data: CustomerMergedData


class CustomerMergeUndoneEvent(EventEnvelope):
    """A merged duplicate is a customer of its own again."""

    type: Literal["customer.merge_undone"]
    data: CustomerMergedData


class CustomerErasedData(CustomerEventData):
    """Nothing but who it was."""


class CustomerErasedEvent(EventEnvelope):
    """A customer was deleted."""

    type: Literal["customer.erased"]
    data: CustomerErasedData


class StageChangedData(CustomerEventData):
    """One transition."""

    transition_id: UUID
    transition_sequence: int = Field(ge=1, description="Number of the transition among those of the customer")
    from_: Stage = Field(alias="from", description="The stage left")
    to: Stage = Field(description="The stage entered")
    kind: str = Field(max_length=50, description="automatic, manual, import, merge or correction")
    rule_id: str | None = Field(description="The rule that moved the customer; null if none did")
    policy_version: int = Field(ge=1, description="Version of the rules in force")
    corrects_sequence: int | None = Field(description="The transition that a correction takes back")


class StageChangedEvent(EventEnvelope):
    """A customer moved from one stage to another."""

    type: Literal["lifecycle.stage_changed"]
    data: StageChangedData


class RulesFrozenData(CustomerEventData):
    """The pause after three returns."""

    transition_id: UUID = Field(description="The third return to a stage just left")
    until: datetime = Field(description="When the rules act again (UTC); until then only those marked always do")


class RulesFrozenEvent(EventEnvelope):
    """Three returns within 60 days have switched the rules off for a customer."""

    type: Literal["lifecycle.rules_frozen"]
    data: RulesFrozenData


class ActionData(CustomerEventData):
    """One action, as far as others may know it."""

    action_id: UUID
    key: str = Field(description="Which action of the playbook")
    kind: str = Field(description="message, task, survey, offer, review …")
    reason: str | None = Field(description="Stable code of the reason, where there is one")
    channel: str | None = Field(description="How the customer is reached, where that applies")


class ActionDueEvent(EventEnvelope):
    """An action is due that the institution's own provider performs."""

    type: Literal["action.due"]
    data: ActionData


class ActionDoneEvent(EventEnvelope):
    """An action was carried out."""

    type: Literal["action.done"]
    data: ActionData


class ActionSkippedEvent(EventEnvelope):
    """An action was not carried out."""

    type: Literal["action.skipped"]
    data: ActionData


class OperationFinishedData(BaseModel):
    """The operation, and how it ended."""

    operation_id: UUID
    kind: str = Field(description="What kind of work it was")
    status: Literal["succeeded", "failed", "cancelled"]


class OperationFinishedEvent(EventEnvelope):
    """A long-running piece of work ended."""

    type: Literal["operation.finished"]
    data: OperationFinishedData


class EndpointDisabledData(BaseModel):
    """The endpoint, and why."""

    endpoint_id: UUID
    reason: str = Field(description="owner: by request; gone: it answered 410; failing: every attempt failed for days")


class EndpointDisabledEvent(EventEnvelope):
    """A webhook endpoint was switched off."""

    type: Literal["endpoint.disabled"]
    data: EndpointDisabledData


class EndpointTestData(BaseModel):
    """The endpoint that is tested."""

    endpoint_id: UUID


class EndpointTestEvent(EventEnvelope):
    """A test, asked for by the owner of the endpoint."""

    type: Literal["endpoint.test"]
    data: EndpointTestData


FeedEvent = TypeAliasType(
    "FeedEvent",
    Annotated[
        CustomerCreatedEvent
        | CustomerUpdatedEvent
        | CustomerMergedEvent
        | CustomerMergeUndoneEvent
        | CustomerErasedEvent
        | StageChangedEvent
        | RulesFrozenEvent
        | ActionDueEvent
        | ActionDoneEvent
        | ActionSkippedEvent
        | RecommendationCreatedEvent
        | RecommendationAcceptedEvent
        | PortfolioReviewDueEvent
        | AllocationVersionPublishedEvent
        | OperationFinishedEvent
        | EndpointDisabledEvent,
        Field(discriminator="type"),
    ],
)
"""Any event of the feed, told apart by `type`."""

MODELS: dict[str, type[EventEnvelope]] = {
    model.model_fields["type"].annotation.__args__[0]: model  # type: ignore[union-attr]
    for model in EventEnvelope.__subclasses__()
}
"""The model of each public type."""


def matching(patterns: Sequence[str]) -> list[str]:
    """The public types that `patterns` name: exact names, `lifecycle.*` for a group, `*` for everything."""
    return [name for name in PUBLIC_TYPES if any(_matches(pattern, name) for pattern in patterns)]


def unknown_patterns(patterns: Sequence[str]) -> list[int]:
    """Places of those patterns that no public type matches."""
    return [i for i, pattern in enumerate(patterns) if not matching([pattern])]


def _matches(pattern: str, name: str) -> bool:
    return pattern in ("*", name) or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
