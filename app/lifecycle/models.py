"""Rows of the lifecycle."""

from datetime import date, datetime
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
    Sequence,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

_AT = DateTime(timezone=True)

POSITIONS = Sequence("lifecycle_positions", metadata=Base.metadata)
"""Numbers every input of decisions, drawn while its customer is locked: one order of all that happened to a customer."""
_NEXT_POSITION = text("nextval('lifecycle_positions')")


def _customer(*, primary: bool = False) -> Mapped[UUID]:
    return mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), primary_key=primary)


class LifecyclePolicy(Base):
    """A version of the rules: a draft that can be edited, or published and never changed again."""

    __tablename__ = "lifecycle_policies"

    version: Mapped[int] = mapped_column(Integer, primary_key=True)
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

    __table_args__ = (CheckConstraint("status IN ('draft', 'published')", name="status"),)


class LifecycleState(Base):
    """The volatile part of a customer's lifecycle, one narrow row each; the stage itself stands in `customers`.

    `confirming`: fingerprint of a rule -> since when it holds (epoch seconds). `recent`: the returns of the last 60
    days, [local day, stage]. `entry`: figures noted when the stage was entered. `scope_id`: the interval whose actions
    go on, an earlier one where a stay was resumed. `changed_at`: effective moment of the last step. `policy_version`:
    the rules that apply to this customer; a publication reaches customers one after the other. `former`: what stands
    again if the last step is corrected (see core/standing.py), stored out of line, and `former_at` the moment it was
    judged. `evaluated_at`: the moment of the last evaluation that changed anything here.
    """

    __tablename__ = "lifecycle_state"

    customer_id: Mapped[UUID] = _customer(primary=True)
    interval_id: Mapped[UUID]
    scope_id: Mapped[UUID]
    changed_at: Mapped[datetime] = mapped_column(_AT)
    transition_sequence: Mapped[int] = mapped_column(Integer, server_default="0")
    policy_version: Mapped[int] = mapped_column(Integer)
    stage_before: Mapped[str | None] = mapped_column(Text)
    entered_by: Mapped[str | None] = mapped_column(Text)
    last_trial_ended_at: Mapped[datetime | None] = mapped_column(_AT)
    last_automatic_at: Mapped[datetime | None] = mapped_column(_AT)
    entry: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    former: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    former_at: Mapped[datetime | None] = mapped_column(_AT)
    recent: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    confirming: Mapped[dict[str, float]] = mapped_column(JSONB, server_default="{}")
    attrition_score: Mapped[int] = mapped_column(Integer, server_default="0")
    score_reasons: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    evaluated_at: Mapped[datetime | None] = mapped_column(_AT)
    next_evaluation_at: Mapped[datetime | None] = mapped_column(_AT)

    __table_args__ = (Index("ix_lifecycle_state_due", "next_evaluation_at", "customer_id"),)


class Signal(Base):
    """What a customer did or what happened to them; partitioned by `received_at`.

    `position` is one number per batch: what arrived together is judged together. `origin_id` names the duplicate that a
    signal was sent for, if its customer was merged. A retracted signal stays, and counts no more.

    No foreign key: it would be checked row by row, at a third of the cost of the insert, although every writer holds
    the customers locked. `forget` deletes the signals of erased customers.
    """

    __tablename__ = "signals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(_AT, primary_key=True)
    customer_id: Mapped[UUID]
    source: Mapped[str] = mapped_column(Text)
    source_event_id: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(_AT)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    position: Mapped[int] = mapped_column(BigInteger, server_default=_NEXT_POSITION)
    origin_id: Mapped[UUID | None]
    retracted_at: Mapped[datetime | None] = mapped_column(_AT)

    __table_args__ = (
        Index("ix_signals_customer", "customer_id", "occurred_at", "id"),
        {"postgresql_partition_by": "RANGE (received_at)"},
    )


class SignalKey(Base):
    """Deduplication keys, in a table of their own since a partitioned one cannot hold them."""

    __tablename__ = "signal_keys"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    source_event_id: Mapped[str] = mapped_column(Text, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(_AT)


class ParkedSignal(Base):
    """A signal of an external id that nobody has yet; replayed when the customer is created.

    `code` and `detail` say why it was refused when it was replayed; it is then kept, so that somebody can look.
    """

    __tablename__ = "parked_signals"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    source_event_id: Mapped[str] = mapped_column(Text, primary_key=True)
    external_id: Mapped[str] = mapped_column(Text, index=True)
    type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(_AT)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    expires_at: Mapped[datetime] = mapped_column(_AT)
    code: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index("ix_parked_signals_expires", "expires_at", "source", "source_event_id"),)


