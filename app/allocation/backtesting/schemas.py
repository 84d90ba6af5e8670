"""Shapes of backtests."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.allocation.importing.schemas import Columns, PeriodsPerYear, ReturnsCsv, Version
from app.allocation.schemas import Code, Points, RiskClass, RiskLevel, Share, Years
from app.customers.schemas import Kind, Segment, Stage

Estimates = Literal["equilibrium", "past_means", "published"]
Periods = Annotated[int, Field(ge=12, le=600, strict=True)]
Cost = Annotated[
    str, Field(pattern=r"^0(\.\d{1,6})?$", description="Share of the turnover that trading costs", examples=["0.001"])
]


class BacktestPerson(BaseModel):
    """For whom: somebody with a valid profile, whom neither horizon nor liquidity holds back."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = "individual"
    segment: Annotated[Segment | None, Field(description="mass, or small_business for a business, if absent")] = None
    stage: Stage = "mature"
    age: Annotated[
        Years | None, Field(description="On the first day; it grows from there. Unknown if absent: the strictest cap")
    ] = None
    risk_class: Annotated[RiskClass | None, Field(description="Stands for the score at its ceiling")] = None
    score: Annotated[Points | None, Field(description="0 to 100, in place of a class")] = None

    @model_validator(mode="after")
    def _fitting(self) -> "BacktestPerson":
        if (self.risk_class is None) == (self.score is None):
            raise ValueError("give either risk_class or score")
        if self.kind == "business" and self.segment not in (None, "small_business"):
            raise ValueError("a business belongs to the segment small_business, and nobody else does")
        return self


class BacktestCreate(BaseModel):
    """Return series, a person, and how to go through the past."""

    model_config = ConfigDict(extra="forbid")

    csv: ReturnsCsv
    columns: Columns = {}
    periods_per_year: Annotated[
        PeriodsPerYear | None, Field(description="12 for months; found from the dates if absent (252, 52, 12 or 4)")
    ] = None
    person: BacktestPerson
    estimates: Annotated[
        Estimates,
        Field(
            description="Where expected returns come from. equilibrium: those at which the market weights would be "
            "optimal under the covariance of the past; past_means: the means of the past; published: the assumption "
            "set, which knows what came later"
        ),
    ] = "equilibrium"
    history_periods: Annotated[
        Periods | None, Field(description="Returns that the first portfolio follows from; five years if absent")
    ] = None
    window_periods: Annotated[
        Periods | None, Field(description="Later portfolios follow from so many last returns; from all if absent")
    ] = None
    rebalance_every: Annotated[
        Annotated[int, Field(ge=1, le=600, strict=True)] | None,
        Field(description="Periods between two portfolios; a year if absent"),
    ] = None
    transaction_cost: Cost = "0.001"
    equity_class: Annotated[Code, Field(description="Of the benchmarks")] = "domestic_equity"
    bond_class: Annotated[Code, Field(description="Of the benchmarks")] = "bonds"
    policy_version: Annotated[Version | None, Field(description="Draft or published; the one in force if absent")] = (
        None
    )
    assumption_version: Annotated[
        Version | None, Field(description="Draft or published; the one in force if absent. Views are left out")
    ] = None


class DrawdownRead(BaseModel):
    """The deepest fall from a former height."""

    depth: Share = Field(description="0.3 is a loss of 30 %")
    peak_on: date
    trough_on: date
    recovered_on: date | None = Field(description="When the height was reached again; null: not yet")


class WorstYearRead(BaseModel):
    """The lowest return over a year's number of consecutive periods."""

    annual_return: Share
    from_on: date
    to_on: date


class StrategyRead(BaseModel):
    """What came of a strategy, after annual and transaction costs."""

    strategy: Literal["policy", "sixty_forty", "hundred_minus_age"]
    annualised_return: Share = Field(description="Geometric")
    volatility: Share = Field(description="Of a year")
    sharpe: Share | None = Field(
        description="Mean return beyond cash over its standard deviation; null where that is 0"
    )
    turnover: Share = Field(description="Half of what was bought and sold, each year")
    drawdown: DrawdownRead | None = Field(description="Null if it never fell")
    worst_year: WorstYearRead | None = Field(description="Null if less than a year was held")
    growth: list[Share] = Field(description="What became of 1, at each of `dates`")


class BacktestWeight(BaseModel):
    """The share of one asset class."""

    asset_class: str
    weight: Share


class RebalancingRead(BaseModel):
    """A portfolio of the policy, and what was thought of it then."""

    on: date = Field(description="From the end of this day on")
    weights: list[BacktestWeight] = Field(description="The classes held; cash alone where no portfolio was suitable")
    risk_level: RiskLevel | None = Field(description="Null where no portfolio was suitable")
    volatility: Share | None = Field(description="Estimated from the past")
    turnover: Share


class BacktestRead(BaseModel):
    """The policy in the past, against 60 % equity, and against a share of equity of 100 minus the age in percent."""

    label: Literal["past_only", "in_sample"] = Field(description="in_sample: chosen with knowledge of what came later")
    estimates: Estimates
    policy_version: str
    assumption_version: int
    asset_classes: list[str]
    left_out: list[str] = Field(description="Classes of the assumptions without returns")
    periods_per_year: float
    history_periods: int
    rebalance_every: int
    first_on: date = Field(description="When 1 was invested")
    last_on: date
    dates: list[date]
    strategies: list[StrategyRead] = Field(description="The last is missing for a business, and for an unknown age")
    rebalancings: list[RebalancingRead]
