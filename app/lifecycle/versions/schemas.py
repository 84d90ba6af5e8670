"""Shapes of policies: drafts, checks, differences, publication, and the facts that rules may read."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.customers.schemas import PlaybookMode, Stage
from app.pagination import PageQuery

Version = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True, description="Number of a version of the policy")]
PolicyName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
Note = Annotated[str, Field(max_length=2000, description="For those who review it: what changed, and why")]
_Object = Annotated[dict[str, Any], Field(description="See docs/lifecycle.md")]


class PolicyDescription(BaseModel):
    """What a policy is for, in both languages."""

    model_config = ConfigDict(extra="forbid")

    en: Annotated[str, Field(max_length=1000)]
    zh: Annotated[str, Field(max_length=1000)]


class PolicyDocument(BaseModel):
    """The document of a policy. What is inside of rules and contributions is checked and told by its pointer."""

    model_config = ConfigDict(extra="allow")

    name: PolicyName | None = None
    description: PolicyDescription | None = None
    target_days: Annotated[
        dict[Annotated[str, Field(max_length=60)], Any], Field(max_length=5, description="How long a stage should take")
    ] = {}
    score: Annotated[list[_Object], Field(max_length=50, description="What the attrition score is made of")] = []
    rules: Annotated[list[_Object], Field(max_length=100, description="Who moves when, from where to where")]

    def plain(self) -> dict[str, Any]:
        """As it was sent."""
        return {key: value for key, value in self.model_dump(exclude_unset=True).items() if value is not None}


class PolicyDraftCreate(BaseModel):
    """A new draft: a document, or a copy of a version, or both."""

    model_config = ConfigDict(extra="forbid")

    name: PolicyName | None = None
    document: PolicyDocument | None = Field(default=None, description="May be left out where `based_on` is given")
    note: Note | None = None
    based_on: Version | None = None

    @model_validator(mode="after")
    def _something(self) -> "PolicyDraftCreate":
        if self.document is None and self.based_on is None:
            raise ValueError("give a document, or a version to copy in based_on")
        return self


class PolicyDraftReplace(BaseModel):
    """A draft as it should be from now on."""

    model_config = ConfigDict(extra="forbid")

    name: PolicyName | None = Field(default=None, description="Left out: the document's, or else as it was")
    document: PolicyDocument
    note: Note | None = Field(default=None, description="Left out: none")


class PolicyCheckRequest(BaseModel):
    """A document to be checked."""

    model_config = ConfigDict(extra="forbid")

    document: PolicyDocument


class PolicyRemark(BaseModel):
    """One place of a document that is wrong or looks like a slip."""

    pointer: str = Field(description="JSON pointer into the request")
    code: str = Field(description="Stable reason, for programs")
    detail: str = Field(description="Reason in words")
    rule_id: str | None = Field(description="The rule that it belongs to, if it has an id")


class PolicyCheck(BaseModel):
    """What is wrong with a document, and what looks like a slip."""

    valid: bool = Field(description="Whether a draft of it would be taken")
    problems: list[PolicyRemark]
    warnings: list[PolicyRemark] = Field(description="They keep nobody from publishing; empty while there are problems")


class PolicySummary(BaseModel):
    """One version of the rules."""

    version: int
    name: str
    status: Literal["draft", "published"]
    in_force: bool = Field(description="The published version with the highest number; new customers begin with it")
    note: str | None
    revision: int = Field(description="Rises with every change")
    created_at: datetime
    created_by: str
    updated_at: datetime | None
    updated_by: str | None
    published_at: datetime | None
    published_by: str | None


class PolicyRead(PolicySummary):
    """One version of the rules, whole."""

    document: dict[str, Any]


class PolicyList(BaseModel):
    """One page of versions, newest first."""

    items: list[PolicySummary]
    next_cursor: str | None = Field(description="Null on the last page")


class PolicyListQuery(PageQuery):
    """Filter of the list of versions."""

    status: Literal["draft", "published"] | None = None


class PolicyPublish(BaseModel):
    """How a draft comes into force."""

    model_config = ConfigDict(extra="forbid")

    rollout_over_seconds: Annotated[
        int,
        Field(ge=0, le=2_592_000, strict=True, description="Reach the customers evenly within this time; 0: at once"),
    ] = 0
    playbook_mode: PlaybookMode = Field(
        default="full", description="What a stage starts for those whom the new rules move when they are reached"
    )


class DiffQuery(BaseModel):
    """What to compare with."""

    model_config = ConfigDict(extra="forbid")

    against: Annotated[int, Field(ge=1, le=2**31 - 1, description="Default: the version in force")] | None = None


class DiagramQuery(BaseModel):
    """Which picture."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["mermaid", "svg"] = "mermaid"
    language: Literal["en", "zh"] = "en"


class PolicyFieldChange(BaseModel):
    """One value that differs."""

    field: str = Field(
        description="JSON pointer into the rule, contribution or document: the later one, or the earlier one for what is "
        "gone; `order` is no field: rules of the same priority that are asked before this one"
    )
    before: Any = Field(description="Null if it was not there")
    after: Any = Field(description="Null if it is not there any more")
    text: str = Field(description="The same in words, in the language asked for")


class PolicyRuleChange(BaseModel):
    """One rule that differs."""

    rule_id: str
    change: Literal["added", "removed", "changed", "moved"]
    fields: list[PolicyFieldChange]
    keeps_confirm_window: bool = Field(description="The condition is what it was, so that windows that run go on")
    text: str = Field(description="What happened to the rule, in the language asked for")


class PolicyScoreChange(BaseModel):
    """One contribution to the attrition score that differs."""

    id: str
    change: Literal["added", "removed", "changed"]
    fields: list[PolicyFieldChange]
    text: str = Field(description="What happened to the contribution, in the language asked for")


class PolicyTargetChange(BaseModel):
    """The days that a stage should take, where they differ."""

    stage: Stage
    before: int | None
    after: int | None
    text: str


class PolicyDifference(BaseModel):
    """What changes from the version `against` to `version`. What means the same is no difference."""

    version: int
    against: int
    rules: list[PolicyRuleChange]
    score: list[PolicyScoreChange]
    target_days: list[PolicyTargetChange]
    texts: list[PolicyFieldChange] = Field(description="Name and description")


class FactDefinition(BaseModel):
    """A fact that rules may read."""

    name: str
    kind: Literal["number", "bool", "text"]
    unit: Literal["money", "days", "years", "count", "share", "points", "none"] = Field(
        description="A share is a fraction: 0.25 is 25 %"
    )
    label: str = Field(description="In the language asked for")
    ops: list[str] = Field(description="What a comparison may use")
    values: list[str] | None = Field(description="All values of a text, where they are known beforehand")


class FactList(BaseModel):
    """Every fact."""

    items: list[FactDefinition]
