"""Shapes of what-if questions: people who are only described."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.allocation.schemas import Answers, Code, Points, PreviewRead, ShareInput, TextLanguage, Years
from app.customers.schemas import Kind, Segment, Stage

_BUSINESS = "a business belongs to the segment small_business, and nobody else does"


class ModelPortfolioQuery(BaseModel):
    """For whom the model portfolios are."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = "individual"
    segment: Annotated[Segment | None, Field(description="mass, or small_business for a business, if absent")] = None
    stage: Stage = "mature"
    age: Annotated[
        float | None, Field(ge=0, le=130, allow_inf_nan=False, description="Unknown if absent: the strictest cap")
    ] = None
    language: TextLanguage = "en"

    @model_validator(mode="after")
    def _fitting(self) -> "ModelPortfolioQuery":
        if self.kind == "business" and self.segment not in (None, "small_business"):
            raise ValueError(_BUSINESS)
        return self


class ModelPortfolioList(BaseModel):
    """The portfolio at the ceiling of each class C1 to C5."""

    items: list[PreviewRead]


class PreviewProfile(BaseModel):
    """What a completed questionnaire would have said."""

    model_config = ConfigDict(extra="forbid")

    tolerance: Points
    capacity: Points
    horizon_years: Years
    liquidity_need: ShareInput = "0"


class PreviewCreate(BaseModel):
    """A person or business to compute a portfolio for. Without answers and profile it is an indication."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = "individual"
    segment: Annotated[Segment | None, Field(description="mass, or small_business for a business, if absent")] = None
    stage: Stage = "mature"
    age: Annotated[Years | None, Field(description="In years; unknown if absent")] = None
    answers: Annotated[Answers | None, Field(description="All answers to the questionnaire in force")] = None
    profile: PreviewProfile | None = None
    announced_withdrawal: Annotated[ShareInput, Field(description="Share of the money that is to be withdrawn")] = "0"
    excluded: Annotated[list[Code], Field(max_length=40, description="Asset classes that are not wanted")] = []
    minimum_cash: Annotated[ShareInput, Field(description="Share to be kept in cash")] = "0"
    language: TextLanguage = "en"

    @model_validator(mode="after")
    def _one_source(self) -> "PreviewCreate":
        if self.answers is not None and self.profile is not None:
            raise ValueError("give either answers or profile")
        if self.kind == "business" and self.segment not in (None, "small_business"):
            raise ValueError(_BUSINESS)
        return self
