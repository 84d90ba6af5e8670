"""Rows of assumptions, risk profiles and recommendations."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Integer, Numeric, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

_AT = DateTime(timezone=True)
_SHARE = Numeric(9, 6)


class AssumptionSetRow(Base):
    """One version of the capital market assumptions. A published one never changes, and `digest` names its body."""

    __tablename__ = "assumption_sets"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digest: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_AT)
    published_at: Mapped[datetime | None] = mapped_column(_AT)

    __table_args__ = (CheckConstraint("status IN ('draft', 'published')", name="status"),)


class AllocationDocument(Base):
    """Every policy and questionnaire that was ever in force, so that an old record can be read and computed again."""

    __tablename__ = "allocation_documents"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    stored_at: Mapped[datetime] = mapped_column(_AT)

    __table_args__ = (CheckConstraint("kind IN ('policy', 'questionnaire')", name="kind"),)


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
    assumption_version: Mapped[int] = mapped_column(ForeignKey("assumption_sets.version"))
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
    alone may change it: the profile ends, or a year is over.
    """

    __tablename__ = "recommendation_current"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True)
    recommendation_id: Mapped[UUID] = mapped_column()
    portfolio: Mapped[str] = mapped_column(Text)
    standing: Mapped[str] = mapped_column(Text)
    profile_until: Mapped[datetime | None] = mapped_column(_AT)
    review_at: Mapped[datetime] = mapped_column(_AT)

    __table_args__ = (Index("ix_recommendation_current_review", "review_at"),)
