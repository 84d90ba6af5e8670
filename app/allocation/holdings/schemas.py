"""Shapes of holdings and of trades. Money and shares are decimal strings; `difference` and trades have a sign or a side."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.allocation.schemas import Basis, Code, Share, ShareInput, State, TextLanguage
from app.clock import Instant
from app.customers.schemas import ExternalId

MOST_AT_ONCE = 1000
MOST_CLASSES = 40

AmountInput = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{1,13}(\.[0-9]{1,4})?$",
        description="Zero or more, below ten trillion, four decimals at most",
        examples=["12500.00"],
    ),
]
SignedAmountInput = Annotated[
    str,
    Field(pattern=r"^-?[0-9]{1,13}(\.[0-9]{1,4})?$", examples=["5000.00"]),
]
Money = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{2,4}$", examples=["12500.00"])]
Outcome = Literal["nothing_held", "inside_bands", "below_minimum", "new_money", "withdrawal", "rebalance"]


class HoldingsReplace(BaseModel):
    """What a customer holds, whole: a class that is absent is not held."""

    model_config = ConfigDict(extra="forbid")

    as_of: Annotated[Instant, Field(description="When it was so; holdings of a later time win")]
    positions: Annotated[
        dict[Code, AmountInput],
        Field(max_length=MOST_CLASSES, description="Market value by asset class, in the institution's currency"),
    ]
    source: Annotated[
        str | None,
        Field(min_length=1, max_length=60, pattern=r"\S", description="The system that tells it; the key if absent"),
    ] = None


class HoldingsCustomer(BaseModel):
    """Whose holdings: exactly one of the two."""

    model_config = ConfigDict(extra="forbid")

    id: UUID | None = None
    external_id: ExternalId | None = None

    @model_validator(mode="after")
    def _one(self) -> "HoldingsCustomer":
        if (self.id is None) == (self.external_id is None):
            raise ValueError("give either id or external_id")
        return self


class HoldingsItem(HoldingsReplace):
    """What one customer of a batch holds."""

    customer: HoldingsCustomer


class HoldingsBatch(BaseModel):
    """Holdings of up to 1,000 customers."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[HoldingsItem], Field(min_length=1, max_length=MOST_AT_ONCE)]


class HoldingsResult(BaseModel):
    """What became of one item."""

    status: Literal["stored", "unchanged", "outdated", "rejected"] = Field(
        description="outdated: holdings of a later time are known"
    )
    customer_id: UUID | None
    code: str | None = Field(description="Why it was rejected, or is outdated")
    detail: str | None = Field(description="The same in words, with the field")
    drift: Share | None = Field(description="Of what is known now; null without money or target")
    breached: list[str] = Field(description="Asset classes outside their bands")


class HoldingsReceipt(BaseModel):
    """One result per item, in order."""

    results: list[HoldingsResult]


class MeasuredAgainst(BaseModel):
    """The recommendation that is the target."""

    recommendation_id: UUID
    state: State
    basis: Basis = Field(description="indicative: from age and segment only; never advice")
    newer_id: UUID | None = Field(description="A later recommendation that is proposed and not answered")


class PositionRead(BaseModel):
    """One asset class that is held or should be. Shares are of the total."""

    asset_class: str
    name: str
    amount: Money
    actual: Share | None = Field(description="Null without money")
    target: Share | None = Field(description="Null if there is nothing to measure against")
    difference: Share | None = Field(description="Actual less target")
    band: Share | None = Field(description="How far the class may be from its target, on both sides")
    breached: bool


class HoldingsRead(BaseModel):
    """What a customer holds, and how far that is from the target."""

    customer_id: UUID
    as_of: datetime
    received_at: datetime
    source: str
    currency: str
    total: Money
    positions: list[PositionRead] = Field(description="In the order of the assumptions")
    drift: Share | None = Field(description="Half the sum of absolute differences; null without money or target")
    breached: list[str]
    against: MeasuredAgainst | None = Field(description="The accepted portfolio, else the proposed one")
    version: int
    language: TextLanguage


class RebalanceQuery(BaseModel):
    """What trades are asked for."""

    model_config = ConfigDict(extra="forbid")

    new_money: Annotated[
        SignedAmountInput, Field(description="To be invested; with a minus sign: to be paid out of what is held")
    ] = "0"
    minimum_trade: Annotated[
        ShareInput | None,
        Field(description="Share of the portfolio below which nothing is traded; the policy's if absent"),
    ] = None
    against: Annotated[
        Literal["accepted", "recommended"] | None,
        Field(description="The portfolio in force, or the latest recommended; the first of both if absent"),
    ] = None
    language: Annotated[TextLanguage | None, Field(description="The customer's own if absent")] = None


class TradeRead(BaseModel):
    """One proposed trade."""

    asset_class: str
    name: str
    side: Literal["buy", "sell"]
    amount: Money


class PositionAfter(BaseModel):
    """One asset class after the trades."""

    asset_class: str
    name: str
    amount: Money
    weight: Share | None = Field(description="Null without money")
    target: Share
    breached: bool


class RebalanceReason(BaseModel):
    """Why there are trades, or none: a stable code, its parameters (percentages as numbers), and the text."""

    code: Outcome
    params: dict[str, Any]
    text: str


class RebalanceRead(BaseModel):
    """Trades proposed now. Nothing is written or ordered."""

    customer_id: UUID
    as_of: datetime = Field(description="Of the holdings")
    against: MeasuredAgainst
    currency: str
    new_money: Money
    minimum_trade: Share
    total: Money = Field(description="Held now")
    total_after: Money
    drift: Share | None
    drift_after: Share | None
    bought: Money
    sold: Money
    trades: list[TradeRead] = Field(description="Sales first, the largest first; bought less sold is the new money")
    positions: list[PositionAfter] = Field(description="In the order of the assumptions")
    reason: RebalanceReason
    language: TextLanguage
