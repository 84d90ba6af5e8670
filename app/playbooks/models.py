"""Rows of playbooks, actions and the in-app inbox."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, DateTime, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

STATUSES = ("planned", "claimed", "done", "skipped", "cancelled", "failed", "unknown")


class PlaybookRow(Base):
    """One version of the playbook. `body` is the document; a published one never changes, and `digest` names it."""

    __tablename__ = "playbooks"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digest: Mapped[str] = mapped_column(Text)
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (CheckConstraint("status IN ('draft', 'published')", name="status"),)


class PlaybookPin(Base):
    """Where a customer stands: the interval whose actions go on, which is an earlier one where a stay was resumed, and
    the version of the playbook that it began with."""

    __tablename__ = "playbook_pins"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True)
    interval_id: Mapped[UUID] = mapped_column()
    playbook_version: Mapped[int] = mapped_column(Integer)


class Action(Base):
    """One thing to do for one customer at one time.

    A task is `planned` until it is due, `claimed` while it is on the adviser's list, `done` when it was completed with
    an outcome. `content` holds texts by language: of a task from its planning, of a message from its delivery.
    `interval_id` is the scope of the stay it belongs to, as events name it; None for what belongs to the customer.
    """

    __tablename__ = "actions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    stage: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    interval_id: Mapped[UUID | None] = mapped_column()
    transition_id: Mapped[UUID | None] = mapped_column()
    cause: Mapped[str | None] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    occurrence: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    action_class: Mapped[str] = mapped_column("class", Text)
    measure: Mapped[str] = mapped_column(Text)
    channel: Mapped[str | None] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    survives_exit: Mapped[bool] = mapped_column(Boolean)
    playbook_version: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(Text, server_default="planned")
    reason: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    content: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    claimed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_by: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer, server_default="1")

    __table_args__ = (
        UniqueConstraint("customer_id", "scope", "key", "occurrence"),
        CheckConstraint(f"status IN ({', '.join(repr(status) for status in STATUSES)})", name="status"),
        Index("ix_actions_planned", "due_at", postgresql_where=text("status = 'planned'")),
        Index("ix_actions_customer", "customer_id", "due_at", "id"),
        Index("ix_actions_owner", "owner", "status", "due_at", "id"),
        Index("ix_actions_due", "due_at", "id"),
    )


class Message(Base):
    """One message in a customer's in-app inbox, as plain text in the language that the customer reads."""

    __tablename__ = "messages"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    action_id: Mapped[UUID] = mapped_column()
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    read_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (Index("ix_messages_customer", "customer_id", "created_at", "id"),)
