"""Shapes of projections. Money and shares are decimal strings; years are counted from today, the first is 1."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.allocation.schemas import AmountInput, AssetWeight, Basis, Code, Share, ShareInput, TextLanguage, WarningRead

LONGEST = 60
MOST = 10
SEED = 20_260_101

Every = Literal["month", "year", "once"]
GoalKind = Literal["reach", "withdraw"]
InMoneyOf = Literal["today", "then"]
ReachCode = Literal["already_reached", "by_contribution", "no_payment_left", "beyond_bound"]


def _rate(value: str) -> str:
    if not Decimal("-0.2") <= Decimal(value) <= Decimal("0.5"):
        raise ValueError("must be from -0.2 to 0.5 a year")
    return value


def _wanted(value: str) -> str:
    if not Decimal("0.5") <= Decimal(value) <= Decimal("0.99"):
        raise ValueError("must be from 0.5 to 0.99")
    return value


def _day(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("must be a day such as 2046-03-31")  # pydantic would take a number of seconds for one
    return value


def _positive(value: str) -> str:
    if not Decimal(value):
        raise ValueError("must be more than zero")
    return value


RateInput = Annotated[
    str,
    Field(pattern=r"^-?0(\.[0-9]{1,4})?$", description="A rate a year from -0.2 to 0.5", examples=["0.02"]),
    AfterValidator(_rate),
]
Money = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$", examples=["1250.00"])]
Year = Annotated[int, Field(ge=1, le=LONGEST, strict=True)]


class FlowInput(BaseModel):
    """Payments at the beginning of every month or year, or a single one at the beginning of `from_year`."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[AmountInput, Field(description="Each payment, in today's money as far as it grows")]
    every: Every
    from_year: Year = 1
    to_year: Annotated[Year | None, Field(description="The last year with payments; the last of all if absent")] = None
    growth: Annotated[
        RateInput | None,
        Field(
            description="Year y pays amount * (1 + growth)^(y - 1); that of inflation if absent, 0 for fixed amounts"
        ),
    ] = None


class GoalInput(BaseModel):
    """An amount wanted on a day."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    kind: Annotated[GoalKind, Field(description="reach: to have it; withdraw: to take it out, and go on")] = "reach"
    amount: Annotated[AmountInput, AfterValidator(_positive)]
    money: Annotated[InMoneyOf, Field(description="today: in today's money; then: in that of the day it is due")] = (
        "today"
    )
    due_on: Annotated[
        date,
        BeforeValidator(_day),
        Field(description="After today; looked at when the last whole month before is over"),
    ]


class ProjectionTerms(BaseModel):
    """What every projection is asked with."""

    model_config = ConfigDict(extra="forbid")

    contributions: Annotated[list[FlowInput], Field(max_length=MOST)] = []
    withdrawals: Annotated[list[FlowInput], Field(max_length=MOST)] = []
    inflation: RateInput = "0.02"
    goals: Annotated[list[GoalInput], Field(max_length=MOST)] = []
    target_probability: Annotated[
        ShareInput, AfterValidator(_wanted), Field(description="Wanted of every goal, from 0.5 to 0.99")
    ] = "0.8"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, strict=True, description="The same seed gives the same answer")] = (
        SEED
    )


class CustomerProjectionCreate(ProjectionTerms):
    """A projection of a customer's wealth."""

    portfolio: Annotated[
        Literal["recommended", "accepted"], Field(description="The latest recommendation, or the one in force")
    ] = "recommended"
    initial: Annotated[AmountInput | None, Field(description="The customer's holdings if absent")] = None
    years: Annotated[Year | None, Field(description="The horizon of the valid risk profile, or else 10, if absent")] = (
        None
    )
    language: Annotated[TextLanguage | None, Field(description="The customer's own if absent")] = None


class PortfolioProjectionCreate(ProjectionTerms):
    """A projection of a portfolio that is only described."""

    weights: Annotated[
        dict[Code, ShareInput],
        Field(min_length=1, max_length=40, description="Shares by asset class of the assumptions in force; sum 1"),
    ]
    initial: AmountInput
    years: Year = 10
    language: TextLanguage = "en"


class FanRead(BaseModel):
    """Of 100 outcomes 5, 25, 50, 75 and 95 are at most this."""

    p5: Money
    p25: Money
    p50: Money = Field(description="The median")
    p75: Money
    p95: Money


class ProjectionYear(BaseModel):
    """Wealth at the end of a year, after the goals that are withdrawn by then; year 0 is now."""

    year: int
    nominal: FanRead = Field(description="In the money of that year")
    real: FanRead = Field(description="In today's money")
    paid_in: Money = Field(description="The initial amount and all contributions until then")
    paid_out: Money = Field(description="All withdrawals and withdrawn goals until then, as planned")
    probability_of_running_out: Share = Field(description="That by then something could not be paid in full")


class RequiredContribution(BaseModel):
    """What reaches the target: a payment every month until the goal, beside those planned, rising with inflation."""

    status: ReachCode = Field(
        description="beyond_bound: not even ten times the goal every month; no_payment_left: it is due within a month"
    )
    contribution: Money | None = Field(description="Zero if already reached, null if out of reach")
    text: str


class GoalRead(BaseModel):
    """How likely a goal is."""

    name: str
    kind: GoalKind
    amount: Money
    money: InMoneyOf
    due_on: date
    amount_then: Money = Field(description="In the money of the day it is due")
    probability: Share
    likely: bool = Field(description="Whether the probability is the target or more")
    median: Money = Field(description="Median wealth when it is due, before it is withdrawn, in the money of that day")
    shortfall: Money = Field(description="What is lacking in the outcome that 5 % fall below, in the money of that day")
    shortfall_real: Money = Field(description="The same in today's money")
    required: RequiredContribution


class ProjectionRead(BaseModel):
    """What wealth may grow to. An estimate, not a promise."""

    weights: list[AssetWeight]
    currency: str
    initial: Money
    years: int
    inflation: Share
    target_probability: Share
    seed: int
    method: Literal["closed_form", "simulation"] = Field(description="closed_form where nothing is paid in or out")
    paths: int | None = Field(description="Simulated ones; null for a closed form")
    expected_return: Share = Field(description="Arithmetic mean of one year, before costs")
    volatility: Share
    annual_cost: Share
    value_at_risk: Share = Field(description="Loss exceeded in one year out of twenty, after costs, by the same law")
    conditional_value_at_risk: Share = Field(description="Mean loss in those years")
    fan: list[ProjectionYear] = Field(description="Year 0 to the last")
    probability_of_running_out: Share = Field(description="Until the end of the last year")
    goals: list[GoalRead] = Field(description="In the order asked for")
    warnings: list[WarningRead]
    assumption_version: int
    views_version: int | None
    engine_version: str
    language: TextLanguage


class CustomerProjectionRead(ProjectionRead):
    """What a customer's wealth may grow to. An estimate, not a promise."""

    customer_id: UUID
    portfolio: Literal["recommended", "accepted"]
    recommendation_id: UUID
    basis: Basis
    holdings_as_of: datetime | None = Field(description="Of the holdings that were taken as the initial amount")
