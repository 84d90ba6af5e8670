"""Rows of versions, risk profiles, recommendations, and of what keeps them under review."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

_AT = DateTime(timezone=True)
_SHARE = Numeric(9, 6)


class AllocationVersion(Base):
    """One version of the assumptions, views, policy or questionnaire: a draft that can be edited, or published and never
    changed again. The published one with the highest number is in force; `digest` names the body.
    """

    __tablename__ = "allocation_versions"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digest: Mapped[str] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer, server_default="1")
    created_at: Mapped[datetime] = mapped_column(_AT)
    created_by: Mapped[str] = mapped_column(Text, server_default="stagefolio")
    updated_at: Mapped[datetime | None] = mapped_column(_AT)
    updated_by: Mapped[str | None] = mapped_column(Text)
    published_at: Mapped[datetime | None] = mapped_column(_AT)
    published_by: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("kind IN ('assumptions', 'views', 'policy', 'questionnaire')", name="kind"),
        CheckConstraint("status IN ('draft', 'published')", name="status"),
        Index("ix_allocation_versions_digest", "kind", "digest"),
    )


class RiskProfile(Base):
    """One completed questionnaire and what it says. All are kept; the latest counts until `valid_until`.

    `facts` are the circumstances by name, in their own units; `contradictions` the ids of pairs of answers that do not
    go together; `score` is under the caps of horizon and liquidity, and `limit_code` says what set it.
    """

    __tablename__ = "risk_profiles"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    questionnaire_version: Mapped[str] = mapped_column(Text)
    questionnaire_digest: Mapped[str] = mapped_column(Text)
    policy_version: Mapped[str] = mapped_column(Text)
    answers: Mapped[dict[str, str]] = mapped_column(JSONB)
    tolerance: Mapped[int] = mapped_column(SmallInteger)
    capacity: Mapped[int] = mapped_column(SmallInteger)
    score: Mapped[int] = mapped_column(SmallInteger)
    risk_class: Mapped[str] = mapped_column(Text)
    limit_code: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, float]] = mapped_column(JSONB)
    contradictions: Mapped[list[str]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(_AT)
    valid_until: Mapped[datetime] = mapped_column(_AT)

    __table_args__ = (Index("ix_risk_profiles_customer", "customer_id", "created_at", "id"),)


class Recommendation(Base):
    """One recommended portfolio. Everything but `state` and its times stays as it was written.

    `weights` is {asset class: share as decimal string}, only classes that are held; `record` is what defends the
    recommendation and computes it again (see records.py). A customer has at most one `proposed` and one `accepted`.
    """

    __tablename__ = "recommendations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    basis: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    weights: Mapped[dict[str, str]] = mapped_column(JSONB)
    expected_return: Mapped[Decimal | None] = mapped_column(_SHARE)
    volatility: Mapped[Decimal | None] = mapped_column(_SHARE)
    annual_cost: Mapped[Decimal | None] = mapped_column(_SHARE)
    risk_class: Mapped[str] = mapped_column(Text)
    risk_level: Mapped[str | None] = mapped_column(Text)
    limit_code: Mapped[str] = mapped_column(Text)
    record: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(_AT)
    accepted_at: Mapped[datetime | None] = mapped_column(_AT)
    declined_at: Mapped[datetime | None] = mapped_column(_AT)
    supersedes: Mapped[UUID | None] = mapped_column()

    __table_args__ = (
        CheckConstraint("basis IN ('advised', 'indicative')", name="basis"),
        CheckConstraint("state IN ('proposed', 'accepted', 'superseded', 'declined')", name="state"),
        CheckConstraint("status IN ('ok', 'no_suitable_portfolio')", name="status"),
        Index("ix_recommendations_customer", "customer_id", "created_at", "id"),
        Index("uq_recommendations_proposed", "customer_id", unique=True, postgresql_where=text("state = 'proposed'")),
        Index("uq_recommendations_accepted", "customer_id", unique=True, postgresql_where=text("state = 'accepted'")),
    )


class RecommendationCurrent(Base):
    """The latest recommendation of a customer, one narrow row each.

    `portfolio` and `standing` name its weights and its basis, class, level and limit: comparing them tells whether
    anything changed. `profile_until` is when the profile it rests on ends (null: an indication); `review_at` when time
    alone may change it: the profile ends, or a year is over. `reminded_of`: the `profile_until` that a review was opened
    for, so that each profile has one reminder.
    """

    __tablename__ = "recommendation_current"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True)
    recommendation_id: Mapped[UUID] = mapped_column()
    portfolio: Mapped[str] = mapped_column(Text)
    standing: Mapped[str] = mapped_column(Text)
    profile_until: Mapped[datetime | None] = mapped_column(_AT)
    review_at: Mapped[datetime] = mapped_column(_AT)
    reminded_of: Mapped[datetime | None] = mapped_column(_AT)

    __table_args__ = (
        Index("ix_recommendation_current_review", "review_at"),
        Index(
            "ix_recommendation_current_unreminded",
            "profile_until",
            "customer_id",
            postgresql_where=text("reminded_of IS DISTINCT FROM profile_until"),
        ),
    )


class Circumstances(Base):
    """What limits a customer's portfolio beside the risk profile: wishes, and money that is about to leave.

    `excluded` asset classes are never held; `minimum_cash` and `withdrawal_share` are shares of the money,
    `withdrawal_amount` is in the institution's currency; `withdrawal_by` is the last day of the withdrawal.
    `closure_announced_at`: when the customer asked to close, as the lifecycle knows it. `version` counts the wishes.
    """

    __tablename__ = "allocation_circumstances"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True)
    excluded: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    minimum_cash: Mapped[Decimal] = mapped_column(Numeric(5, 4), server_default="0")
    withdrawal_share: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    withdrawal_amount: Mapped[Decimal | None] = mapped_column(Numeric(18, 4))
    withdrawal_by: Mapped[date | None] = mapped_column(Date)
    closure_announced_at: Mapped[datetime | None] = mapped_column(_AT)
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    updated_at: Mapped[datetime] = mapped_column(_AT)
    updated_by: Mapped[str] = mapped_column(Text)

    __table_args__ = (CheckConstraint("num_nonnulls(withdrawal_share, withdrawal_amount) <= 1", name="withdrawal"),)


class Holding(Base):
    """What a customer holds by asset class, as the institution last told: {asset class: amount as decimal string}.

    `drift` is half the sum of absolute differences to the portfolio `against` (a recommendation), `breached` the classes
    outside their bands; null and empty without such a portfolio or without holdings.
    """

    __tablename__ = "holdings"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True)
    as_of: Mapped[datetime] = mapped_column(_AT)
    amounts: Mapped[dict[str, str]] = mapped_column(JSONB)
    total: Mapped[Decimal] = mapped_column(Numeric(20, 4))
    source: Mapped[str] = mapped_column(Text)
    drift: Mapped[Decimal | None] = mapped_column(_SHARE)
    breached: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    against: Mapped[UUID | None] = mapped_column()
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    received_at: Mapped[datetime] = mapped_column(_AT)

    __table_args__ = (CheckConstraint("total >= 0", name="total"),)


class PortfolioReview(Base):
    """A reason for somebody to look at a customer's portfolio, open until it is gone or somebody has looked."""

    __tablename__ = "portfolio_reviews"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    reason: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    opened_at: Mapped[datetime] = mapped_column(_AT)
    closed_at: Mapped[datetime | None] = mapped_column(_AT)
    closed_by: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("reason IN ('drift', 'life_event', 'profile_ends')", name="reason"),
        Index(
            "uq_portfolio_reviews_open",
            "customer_id",
            "reason",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("ix_portfolio_reviews_opened", "opened_at", "id"),
        Index("ix_portfolio_reviews_open", "opened_at", "id", postgresql_where=text("closed_at IS NULL")),
        Index("ix_portfolio_reviews_customer", "customer_id", "opened_at", "id"),
    )
