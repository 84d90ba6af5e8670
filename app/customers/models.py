"""Rows of customers. Other domains refer to them by the string `customers.id`, with ON DELETE CASCADE."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

KINDS = ("individual", "business")
SEGMENTS = ("mass", "affluent", "high_net_worth", "small_business")
TIERS = ("A", "B", "C")
KYC = ("none", "pending", "passed", "rejected")
HOLDS = ("compliance", "deceased", "vulnerable", "dispute")
RELATIONSHIP = ("open", "closed")
STAGES = ("prospect", "trial", "growth", "mature", "decline")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Customer(Base):
    """A person or a small business. `version` rises on profile edits and transitions only: it is the ETag.

    `stage`, `stage_entered_at` and `cycle` are written by the lifecycle alone; the database refuses a change of stage
    that has no transition row. A duplicate that was merged stays as it was, `merged_into` the customer it belongs to.
    """

    __tablename__ = "customers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    full_name: Mapped[str] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    birth_on: Mapped[date | None] = mapped_column(Date)
    segment: Mapped[str] = mapped_column(Text)
    tier: Mapped[str] = mapped_column(Text)
    country: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    consents: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    kyc_status: Mapped[str] = mapped_column(Text, server_default="none")
    suitability_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    contact_verified: Mapped[bool] = mapped_column(server_default="false")
    holds: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    pin: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    relationship: Mapped[str] = mapped_column(Text, server_default="open")
    merged_into: Mapped[UUID | None] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    stage: Mapped[str] = mapped_column(Text, server_default="prospect")
    stage_entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    cycle: Mapped[int] = mapped_column(Integer, server_default="1")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    search_text: Mapped[str] = mapped_column(
        Text,
        Computed("lower(full_name || ' ' || coalesce(email, '') || ' ' || coalesce(phone, ''))", persisted=True),
    )

    __table_args__ = (
        _one_of("kind", KINDS),
        _one_of("segment", SEGMENTS),
        _one_of("tier", TIERS),
        _one_of("kyc_status", KYC),
        _one_of("relationship", RELATIONSHIP),
        _one_of("stage", STAGES),
        Index("ix_customers_created", "created_at", "id"),
        Index("ix_customers_stage", "stage", "created_at", "id"),
        Index("ix_customers_entered", "stage", "stage_entered_at", "id"),
        Index("ix_customers_owner", "owner", "created_at", "id"),
        Index("ix_customers_name", "full_name", "id"),
        Index("ix_customers_merged", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        Index(
            "ix_customers_search",
            "search_text",
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        ),
    )


class ExternalId(Base):
    """Ids that other systems know a customer by; unique across the institution.

    `origin_id` names the merged duplicate that brought it, so that undoing the merge can give it back.
    """

    __tablename__ = "customer_external_ids"

    external_id: Mapped[str] = mapped_column(Text, primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), index=True)
    origin_id: Mapped[UUID | None]


class CustomerMerge(Base):
    """Two records of one person became one: `duplicate_id` belongs to `customer_id` until the merge is undone.

    Both positions are of the order in which everything happens to a customer (see lifecycle.models.POSITIONS).
    """

    __tablename__ = "customer_merges"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), index=True)
    duplicate_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), index=True)
    position: Mapped[int] = mapped_column(BigInteger, server_default=text("nextval('lifecycle_positions')"))
    merged_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    undone_position: Mapped[int | None] = mapped_column(BigInteger)
    undone_by: Mapped[str | None] = mapped_column(Text)
    undone_reason: Mapped[str | None] = mapped_column(Text)


class EventCounter(Base):
    """Number of public events of a customer so far: the dense `sequence` that receivers order by."""

    __tablename__ = "customer_event_counters"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)


class ErasedCustomer(Base):
    """What remains of a deleted customer: that it existed. Reads answer 410 afterwards."""

    __tablename__ = "erased_customers"

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
