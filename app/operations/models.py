"""Rows of long-running work."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

_AT = DateTime(timezone=True)


class Operation(Base):
    """A long-running piece of work, with its progress. `state` is the handler's own: where it goes on after a crash.

    `attempts` counts starts since the last progress, so that work that kills its worker every time ends as failed.
    `run_id` names the run that may write, and `lease_until`, by the clock of the database, says how long nobody else may
    start one. `next_run_at` is the moment that a handler wants to wait for, by the clock of the workers.
    """

    __tablename__ = "operations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="queued")
    params: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    total: Mapped[int | None] = mapped_column(BigInteger)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    actor: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_AT)
    started_at: Mapped[datetime | None] = mapped_column(_AT)
    updated_at: Mapped[datetime] = mapped_column(_AT)
    finished_at: Mapped[datetime | None] = mapped_column(_AT)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(_AT)
    next_run_at: Mapped[datetime | None] = mapped_column(_AT)
    run_id: Mapped[UUID | None]
    lease_until: Mapped[datetime | None] = mapped_column(_AT)

    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
        Index("ix_operations_created", "created_at", "id"),
        Index("ix_operations_open", "id", postgresql_where=text("status IN ('queued', 'running')")),
    )


class OperationItem(Base):
    """What came of one customer or row of an operation: `outcome` and, where it was refused, `code`."""

    __tablename__ = "operation_items"

    operation_id: Mapped[UUID] = mapped_column(ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), index=True)
    outcome: Mapped[str] = mapped_column(Text)
    code: Mapped[str | None] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
