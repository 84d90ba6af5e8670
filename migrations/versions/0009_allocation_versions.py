"""Versions of everything a portfolio follows from; circumstances, holdings and reviews of customers

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_AT = sa.DateTime(timezone=True)
_JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_versions()
    _move_versions()
    op.drop_column("recommendations", "assumption_version")  # the record has it, with its digest
    op.drop_table("assumption_sets")
    op.drop_table("allocation_documents")
    # A change of state must not write the record again: out of line, it stays where it is.
    op.execute("ALTER TABLE recommendations SET (toast_tuple_target = 256)")
    _create_circumstances()
    _create_holdings()
    _create_reviews()
    _note_reminders()


def _create_versions() -> None:
    op.create_table(
        "allocation_versions",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("body", _JSON, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", _AT, nullable=False),
        sa.Column("created_by", sa.Text(), server_default="stagefolio", nullable=False),
        sa.Column("updated_at", _AT),
        sa.Column("updated_by", sa.Text()),
        sa.Column("published_at", _AT),
        sa.Column("published_by", sa.Text()),
        sa.CheckConstraint(
            "kind IN ('assumptions', 'views', 'policy', 'questionnaire')", name=op.f("ck_allocation_versions_kind")
        ),
        sa.CheckConstraint("status IN ('draft', 'published')", name=op.f("ck_allocation_versions_status")),
        sa.PrimaryKeyConstraint("kind", "version", name=op.f("pk_allocation_versions")),
    )
    op.create_index("ix_allocation_versions_digest", "allocation_versions", ["kind", "digest"])


def _move_versions() -> None:
    """The highest published number is in force, so policies and questionnaires are numbered as they came into force."""
    op.execute(
        """INSERT INTO allocation_versions (kind, version, name, status, body, digest, created_at, published_at)
        SELECT 'assumptions', version, name, status, body, digest, created_at, published_at FROM assumption_sets"""
    )
    op.execute(
        """INSERT INTO allocation_versions (kind, version, name, status, body, digest, created_at, published_at)
        SELECT kind, row_number() OVER (PARTITION BY kind ORDER BY stored_at, digest), version, 'published', body,
            digest, stored_at, stored_at FROM allocation_documents"""
    )


def _create_circumstances() -> None:
    op.create_table(
        "allocation_circumstances",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("excluded", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("minimum_cash", sa.Numeric(5, 4), server_default="0", nullable=False),
        sa.Column("withdrawal_share", sa.Numeric(5, 4)),
        sa.Column("withdrawal_amount", sa.Numeric(18, 4)),
        sa.Column("withdrawal_by", sa.Date()),
        sa.Column("closure_announced_at", _AT),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("updated_at", _AT, nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "num_nonnulls(withdrawal_share, withdrawal_amount) <= 1",
            name=op.f("ck_allocation_circumstances_withdrawal"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_allocation_circumstances_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_allocation_circumstances")),
    )


def _create_holdings() -> None:
    op.create_table(
        "holdings",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", _AT, nullable=False),
        sa.Column("amounts", _JSON, nullable=False),
        sa.Column("total", sa.Numeric(20, 4), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("drift", sa.Numeric(9, 6)),
        sa.Column("breached", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("against", sa.Uuid()),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("received_at", _AT, nullable=False),
        sa.CheckConstraint("total >= 0", name=op.f("ck_holdings_total")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_holdings_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_holdings")),
    )


def _create_reviews() -> None:
    op.create_table(
        "portfolio_reviews",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", _JSON, nullable=False),
        sa.Column("opened_at", _AT, nullable=False),
        sa.Column("closed_at", _AT),
        sa.Column("closed_by", sa.Text()),
        sa.Column("outcome", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.CheckConstraint(
            "reason IN ('drift', 'life_event', 'profile_ends')", name=op.f("ck_portfolio_reviews_reason")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_portfolio_reviews_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portfolio_reviews")),
    )
    op.create_index(
        "uq_portfolio_reviews_open",
        "portfolio_reviews",
        ["customer_id", "reason"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index("ix_portfolio_reviews_opened", "portfolio_reviews", ["opened_at", "id"])
    op.create_index(
        "ix_portfolio_reviews_open",
        "portfolio_reviews",
        ["opened_at", "id"],
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index("ix_portfolio_reviews_customer", "portfolio_reviews", ["customer_id", "opened_at", "id"])


def _note_reminders() -> None:
    op.add_column("recommendation_current", sa.Column("reminded_of", _AT))
    op.create_index(
        "ix_recommendation_current_unreminded",
        "recommendation_current",
        ["profile_until", "customer_id"],
        postgresql_where=sa.text("reminded_of IS DISTINCT FROM profile_until"),
    )
