"""Long-running work

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_JSON = postgresql.JSONB(astext_type=sa.Text())


def _create_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("params", _JSON, nullable=False),
        sa.Column("state", _JSON, server_default="{}", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger()),
        sa.Column("result", _JSON),
        sa.Column("error", _JSON),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.Column("cancel_requested_at", _TIME),
        sa.Column("next_run_at", _TIME),
        sa.Column("run_id", sa.Uuid()),
        sa.Column("lease_until", _TIME),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_operations_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    op.create_index("ix_operations_created", "operations", ["created_at", "id"])
    op.create_index(
        "ix_operations_open", "operations", ["id"], postgresql_where=sa.text("status IN ('queued', 'running')")
    )


def _create_items() -> None:
    op.create_table(
        "operation_items",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Uuid()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Text()),
        sa.Column("data", _JSON, server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name=op.f("fk_operation_items_operation_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_operation_items_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("operation_id", "ordinal", name=op.f("pk_operation_items")),
    )
    op.create_index(op.f("ix_operation_items_customer_id"), "operation_items", ["customer_id"])


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_operations()
    _create_items()


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("operation_items")
    op.drop_table("operations")
