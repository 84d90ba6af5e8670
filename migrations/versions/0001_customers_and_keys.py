"""Customers and API keys

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("birth_on", sa.Date(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("consents", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("kyc_status", sa.Text(), server_default="none", nullable=False),
        sa.Column("suitability_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("contact_verified", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("holds", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("pin", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("relationship", sa.Text(), server_default="open", nullable=False),
        sa.Column("stage", sa.Text(), server_default="prospect", nullable=False),
        sa.Column("stage_entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cycle", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column(
            "search_text",
            sa.Text(),
            sa.Computed("lower(full_name || ' ' || coalesce(email, '') || ' ' || coalesce(phone, ''))", persisted=True),
            nullable=False,
        ),
        sa.CheckConstraint("kind IN ('individual', 'business')", name=op.f("ck_customers_kind")),
        sa.CheckConstraint(
            "kyc_status IN ('none', 'pending', 'passed', 'rejected')", name=op.f("ck_customers_kyc_status")
        ),
        sa.CheckConstraint("relationship IN ('open', 'closed')", name=op.f("ck_customers_relationship")),
        sa.CheckConstraint(
            "segment IN ('mass', 'affluent', 'high_net_worth', 'small_business')", name=op.f("ck_customers_segment")
        ),
        sa.CheckConstraint(
            "stage IN ('prospect', 'trial', 'growth', 'mature', 'decline')", name=op.f("ck_customers_stage")
        ),
        sa.CheckConstraint("tier IN ('A', 'B', 'C')", name=op.f("ck_customers_tier")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    op.create_index("ix_customers_created", "customers", ["created_at", "id"], unique=False)
    op.create_index("ix_customers_name", "customers", ["full_name", "id"], unique=False)
    op.create_index("ix_customers_owner", "customers", ["owner", "created_at", "id"], unique=False)
    op.create_index(
        "ix_customers_search",
        "customers",
        ["search_text"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"search_text": "gin_trgm_ops"},
    )
    op.create_index("ix_customers_stage", "customers", ["stage", "created_at", "id"], unique=False)
    op.create_table(
        "erased_customers",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_erased_customers")),
    )
    op.create_table(
        "customer_event_counters",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_event_counters_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_event_counters")),
    )
    op.create_table(
        "customer_external_ids",
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_external_ids_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("external_id", name=op.f("pk_customer_external_ids")),
    )
    op.create_index(
        op.f("ix_customer_external_ids_customer_id"), "customer_external_ids", ["customer_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_customer_external_ids_customer_id"), table_name="customer_external_ids")
    op.drop_table("customer_external_ids")
    op.drop_table("customer_event_counters")
    op.drop_table("erased_customers")
    op.drop_index("ix_customers_stage", table_name="customers")
    op.drop_index(
        "ix_customers_search",
        table_name="customers",
        postgresql_using="gin",
        postgresql_ops={"search_text": "gin_trgm_ops"},
    )
    op.drop_index("ix_customers_owner", table_name="customers")
    op.drop_index("ix_customers_name", table_name="customers")
    op.drop_index("ix_customers_created", table_name="customers")
    op.drop_table("customers")
    op.drop_table("api_keys")
