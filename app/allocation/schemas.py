"""Shapes of questionnaires, profiles, recommendations and assumptions. Shares are decimal strings: "0.355" is 35.5 %."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.customers.schemas import Kind, Segment, Stage
from app.pagination import PageQuery

TextLanguage = Literal["zh", "en"]
Basis = Literal["advised", "indicative"]
State = Literal["proposed", "accepted", "superseded", "declined"]
Status = Literal["ok", "no_suitable_portfolio"]
RiskClass = Literal["C1", "C2", "C3", "C4", "C5"]
RiskLevel = Literal["R1", "R2", "R3", "R4", "R5"]
LimitCode = Literal[
    "tolerance",
    "capacity",
    "horizon",
    "liquidity",
    "no_profile",
    "age",
    "minimum_cash",
    "permitted_classes",
    "least_risk",
    "class_ceiling",
    "conflict",
]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Share = Annotated[str, Field(pattern=r"^-?\d+\.\d+$", examples=["0.355"])]
ShareInput = Annotated[
    str, Field(pattern=r"^(0(\.\d{1,4})?|1(\.0{1,4})?)$", description="A share from 0 to 1", examples=["0.25"])
]
AmountInput = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{1,13}(\.[0-9]{1,4})?$",
        description="In the institution's currency: zero or more, below ten trillion, four decimals at most",
        examples=["12500.00"],
    ),
]
Points = Annotated[float, Field(ge=0, le=100, strict=True, allow_inf_nan=False)]
Years = Annotated[float, Field(ge=0, le=130, strict=True, allow_inf_nan=False)]
Answers = Annotated[
    dict[Annotated[str, Field(max_length=60)], Annotated[str, Field(max_length=60)]],
    Field(max_length=50, description="The id of the chosen option for each question of the questionnaire"),
]


class LanguageQuery(BaseModel):
    """In which language texts are wanted."""

    model_config = ConfigDict(extra="forbid")

    language: Annotated[TextLanguage | None, Field(description="The customer's own, or en, if absent")] = None


class RecommendationQuery(PageQuery):
    """Paging of a customer's recommendations."""

    language: Annotated[TextLanguage | None, Field(description="The customer's own if absent")] = None


class QuestionOption(BaseModel):
    """An answer to choose."""

    id: str
    text: str


class QuestionRead(BaseModel):
    """A question; exactly one option is to be chosen."""

    id: str
    text: str
    options: list[QuestionOption]


class QuestionnaireRead(BaseModel):
    """The risk questionnaire in force."""

    version: str
    language: TextLanguage
    title: str
    questions: list[QuestionRead]


class RiskProfileCreate(BaseModel):
    """A completed questionnaire."""

    model_config = ConfigDict(extra="forbid")

    answers: Answers
    questionnaire_version: Annotated[
        str | None, Field(max_length=100, description="Refused if it is no longer the one in force")
    ] = None


class ContradictionRead(BaseModel):
    """Two answers that do not go together; each lowers the tolerance."""

    id: str
    text: str


class RiskProfileRead(BaseModel):
    """What a completed questionnaire says."""

    id: UUID
    customer_id: UUID
    questionnaire_version: str
    policy_version: str
    answers: dict[str, str]
    tolerance: int = Field(description="0 to 100: the risk the customer is willing to take")
    capacity: int = Field(description="0 to 100: the risk the customer can afford")
    score: int = Field(description="0 to 100: the lower of both, under the caps of horizon and liquidity")
    risk_class: RiskClass
    limit: LimitCode = Field(description="What set the score")
    facts: dict[str, float] = Field(description="Circumstances by name, in their own units")
    contradictions: list[ContradictionRead]
    status: Literal["valid", "due", "expired"] = Field(description="due: it ends within 30 days")
    created_at: datetime
    valid_until: datetime


class AssetWeight(BaseModel):
    """The share of one asset class."""

    asset_class: str
    name: str
    weight: Share


class ReasonRead(BaseModel):
    """Why the portfolio is what it is: a stable code, its parameters (percentages as numbers), and the text."""

    code: str
    params: dict[str, Any]
    text: str


class WarningRead(BaseModel):
    """What to beware of: a stable code, its parameters (percentages as numbers), and the text."""

    code: str
    params: dict[str, Any]
    text: str


class ComparedPortfolio(BaseModel):
    """The portfolio one class safer or bolder. For comparison only: a bolder one is not recommended."""

    weights: list[AssetWeight]
    expected_return: Share
    volatility: Share
    annual_cost: Share
    risk_class: RiskClass
    risk_level: RiskLevel


class PreviewRead(BaseModel):
    """A portfolio with its figures for one year, and why it is what it is."""

    basis: Basis = Field(description="indicative: from age and segment only; never advice")
    status: Status
    weights: list[AssetWeight] = Field(description="The classes held; they sum to 1. Empty without a portfolio")
    expected_return: Share | None = Field(description="Arithmetic mean of one year, before costs")
    volatility: Share | None
    annual_cost: Share | None
    value_at_risk: Share | None = Field(description="Loss exceeded in one year out of twenty, after costs")
    conditional_value_at_risk: Share | None = Field(description="Mean loss in those years")
    score: int = Field(description="0 to 100")
    risk_class: RiskClass = Field(description="Of the customer")
    risk_level: RiskLevel | None = Field(description="Of the portfolio; never above the class")
    limit: LimitCode = Field(description="What keeps the portfolio from taking more risk")
    safer: ComparedPortfolio | None
    bolder: ComparedPortfolio | None
    reasons: list[ReasonRead] = Field(description="The most important first")
    warnings: list[WarningRead]
    policy_version: str
    assumption_version: int
    views_version: int | None
    engine_version: str
    language: TextLanguage


class RecommendationInputs(BaseModel):
    """What the portfolio was computed from."""

    kind: Kind
    segment: Segment
    stage: Stage
    age: float | None
    tolerance: float | None
    capacity: float | None
    horizon_years: float | None
    liquidity_need: Share | None
    has_valid_profile: bool
    contradictions: int
    announced_withdrawal: Share
    excluded: list[str]
    minimum_cash: Share


class RecommendationRead(PreviewRead):
    """A recommended portfolio of a customer."""

    id: UUID
    customer_id: UUID
    state: State = Field(description="The accepted one stays in force until another is accepted")
    inputs: RecommendationInputs
    profile_id: UUID | None
    profile_valid_until: datetime | None = Field(description="Null for an indication, and in the history")
    questionnaire_version: str | None
    created_at: datetime
    accepted_at: datetime | None
    declined_at: datetime | None
    supersedes: UUID | None


class RecommendationPage(BaseModel):
    """A customer's recommendations, newest first."""

    items: list[RecommendationRead]
    next_cursor: str | None


class RecommendationAnswer(BaseModel):
    """Which recommendation the customer answers to: the one that was shown."""

    model_config = ConfigDict(extra="forbid")

    recommendation_id: UUID


class ComputedPortfolio(BaseModel):
    """What decides a recommendation, in plain values."""

    weights: dict[str, Share]
    score: int
    basis: Basis
    risk_class: RiskClass
    risk_level: RiskLevel | None
    limit: LimitCode


class RecomputationRead(BaseModel):
    """A stored recommendation computed again from its record."""

    recommendation_id: UUID
    same: bool = Field(description="Whether the record still gives what was recommended")
    stored: ComputedPortfolio
    recomputed: ComputedPortfolio
    record: dict[str, Any] = Field(description="Inputs, sources, versions with their digests, reasons: as written")
    engine_version: str = Field(description="Of the engine that computed it again")
