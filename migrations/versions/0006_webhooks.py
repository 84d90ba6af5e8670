"""Webhooks: the event log, its readers, retries, attempts

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("position", sa.BigInteger()),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid()),
        sa.Column("sequence", sa.BigInteger()),
        sa.Column("endpoint_id", sa.Uuid()),
        sa.Column("occurred_at", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    numbered = sa.text("position IS NOT NULL")
    op.create_index("uq_events_event_id", "events", ["event_id"], unique=True)
    op.create_index("ix_events_unnumbered", "events", ["id"], postgresql_where=sa.text("position IS NULL"))
    op.create_index("uq_events_position", "events", ["position"], unique=True, postgresql_where=numbered)
    of_customers = sa.text("customer_id IS NOT NULL")
    op.create_index("ix_events_customer", "events", ["customer_id", "position"], postgresql_where=of_customers)
    # Every row is updated exactly once, soon after its insert, and sequencing must not wade through dead versions.
    op.execute("ALTER TABLE events SET (autovacuum_vacuum_scale_factor = 0.02)")


def _create_endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("event_types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="enabled", nullable=False),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.CheckConstraint("status IN ('enabled', 'disabled')", name=op.f("ck_webhook_endpoints_status")),
        sa.CheckConstraint(
            "(status = 'disabled') = (disabled_reason IS NOT NULL)", name=op.f("ck_webhook_endpoints_disabled_reason")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )


def _create_retries() -> None:
    op.create_table(
        "webhook_retries",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_attempt_at", _TIME, nullable=False),
        sa.CheckConstraint("state IN ('pending', 'dead')", name=op.f("ck_webhook_retries_state")),
        sa.CheckConstraint("attempts >= 1", name=op.f("ck_webhook_retries_attempts")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name="fk_webhook_retries_endpoint_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_webhook_retries_event_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("endpoint_id", "event_id", name="pk_webhook_retries"),
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_webhook_retries_due", "webhook_retries", ["endpoint_id", "next_attempt_at"], postgresql_where=pending
    )
    op.create_index("ix_webhook_retries_event", "webhook_retries", ["event_id"])


def _create_attempts() -> None:
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("attempted_at", _TIME, nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error_class", sa.Text()),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.PrimaryKeyConstraint("id", "attempted_at", name="pk_delivery_attempts"),
        postgresql_partition_by="RANGE (attempted_at)",
    )
    op.create_index("ix_delivery_attempts_endpoint", "delivery_attempts", ["endpoint_id", "id"])
    op.execute("CREATE TABLE delivery_attempts_default PARTITION OF delivery_attempts DEFAULT")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_events()
    _create_endpoints()
    _create_retries()
    _create_attempts()


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in ("delivery_attempts", "webhook_retries", "webhook_endpoints", "events"):
        op.drop_table(table)
