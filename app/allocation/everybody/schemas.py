"""Shapes of reviews of everybody."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from app.allocation.schemas import RiskClass, Share
from app.customers.schemas import Segment, Stage
from app.operations.schemas import OperationError, OperationProgress
from app.operations.schemas import Status as OperationStatus

VersionNumber = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]


class AllocationReviewFilter(BaseModel):
    """Whom to look at: those in any of these segments and any of these stages; an empty list means all."""

    model_config = ConfigDict(extra="forbid")

    segment: Annotated[list[Segment], Field(max_length=4)] = []
    stage: Annotated[list[Stage], Field(max_length=5)] = []


class TriedVersions(BaseModel):
    """Versions to try instead of those in force, drafts too. Of a kind that is not named, that in force applies."""

    model_config = ConfigDict(extra="forbid")

    assumptions: VersionNumber | None = None
    views: VersionNumber | None = None
    policy: VersionNumber | None = None


class AllocationReviewCreate(BaseModel):
    """A review of everybody."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    dry_run: Annotated[StrictBool, Field(description="true counts only, nothing is written")]
    filter: Annotated[AllocationReviewFilter, Field(description="Whom to look at; {} is everybody")]
    tried: Annotated[TriedVersions, Field(alias="with", description="With dry_run only")] = TriedVersions()


class ReviewedCustomers(BaseModel):
    """Who is looked at; an empty list means all."""

    segment: list[Segment]
    stage: list[Stage]


class ReviewedVersions(BaseModel):
    """The versions that are tried; null: that in force applies."""

    assumptions: int | None
    views: int | None
    policy: int | None


class ReviewedVersion(BaseModel):
    """A version that came into force."""

    kind: str = Field(description="assumptions, views or policy")
    version: int


class ReviewedSegment(BaseModel):
    """Counts of a segment."""

    segment: Segment
    customers: int = Field(description="Who were looked at")
    changed: int = Field(description="Those of them with a new recommendation")


class ReviewedClass(BaseModel):
    """Counts of a risk class, which is that under the rules of the review."""

    risk_class: RiskClass
    customers: int = Field(description="Who were looked at")
    changed: int = Field(description="Those of them with a new recommendation")


class AllocationReviewResult(BaseModel):
    """What a review did; after a dry run, what it would do."""

    customers: int = Field(description="Who were looked at")
    changed: int = Field(description="Who got a new recommendation")
    told: int = Field(description="Those of them whose weights changed: each with an event recommendation.created")
    sooner: int = Field(description="Whose portfolio stays, but is reviewed at an earlier time")
    without_portfolio: int = Field(description="For whom no portfolio is suitable, changed or not")
    mean_turnover: Share | None = Field(
        description="Mean share of the portfolio that is exchanged, of those told; 1 from or to no portfolio"
    )
    largest_turnover: Share | None
    segments: list[ReviewedSegment]
    risk_classes: list[ReviewedClass]
    superseded_by: UUID | None = Field(description="A later review of everybody, which looks at whoever was left")


class AllocationReviewRead(BaseModel):
    """A review of everybody with its progress and, once it succeeded, its result."""

    id: UUID = Field(description="Id of its operation")
    status: OperationStatus
    progress: OperationProgress
    dry_run: bool
    filter: ReviewedCustomers
    tried: ReviewedVersions = Field(alias="with")
    after_publication: ReviewedVersion | None = Field(description="The version whose publication began the review")
    result: AllocationReviewResult | None
    error: OperationError | None
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
