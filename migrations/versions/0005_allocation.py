"""Allocation

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_AT = sa.DateTime(timezone=True)
_JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "assumption_sets",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("body", _JSON, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", _AT, nullable=False),
        sa.Column("published_at", _AT, nullable=True),
        sa.CheckConstraint("status IN ('draft', 'published')", name=op.f("ck_assumption_sets_status")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_assumption_sets")),
    )
    op.create_table(
        "allocation_documents",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("body", _JSON, nullable=False),
        sa.Column("stored_at", _AT, nullable=False),
        sa.CheckConstraint("kind IN ('policy', 'questionnaire')", name=op.f("ck_allocation_documents_kind")),
        sa.PrimaryKeyConstraint("kind", "digest", name=op.f("pk_allocation_documents")),
    )
    _create_profiles()
    _create_recommendations()
    op.create_table(
        "recommendation_current",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("recommendation_id", sa.Uuid(), nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("profile_until", _AT, nullable=True),
        sa.Column("review_at", _AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_recommendation_current_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_recommendation_current")),
    )
    op.create_index("ix_recommendation_current_review", "recommendation_current", ["review_at"], unique=False)


def _create_profiles() -> None:
    op.create_table(
        "risk_profiles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("questionnaire_version", sa.Text(), nullable=False),
        sa.Column("questionnaire_digest", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("answers", _JSON, nullable=False),
        sa.Column("tolerance", sa.SmallInteger(), nullable=False),
        sa.Column("capacity", sa.SmallInteger(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("risk_class", sa.Text(), nullable=False),
        sa.Column("limit_code", sa.Text(), nullable=False),
        sa.Column("facts", _JSON, nullable=False),
        sa.Column("contradictions", _JSON, nullable=False),
        sa.Column("created_at", _AT, nullable=False),
        sa.Column("valid_until", _AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_risk_profiles_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risk_profiles")),
    )
    op.create_index("ix_risk_profiles_customer", "risk_profiles", ["customer_id", "created_at", "id"], unique=False)


def _create_recommendations() -> None:
    op.create_table(
        "recommendations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("weights", _JSON, nullable=False),
        sa.Column("expected_return", sa.Numeric(9, 6), nullable=True),
        sa.Column("volatility", sa.Numeric(9, 6), nullable=True),
        sa.Column("annual_cost", sa.Numeric(9, 6), nullable=True),
        sa.Column("risk_class", sa.Text(), nullable=False),
        sa.Column("risk_level", sa.Text(), nullable=True),
        sa.Column("limit_code", sa.Text(), nullable=False),
        sa.Column("assumption_version", sa.Integer(), nullable=False),
        sa.Column("record", _JSON, nullable=False),
        sa.Column("created_at", _AT, nullable=False),
        sa.Column("accepted_at", _AT, nullable=True),
        sa.Column("declined_at", _AT, nullable=True),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.CheckConstraint("basis IN ('advised', 'indicative')", name=op.f("ck_recommendations_basis")),
        sa.CheckConstraint(
            "state IN ('proposed', 'accepted', 'superseded', 'declined')", name=op.f("ck_recommendations_state")
        ),
        sa.CheckConstraint("status IN ('ok', 'no_suitable_portfolio')", name=op.f("ck_recommendations_status")),
        sa.ForeignKeyConstraint(
            ["assumption_version"], ["assumption_sets.version"], name=op.f("fk_recommendations_assumption_version")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_recommendations_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recommendations")),
    )
    op.create_index("ix_recommendations_customer", "recommendations", ["customer_id", "created_at", "id"], unique=False)
    for state in ("proposed", "accepted"):
        op.create_index(
            f"uq_recommendations_{state}",
            "recommendations",
            ["customer_id"],
            unique=True,
            postgresql_where=sa.text(f"state = '{state}'"),
        )


def downgrade() -> None:
    op.drop_table("recommendation_current")
    op.drop_table("recommendations")
    op.drop_table("risk_profiles")
    op.drop_table("allocation_documents")
    op.drop_table("assumption_sets")
