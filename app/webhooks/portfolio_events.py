"""The shape of public events about portfolios."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.webhooks.envelope import CustomerEventData, EventEnvelope


class RecommendationCreatedData(CustomerEventData):
    """A recommended portfolio, without its weights."""

    recommendation_id: UUID
    basis: Literal["advised", "indicative"] = Field(description="Whether a valid risk profile stands behind it")
    risk_class: str | None = Field(description="C1 to C5, of the customer")
    risk_level: str | None = Field(description="R1 to R5, of the portfolio")


class RecommendationCreatedEvent(EventEnvelope):
    """A customer has a new recommended portfolio."""

    type: Literal["recommendation.created"]
    data: RecommendationCreatedData


class RecommendationAcceptedData(CustomerEventData):
    """The portfolio accepted."""

    recommendation_id: UUID


class RecommendationAcceptedEvent(EventEnvelope):
    """A customer accepted the recommended portfolio."""

    type: Literal["recommendation.accepted"]
    data: RecommendationAcceptedData


class PortfolioReviewDueData(CustomerEventData):
    """The review, and why it is due."""

    review_id: UUID
    reason: Literal["drift", "life_event", "profile_ends"] = Field(description="Why the portfolio is to be looked at")


class PortfolioReviewDueEvent(EventEnvelope):
    """Somebody should look at a customer's portfolio."""

    type: Literal["portfolio.review_due"]
    data: PortfolioReviewDueData


class AllocationVersionPublishedData(BaseModel):
    """The version, without what it says."""

    kind: Literal["assumptions", "views", "policy", "questionnaire"] = Field(description="What it is a version of")
    version: int = Field(ge=1, description="Its number among those of the kind")


class AllocationVersionPublishedEvent(EventEnvelope):
    """What portfolios follow from came into force in a new version."""

    type: Literal["allocation.version_published"]
    data: AllocationVersionPublishedData
