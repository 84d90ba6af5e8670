"""Shapes of versions of assumptions, views, policy and questionnaire: drafts, checks, differences, publication."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.pagination import PageQuery

Version = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True, description="Number of a version")]
VersionName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
Note = Annotated[str, Field(max_length=2000, description="For those who review it: what changed, and why")]
_Text = Annotated[str, Field(max_length=2000)]
_Object = Annotated[dict[str, Any], Field(description="See docs/assumptions.md")]
_Status = Literal["draft", "published"]


class _Document(BaseModel):
    """What is inside is checked by the engine, which tells every problem by its pointer."""

    model_config = ConfigDict(extra="allow")

    def plain(self) -> dict[str, Any]:
        """As it was sent."""
        return {key: value for key, value in self.model_dump(exclude_unset=True).items() if value is not None}


class AssumptionSetDocument(_Document):
    """Asset classes, what they are expected to earn, and how they move together."""

    name: VersionName | None = None
    description: _Text | None = None
    correlation_source: _Text | None = None
    asset_classes: Annotated[list[_Object], Field(max_length=100, description="2 to 40 of them")]
    correlation: Annotated[
        list[list[Any]], Field(max_length=100, description="A row for each asset class, in the same order")
    ]


class ViewsDocument(_Document):
    """What is expected of the markets beside the assumptions."""

    version: Annotated[VersionName, Field(description="Its name, which records show")]
    description: _Text | None = None
    outlook: Annotated[
        dict[Annotated[str, Field(max_length=60)], Any],
        Field(max_length=100, description="rising, neutral or falling by asset class"),
    ] = {}
    views: Annotated[list[_Object], Field(max_length=200, description="At most 100")] = []


class AllocationPolicyDocument(_Document):
    """How much risk each class may take, and which portfolios each customer may hold."""

    version: Annotated[VersionName, Field(description="Its name, which records show")]
    description: _Text | None = None
    glide_path: Annotated[list[_Object], Field(max_length=100, description="Caps on growth by age")]
    segments: Annotated[
        dict[Annotated[str, Field(max_length=60)], Any],
        Field(max_length=100, description="Limits by segment; `default` serves those not named"),
    ]


class QuestionnaireDocument(_Document):
    """The questions behind a risk profile, and what each answer counts."""

    version: Annotated[VersionName, Field(description="Its name, which profiles show")]
    questions: Annotated[list[_Object], Field(max_length=100, description="2 to 50 of them")]


class _DraftCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    document: BaseModel | None
    name: Annotated[VersionName | None, Field(description="Takes the place of the document's own")] = None
    note: Note | None = None
    based_on: Version | None = None

    @model_validator(mode="after")
    def _something(self) -> "_DraftCreate":
        if self.document is None and self.based_on is None:
            raise ValueError("give a document, or a version to copy in based_on")
        return self


class _DraftReplace(BaseModel):
    model_config = ConfigDict(extra="forbid")

    document: BaseModel
    name: Annotated[VersionName | None, Field(description="Takes the place of the document's own")] = None
    note: Annotated[Note | None, Field(description="Left out: none")] = None


class _CheckRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    document: BaseModel


class AssumptionSetDraftCreate(_DraftCreate):
    """A new draft: a document, or a copy of a version, or both."""

    document: Annotated[AssumptionSetDocument | None, Field(description="May be left out with `based_on`")] = None


class AssumptionSetDraftReplace(_DraftReplace):
    """A draft as it should be from now on."""

    document: AssumptionSetDocument


class AssumptionSetCheckRequest(_CheckRequest):
    """A document to be checked."""

    document: AssumptionSetDocument


class ViewsDraftCreate(_DraftCreate):
    """A new draft: a document, or a copy of a version, or both."""

    document: Annotated[ViewsDocument | None, Field(description="May be left out with `based_on`")] = None


class ViewsDraftReplace(_DraftReplace):
    """A draft as it should be from now on."""

    document: ViewsDocument


class ViewsCheckRequest(_CheckRequest):
    """A document to be checked."""

    document: ViewsDocument


class AllocationPolicyDraftCreate(_DraftCreate):
    """A new draft: a document, or a copy of a version, or both."""

    document: Annotated[AllocationPolicyDocument | None, Field(description="May be left out with `based_on`")] = None


class AllocationPolicyDraftReplace(_DraftReplace):
    """A draft as it should be from now on."""

    document: AllocationPolicyDocument


class AllocationPolicyCheckRequest(_CheckRequest):
    """A document to be checked."""

    document: AllocationPolicyDocument


class QuestionnaireDraftCreate(_DraftCreate):
    """A new draft: a document, or a copy of a version, or both."""

    document: Annotated[QuestionnaireDocument | None, Field(description="May be left out with `based_on`")] = None


class QuestionnaireDraftReplace(_DraftReplace):
    """A draft as it should be from now on."""

    document: QuestionnaireDocument


class QuestionnaireCheckRequest(_CheckRequest):
    """A document to be checked."""

    document: QuestionnaireDocument


class AllocationProblem(BaseModel):
    """One place of a document that is wrong."""

    pointer: str = Field(description="JSON pointer into the request, or into the version as it is read")
    code: str = Field(description="Stable reason, for programs")
    detail: str = Field(description="Reason in words")


class AllocationWarning(AllocationProblem):
    """One thing to look at before a document is published."""

    blocks_publishing: bool = Field(description="Whether it would be refused, as things are now")


class CorrelationChange(BaseModel):
    """One correlation that is not what was sent."""

    asset_classes: list[str] = Field(description="The two whose correlation it is")
    before: float
    after: float


class CorrelationRepairRead(BaseModel):
    """What is computed with instead of a matrix that is none of correlations: the nearest one."""

    smallest_eigenvalue: float = Field(description="Of the matrix that was sent: negative")
    largest_change: float = Field(description="Of an entry; beyond 0.05 a document is refused")
    changes: list[CorrelationChange] = Field(description="The largest first")


class AllocationVersionCheck(BaseModel):
    """What is wrong with a document, and what would become of it."""

    valid: bool = Field(description="Whether a draft of it would be taken")
    problems: list[AllocationProblem]
    warnings: list[AllocationWarning] = Field(
        description="How it goes together with what is in force; empty while there are problems"
    )
    repair: CorrelationRepairRead | None = Field(description="Assumptions only: null if the correlations are in order")


class AllocationVersionSummary(BaseModel):
    """One version."""

    version: int
    name: str
    status: _Status
    in_force: bool = Field(description="The published version with the highest number")
    note: str | None
    revision: int = Field(description="Rises with every change")
    created_at: datetime
    created_by: str
    updated_at: datetime | None
    updated_by: str | None
    published_at: datetime | None
    published_by: str | None


class AllocationVersionRead(AllocationVersionSummary):
    """One version, whole."""

    document: dict[str, Any]
    repair: CorrelationRepairRead | None = Field(description="Assumptions only: null if the correlations are in order")


class AllocationVersionWritten(AllocationVersionRead):
    """One version as it was just stored or published."""

    warnings: list[AllocationWarning] = Field(description="How it goes together with what is in force")


class AllocationVersionList(BaseModel):
    """One page of versions, newest first."""

    items: list[AllocationVersionSummary]
    next_cursor: str | None = Field(description="Null on the last page")


class AllocationVersionQuery(PageQuery):
    """Filter of the list of versions."""

    status: _Status | None = None


class AllocationDiffQuery(BaseModel):
    """What to compare with."""

    model_config = ConfigDict(extra="forbid")

    against: Annotated[int, Field(ge=1, le=2**31 - 1, description="Default: the version in force")] | None = None


class DocumentChange(BaseModel):
    """One value that differs."""

    pointer: str = Field(description="JSON pointer into the document; the places of a list are compared one by one")
    change: Literal["added", "removed", "changed"]
    before: Any = Field(description="Null where it was added")
    after: Any = Field(description="Null where it was removed")


class AllocationDifference(BaseModel):
    """What changes from the version `against` to `version`."""

    version: int
    against: int
    changes: list[DocumentChange]
