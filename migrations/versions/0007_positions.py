"""One order of everything that happens to a customer, what decisions depend on beside signals, merges

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_JSON = postgresql.JSONB(astext_type=sa.Text())
_NEXT = sa.text("nextval('lifecycle_positions')")

# What is there already is numbered by its time: signals that arrived together together, before what followed from them.
NUMBER_SIGNALS = """
CREATE TEMPORARY TABLE numbered ON COMMIT DROP AS
SELECT moment, is_transition, row_number() OVER (ORDER BY moment, is_transition) AS position FROM (
    SELECT received_at AS moment, false AS is_transition FROM signals
    UNION SELECT decided_at, true FROM transitions
) AS moments
"""

# Which moment was judged was not kept. Where signals came with the decision it is theirs, else time alone decided, and
# the cause is that moment.
NUMBER_TRANSITIONS = """
UPDATE transitions t SET position = n.position, evaluated_at = CASE
    WHEN t.kind <> 'automatic' OR EXISTS (
        SELECT FROM signals s WHERE s.customer_id = t.customer_id AND s.received_at = t.decided_at
    ) THEN t.decided_at ELSE t.effective_at END
FROM numbered n WHERE n.moment = t.decided_at AND n.is_transition
"""


def _add_positions() -> None:
    op.execute("CREATE SEQUENCE lifecycle_positions")
    op.add_column("signals", sa.Column("position", sa.BigInteger()))
    op.add_column("signals", sa.Column("origin_id", sa.Uuid()))
    op.add_column("signals", sa.Column("retracted_at", _TIME))
    op.add_column("transitions", sa.Column("position", sa.BigInteger()))
    op.add_column("transitions", sa.Column("evaluated_at", _TIME))
    op.add_column("transitions", sa.Column("corrects_sequence", sa.Integer()))
    op.execute(NUMBER_SIGNALS)
    op.execute(
        "UPDATE signals SET position = n.position FROM numbered n WHERE n.moment = received_at AND NOT n.is_transition"
    )
    op.execute(NUMBER_TRANSITIONS)
    op.execute("SELECT setval('lifecycle_positions', greatest(1, (SELECT max(position) FROM numbered)))")
    for table in ("signals", "transitions"):
        op.alter_column(table, "position", nullable=False, server_default=_NEXT)
    op.alter_column("transitions", "evaluated_at", nullable=False)


def _add_standing() -> None:
    op.add_column("lifecycle_state", sa.Column("scope_id", sa.Uuid()))
    op.add_column("lifecycle_state", sa.Column("changed_at", _TIME))
    op.add_column("lifecycle_state", sa.Column("former", _JSON))
    op.add_column("lifecycle_state", sa.Column("former_at", _TIME))
    op.drop_index("ix_lifecycle_state_due", table_name="lifecycle_state")
    op.create_index("ix_lifecycle_state_due", "lifecycle_state", ["next_evaluation_at", "customer_id"])
    # Out of line, so that the many updates of a row do not copy what changes with a step only.
    op.execute("ALTER TABLE lifecycle_state ALTER COLUMN former SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE lifecycle_state SET (toast_tuple_target = 256)")
    op.execute(
        "UPDATE lifecycle_state s SET scope_id = interval_id, changed_at = c.stage_entered_at"
        " FROM customers c WHERE c.id = s.customer_id"
    )
    op.alter_column("lifecycle_state", "scope_id", nullable=False)
    op.alter_column("lifecycle_state", "changed_at", nullable=False)
    op.create_table(
        "lifecycle_inputs",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=_NEXT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("data", _JSON, server_default="{}", nullable=False),
        sa.CheckConstraint("kind IN ('policy', 'pin', 'moment')", name=op.f("ck_lifecycle_inputs_kind")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_lifecycle_inputs_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", "position", "kind", name=op.f("pk_lifecycle_inputs")),
    )


def _add_drafts() -> None:
    op.add_column("lifecycle_policies", sa.Column("note", sa.Text()))
    op.add_column("lifecycle_policies", sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
    op.add_column("lifecycle_policies", sa.Column("created_by", sa.Text(), server_default="stagefolio", nullable=False))
    op.add_column("lifecycle_policies", sa.Column("updated_at", _TIME))
    op.add_column("lifecycle_policies", sa.Column("updated_by", sa.Text()))
    op.add_column("lifecycle_policies", sa.Column("published_by", sa.Text()))
    op.create_check_constraint(
        op.f("ck_lifecycle_policies_status"), "lifecycle_policies", "status IN ('draft', 'published')"
    )
    op.add_column("parked_signals", sa.Column("code", sa.Text()))
    op.add_column("parked_signals", sa.Column("detail", sa.Text()))
    op.create_index("ix_parked_signals_expires", "parked_signals", ["expires_at", "source", "source_event_id"])


def _add_merges() -> None:
    op.add_column("customers", sa.Column("merged_into", sa.Uuid()))
    op.create_foreign_key(
        op.f("fk_customers_merged_into"), "customers", "customers", ["merged_into"], ["id"], ondelete="CASCADE"
    )
    op.create_index(
        "ix_customers_merged", "customers", ["merged_into"], postgresql_where=sa.text("merged_into IS NOT NULL")
    )
    op.create_index("ix_customers_entered", "customers", ["stage", "stage_entered_at", "id"])
    op.add_column("customer_external_ids", sa.Column("origin_id", sa.Uuid()))
    op.create_table(
        "customer_merges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("duplicate_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=_NEXT, nullable=False),
        sa.Column("merged_at", _TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("undone_at", _TIME),
        sa.Column("undone_position", sa.BigInteger()),
        sa.Column("undone_by", sa.Text()),
        sa.Column("undone_reason", sa.Text()),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_merges_customer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["duplicate_id"], ["customers.id"], name=op.f("fk_customer_merges_duplicate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_merges")),
    )
    op.create_index(op.f("ix_customer_merges_customer_id"), "customer_merges", ["customer_id"])
    op.create_index(op.f("ix_customer_merges_duplicate_id"), "customer_merges", ["duplicate_id"])


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _add_positions()
    _add_standing()
    _add_drafts()
    _add_merges()


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_lifecycle_state_due", table_name="lifecycle_state")
    op.create_index("ix_lifecycle_state_due", "lifecycle_state", ["next_evaluation_at"])
    op.execute("ALTER TABLE lifecycle_state RESET (toast_tuple_target)")
    op.drop_table("customer_merges")
    op.drop_column("customer_external_ids", "origin_id")
    op.drop_index("ix_customers_entered", table_name="customers")
    op.drop_column("customers", "merged_into")
    op.drop_index("ix_parked_signals_expires", table_name="parked_signals")
    for table, names in (
        ("parked_signals", ("code", "detail")),
        ("lifecycle_policies", ("note", "revision", "created_by", "updated_at", "updated_by", "published_by")),
        ("lifecycle_state", ("scope_id", "changed_at", "former", "former_at")),
        ("signals", ("position", "origin_id", "retracted_at")),
        ("transitions", ("position", "evaluated_at", "corrects_sequence")),
    ):
        for name in names:
            op.drop_column(table, name)
    op.drop_constraint(op.f("ck_lifecycle_policies_status"), "lifecycle_policies")
    op.drop_table("lifecycle_inputs")
    op.execute("DROP SEQUENCE lifecycle_positions")
