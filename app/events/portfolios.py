"""Events of risk profiles and recommended portfolios."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.events.base import Event, PublicEvent


@dataclass(frozen=True, slots=True)
class RiskProfilesCompleted(Event):
    """Customers answered the risk questionnaire; their suitability is valid until `valid_until`."""

    customer_ids: tuple[UUID, ...]
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class NewRecommendation:
    """A recommendation whose weights differ from the one before."""

    customer_id: UUID
    recommendation_id: UUID
    basis: str
    risk_class: str | None
    risk_level: str | None


@dataclass(frozen=True, slots=True)
class RecommendationsCreated(Event):
    """Customers have new recommended portfolios."""

    items: tuple[NewRecommendation, ...]

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent(
                "recommendation.created",
                i.customer_id,
                self.at,
                {
                    "recommendation_id": str(i.recommendation_id),
                    "basis": i.basis,
                    "risk_class": i.risk_class,
                    "risk_level": i.risk_level,
                },
            )
            for i in self.items
        ]


@dataclass(frozen=True, slots=True)
class RecommendationsAccepted(Event):
    """Customers accepted their recommended portfolio."""

    accepted: tuple[tuple[UUID, UUID], ...]  # (customer_id, recommendation_id)

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent("recommendation.accepted", customer, self.at, {"recommendation_id": str(recommendation)})
            for customer, recommendation in self.accepted
        ]


@dataclass(frozen=True, slots=True)
class HoldingsChanged(Event):
    """What customers hold was told anew, or the target it is measured against is another.

    `breached`: those of them who hold an asset class outside its band.
    """

    customer_ids: tuple[UUID, ...]
    breached: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class PortfolioReviewsOpened(Event):
    """Reasons came up for somebody to look at customers' portfolios: those that were not open already."""

    items: tuple[tuple[UUID, UUID, str], ...]  # (customer_id, review_id, reason)

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent("portfolio.review_due", customer, self.at, {"review_id": str(review), "reason": reason})
            for customer, review, reason in self.items
        ]


@dataclass(frozen=True, slots=True)
class AllocationVersionPublished(Event):
    """A version of what portfolios follow from came into force; `kind` is assumptions, views, policy or questionnaire."""

    kind: str
    version: int

    def public(self) -> list[PublicEvent]:
        data = {"kind": self.kind, "version": self.version}
        return [PublicEvent("allocation.version_published", None, self.at, data)]
