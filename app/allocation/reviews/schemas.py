"""Shapes of portfolio reviews."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.allocation.schemas import TextLanguage
from app.customers.schemas import Segment, Tier
from app.pagination import PageQuery

ReviewReason = Literal["drift", "life_event", "profile_ends"]
ReviewAnswer = Literal["kept", "rebalanced", "profile_asked", "advice_given"]
ReviewOutcome = Literal[
    "kept", "rebalanced", "profile_asked", "advice_given", "profile_renewed", "within_bands", "merged"
]


class CustomerReviewQuery(PageQuery):
    """Filters of one customer's reviews. A filter given twice means either value."""

    status: Literal["open", "closed", "all"] = "open"
    reason: Annotated[list[ReviewReason], Field(max_length=3)] = []
    language: Annotated[TextLanguage | None, Field(description="Each customer's own if absent")] = None


class ReviewQuery(CustomerReviewQuery):
    """Filters of the list of reviews. A filter given twice means either value."""

    owner: Annotated[str | None, Field(min_length=1, max_length=100, description="Adviser responsible")] = None
    segment: Annotated[list[Segment], Field(max_length=4)] = []
    tier: Annotated[list[Tier], Field(max_length=3)] = []


class ReviewClose(BaseModel):
    """What was done about it."""

    model_config = ConfigDict(extra="forbid")

    outcome: ReviewAnswer
    note: Annotated[str | None, Field(max_length=5000, description="Whatever else is worth knowing")] = None


class ReviewRead(BaseModel):
    """A reason for somebody to look at a customer's portfolio."""

    id: UUID
    customer_id: UUID
    full_name: str
    reason: ReviewReason
    details: dict[str, Any] = Field(
        description="drift: `drift` (a share) and `breached` asset classes; life_event: `kind`, `occurred_at`; "
        "profile_ends: `valid_until`"
    )
    text: str = Field(description="The reason in words")
    language: TextLanguage
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None = Field(description="stagefolio where the reason went away by itself")
    outcome: ReviewOutcome | None
    note: str | None


class ReviewPage(BaseModel):
    """One page of reviews, oldest first."""

    items: list[ReviewRead]
    next_cursor: str | None = Field(description="Null on the last page")
