"""Shapes of what customers ask of their portfolio."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.allocation.schemas import AmountInput, Code, Share, ShareInput


class WithdrawalPlan(BaseModel):
    """Money that the customer will withdraw: a share of it all, or an amount. It is held in cash before."""

    model_config = ConfigDict(extra="forbid")

    by: Annotated[date, Field(description="The last day; after it, nothing is held back any more")]
    share: ShareInput | None = None
    amount: Annotated[AmountInput | None, Field(description="A share of the holdings last told")] = None

    @model_validator(mode="after")
    def _one(self) -> "WithdrawalPlan":
        if (self.share is None) == (self.amount is None):
            raise ValueError("give either share or amount")
        return self


class RestrictionsReplace(BaseModel):
    """Everything that the customer asks for; what is absent is not asked for any more."""

    model_config = ConfigDict(extra="forbid")

    excluded: Annotated[list[Code], Field(max_length=40, description="Asset classes that are never held")] = []
    minimum_cash: Annotated[ShareInput, Field(description="Share to be kept in cash")] = "0"
    withdrawal: WithdrawalPlan | None = None


class WithdrawalRead(BaseModel):
    """A planned withdrawal."""

    by: date
    share: Share | None
    amount: str | None


class RestrictionsRead(BaseModel):
    """What limits a customer's portfolio beside the risk profile."""

    customer_id: UUID
    excluded: list[str]
    minimum_cash: Share
    withdrawal: WithdrawalRead | None
    closure_announced_at: datetime | None = Field(description="Since when the customer wants to close: all in cash")
    version: int = Field(description="0: never stated")
    updated_at: datetime | None
    updated_by: str | None
