"""Shapes of effects and frontiers. Shares are decimal strings: "0.355" is 35.5 %."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.allocation.preview_schemas import ModelPortfolioQuery
from app.allocation.schemas import LimitCode, RiskClass, RiskLevel, Share, Status

Weights = Annotated[dict[str, Share], Field(description="By asset class; only those that are held")]


class EffectQuery(ModelPortfolioQuery):
    """For whom the model portfolios are."""


class FrontierQuery(ModelPortfolioQuery):
    """For whom the frontier is, how finely, and under which assumptions."""

    points: Annotated[int, Field(ge=2, le=500, description="Evenly spaced in volatility; corners come on top")] = 50
    version: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="Of the assumptions, drafts too; that in force if absent")
    ] = None


class EffectVersions(BaseModel):
    """What portfolios are computed from."""

    assumption_version: int
    views_version: int | None
    policy_version: str


class FigureChange(BaseModel):
    """A figure before and after. Null where the asset class or portfolio is not there."""

    before: Share | None
    after: Share | None
    change: Share | None


class ClassEffect(BaseModel):
    """What changes for an asset class; figures of one year."""

    asset_class: str
    name: str
    prior: FigureChange = Field(description="Arithmetic expected return without views")
    by_views: FigureChange = Field(description="What the views add to it")
    expected_return: FigureChange = Field(description="What portfolios are computed with: the sum of both")
    volatility: FigureChange


class ModelPortfolio(BaseModel):
    """The portfolio at the ceiling of a risk class, with its figures for one year."""

    risk_class: RiskClass
    status: Status
    weights: Weights
    expected_return: Share | None = Field(description="Arithmetic mean, before costs")
    volatility: Share | None
    annual_cost: Share | None
    risk_level: RiskLevel | None
    limit: LimitCode = Field(description="What keeps it from taking more risk")


class ModelEffect(BaseModel):
    """What changes for the portfolio of a risk class."""

    risk_class: RiskClass
    before: ModelPortfolio
    after: ModelPortfolio
    turnover: Share | None = Field(
        description="Half the sum of absolute differences; null where either has no portfolio"
    )


class EffectRead(BaseModel):
    """What publishing a version would do. Nothing is written."""

    kind: Literal["assumptions", "views", "policy"]
    version: int
    before: EffectVersions = Field(description="In force now")
    after: EffectVersions
    asset_classes: list[ClassEffect] = Field(
        description="In the order of the assumptions; those that would go come last"
    )
    portfolios: list[ModelEffect] = Field(description="C1 to C5")


class ConstraintRead(BaseModel):
    """One limit in force beside that weights are not negative and sum to 1."""

    name: str = Field(description="`gold.maximum`, `growth.maximum`, `liquid.minimum` …: as conflicts name it")
    limit: Share
    asset_classes: list[str] = Field(description="Whose weights together obey it")


class FrontierPoint(BaseModel):
    """One portfolio of a frontier."""

    volatility: Share
    expected_return: Share
    weights: Weights
    is_corner: bool = Field(description="Between two neighbouring corners weights change in a straight line")


class FrontierRead(BaseModel):
    """The efficient frontier of some risk classes."""

    risk_classes: list[RiskClass] = Field(description="Whose portfolios lie on it: not every class may hold everything")
    constraints: list[ConstraintRead]
    conflict: list[str] = Field(description="Limits that cannot hold together; then there are no points")
    points: list[FrontierPoint] = Field(description="From the least risky portfolio to that of the best return")
    portfolios: list[ModelPortfolio] = Field(description="Of these classes, rounded to tenths of a percent")


class AssetPoint(BaseModel):
    """One asset class alone."""

    asset_class: str
    name: str
    volatility: Share
    expected_return: Share = Field(description="With the views in force")


class FrontierList(BaseModel):
    """Everything to plot for customers of one kind."""

    versions: EffectVersions
    asset_classes: list[AssetPoint]
    items: list[FrontierRead] = Field(description="One, or two where alternatives are not for every risk class")