class CustomerDay(Base):
    """Sums of one customer and one local day with any signal; additive. Money in ten-thousandths."""

    __tablename__ = "customer_day"

    customer_id: Mapped[UUID] = _customer(primary=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    inflow: Mapped[int] = mapped_column(BigInteger)
    outflow: Mapped[int] = mapped_column(BigInteger)
    deposits: Mapped[int] = mapped_column(Integer)
    trades: Mapped[int] = mapped_column(Integer)
    logins: Mapped[int] = mapped_column(Integer)
    activity: Mapped[int] = mapped_column(Integer)


class CustomerTotals(Base):
    """Sums and extremes over the whole life of a customer; additive, smallest, largest. Money in ten-thousandths."""

    __tablename__ = "customer_totals"

    customer_id: Mapped[UUID] = _customer(primary=True)
    inflow: Mapped[int] = mapped_column(BigInteger)
    outflow: Mapped[int] = mapped_column(BigInteger)
    trades: Mapped[int] = mapped_column(BigInteger)
    first_funded_on: Mapped[date | None] = mapped_column(Date)
    last_active_on: Mapped[date | None] = mapped_column(Date)
    since_on: Mapped[date | None] = mapped_column(Date)


class CustomerAccount(Base):
    """Accounts whose balances are known, so that a read of the latest balances needs no scan of the days."""

    __tablename__ = "customer_accounts"

    customer_id: Mapped[UUID] = _customer(primary=True)
    account: Mapped[str] = mapped_column(Text, primary_key=True)


class AccountDay(Base):
    """Closing balance, in ten-thousandths, of one account and local day; the last writer wins."""

    __tablename__ = "account_day"

    customer_id: Mapped[UUID] = _customer(primary=True)
    account: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    balance: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[datetime] = mapped_column(_AT)
    source: Mapped[str] = mapped_column(Text)
    source_event_id: Mapped[str] = mapped_column(Text)


class CustomerFact(Base):
    """A fact set by the last signal; the last writer on (occurred_at, source, event) wins."""

    __tablename__ = "customer_fact"

    customer_id: Mapped[UUID] = _customer(primary=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB)
    day: Mapped[date] = mapped_column(Date)
    occurred_at: Mapped[datetime] = mapped_column(_AT)
    source: Mapped[str] = mapped_column(Text)
    source_event_id: Mapped[str] = mapped_column(Text)


class StageInterval(Base):
    """One stay in one stage. The database refuses a second open one."""

    __tablename__ = "stage_intervals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = _customer()
    stage: Mapped[str] = mapped_column(Text)
    cycle: Mapped[int] = mapped_column(Integer)
    entered_at: Mapped[datetime] = mapped_column(_AT)
    exited_at: Mapped[datetime | None] = mapped_column(_AT)

    __table_args__ = (
        Index("ix_stage_intervals_customer", "customer_id", "entered_at"),
        Index("uq_stage_intervals_open", "customer_id", unique=True, postgresql_where=text("exited_at IS NULL")),
    )


class Transition(Base):
    """One step from stage to stage, append-only: its cause, rule, facts, policy version, and its times.

    `effective_at` is when the cause happened, `evaluated_at` the moment that was judged, `decided_at` when that was done.
    """

    __tablename__ = "transitions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = _customer()
    sequence: Mapped[int] = mapped_column(Integer)
    from_stage: Mapped[str] = mapped_column(Text)
    to_stage: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    rule_id: Mapped[str | None] = mapped_column(Text)
    policy_version: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    effective_at: Mapped[datetime] = mapped_column(_AT)
    decided_at: Mapped[datetime] = mapped_column(_AT)
    evaluated_at: Mapped[datetime] = mapped_column(_AT)
    position: Mapped[int] = mapped_column(BigInteger, server_default=_NEXT_POSITION)
    corrects_sequence: Mapped[int | None] = mapped_column(Integer)

    __table_args__ = (
        UniqueConstraint("customer_id", "sequence"),
        Index("ix_transitions_decided", "decided_at", "id"),
    )


class LifecycleInput(Base):
    """What else decisions depend on, so that a replay can repeat them. One row per customer and event.

    `policy`: from `at` on other rules apply, `data` {from, to}. `pin`: the stage is fixed until `data.until`, null lifts
    it. `moment`: the batch at `position` was judged at `at`, later than it was received, because its customer had been
    judged at that moment already.
    """

    __tablename__ = "lifecycle_inputs"

    customer_id: Mapped[UUID] = _customer(primary=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, server_default=_NEXT_POSITION)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(_AT)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")

    __table_args__ = (CheckConstraint("kind IN ('policy', 'pin', 'moment')", name="kind"),)
