"""Rows of the event log, of the endpoints that read it, and of what was tried."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class LoggedEvent(Base):
    """One public event, in the log that every receiver reads.

    `id` is drawn in the transaction of the change while its customer is locked; `position` is given by the sequencer
    once that transaction has committed, and every cursor is a position. `body` is the exact text that is sent.
    `endpoint_id` is set for what is meant for one endpoint alone (a test). Events outlive customers: no foreign key.
    The newest row is never purged: the next position follows from it.
    """

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    position: Mapped[int | None] = mapped_column(BigInteger)
    event_id: Mapped[UUID]
    type: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[UUID | None]
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    endpoint_id: Mapped[UUID | None]
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    body: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        Index("uq_events_event_id", "event_id", unique=True),
        Index("ix_events_unnumbered", "id", postgresql_where=text("position IS NULL")),
        Index("uq_events_position", "position", unique=True, postgresql_where=text("position IS NOT NULL")),
        Index("ix_events_customer", "customer_id", "position", postgresql_where=text("customer_id IS NOT NULL")),
    )


class WebhookEndpoint(Base):
    """A receiver, and how far it has read the log.

    `version` rises with what its owner sees of the configuration: it is the ETag. `cursor` and `failing_since` are the
    worker's and leave it alone. Deliveries that failed are rows of their own, so the cursor never waits for them.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    secret: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="enabled")
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    cursor: Mapped[int] = mapped_column(BigInteger)
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")

    __table_args__ = (
        CheckConstraint("status IN ('enabled', 'disabled')", name="status"),
        CheckConstraint("(status = 'disabled') = (disabled_reason IS NOT NULL)", name="disabled_reason"),
    )


class WebhookRetry(Base):
    """A delivery that failed: tried again when `next_attempt_at` is due, kept as `dead` after the last attempt."""

    __tablename__ = "webhook_retries"

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), primary_key=True)
    attempts: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    next_attempt_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint("state IN ('pending', 'dead')", name="state"),
        CheckConstraint("attempts >= 1", name="attempts"),
        Index("ix_webhook_retries_due", "endpoint_id", "next_attempt_at", postgresql_where=text("state = 'pending'")),
        Index("ix_webhook_retries_event", "event_id"),
    )


class DeliveryAttempt(Base):
    """One attempt to deliver one event to one endpoint: written once, in batches, never changed.

    Partitioned by time, so that old parts can be dropped whole. No foreign keys: it is a log.
    """

    __tablename__ = "delivery_attempts"

    id: Mapped[UUID]
    attempted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    endpoint_id: Mapped[UUID]
    event_id: Mapped[UUID]
    event_type: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[str] = mapped_column(Text)
    status: Mapped[int | None] = mapped_column(Integer)
    error_class: Mapped[str | None] = mapped_column(Text)
    duration_ms: Mapped[int] = mapped_column(Integer)
    answer: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        PrimaryKeyConstraint("id", "attempted_at"),
        Index("ix_delivery_attempts_endpoint", "endpoint_id", "id"),
        {"postgresql_partition_by": "RANGE (attempted_at)"},
    )
