"""Shapes of webhook endpoints, deliveries and the feed. Requests and responses are separate models."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import MISSING, BaseModel, ConfigDict, Field

from app.pagination import PageQuery
from app.webhooks.catalogue import FeedEvent

Url = Annotated[
    str,
    Field(
        min_length=8,
        max_length=2000,
        description="Where events are posted. https, a public address, no credentials in it",
        examples=["https://hooks.example.com/stagefolio"],
    ),
]
Description = Annotated[str, Field(max_length=500, description="For people")]
EventTypes = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100, pattern=r"^(\*|[a-z_]+\.(\*|[a-z_]+))$")]],
    Field(
        min_length=1,
        max_length=50,
        description="Names of events, `lifecycle.*` for a group, `*` for all, later ones included",
        examples=[["lifecycle.*", "customer.created"]],
    ),
]
Status = Literal["enabled", "disabled"]
Outcome = Literal["delivered", "retry", "dead", "gone"]
MessageId = Annotated[str, Field(pattern=r"^evt_[0-9a-f]{32}$", max_length=36)]


class WebhookEndpointCreate(BaseModel):
    """An endpoint to create."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    event_types: EventTypes = ["*"]
    description: Description | None = None


class WebhookEndpointPatch(BaseModel):
    """What to change; absent keeps."""

    model_config = ConfigDict(extra="forbid")

    url: Url | MISSING = MISSING
    event_types: EventTypes | MISSING = MISSING
    description: Description | None | MISSING = MISSING
    status: Status | MISSING = MISSING


class WebhookEndpointRead(BaseModel):
    """A receiver of events. `version` is also the ETag."""

    id: UUID
    url: str
    description: str | None
    event_types: list[str]
    status: Status
    disabled_reason: Literal["owner", "gone", "failing"] | None = Field(
        description="owner: by request; gone: it answered 410; failing: every attempt failed for five days"
    )
    created_at: datetime
    updated_at: datetime
    version: int


class WebhookEndpointCreated(WebhookEndpointRead):
    """A new endpoint; the only time that its secret is shown."""

    secret: str = Field(description="`whsec_` and base64: verifies signatures (Standard Webhooks)")


class WebhookEndpointPage(BaseModel):
    """One page of endpoints, newest first."""

    items: list[WebhookEndpointRead]
    next_cursor: str | None = Field(description="Null on the last page")


class TestEventAccepted(BaseModel):
    """A test event that is on its way."""

    __test__ = False  # a name that pytest would otherwise collect

    event_id: MessageId = Field(description="Its `webhook-id`; find it among the deliveries")


class DeliveryRead(BaseModel):
    """One attempt to deliver one event."""

    id: UUID
    event_id: MessageId = Field(description="The `webhook-id` that was sent")
    event_type: str
    attempt: int = Field(description="1 is the first")
    attempted_at: datetime
    outcome: Outcome = Field(
        description="retry: tried again later; dead: given up; gone: answered 410, which disabled the endpoint"
    )
    status: int | None = Field(description="HTTP status of the answer; null if there was none")
    error_class: str | None = Field(
        description="address_refused, dns, connect, connect_timeout, tls, timeout, protocol, redirect or status; "
        "null if delivered"
    )
    duration_ms: int
    answer: str | None = Field(description="The first 4 KiB of the answer's body")


class DeliveryPage(BaseModel):
    """One page of attempts, newest first."""

    items: list[DeliveryRead]
    next_cursor: str | None = Field(description="Null on the last page")


class DeliveryQuery(PageQuery):
    """Filters of the list of deliveries."""

    outcome: Annotated[list[Outcome], Field(max_length=4, description="Only these; repeat for several")] = []
    event_id: (
        Annotated[str, Field(pattern=r"^evt_[0-9a-f]{32}$", max_length=36, description="Only this event")] | None
    ) = None


class EventQuery(PageQuery):
    """Filters of the feed."""

    type: Annotated[
        list[Annotated[str, Field(max_length=100)]],
        Field(max_length=50, description="Names of events, or groups like `lifecycle.*`; repeat for several"),
    ] = []
    customer_id: Annotated[UUID | None, Field(description="Only events of this customer")] = None


class EventPage(BaseModel):
    """A part of the feed, oldest first."""

    items: list[FeedEvent]
    next_cursor: str | None = Field(description="Null when nothing more has happened yet")
    resume_cursor: str = Field(description="Send it as `cursor`, at any later time, for what has happened since")
