"""Lifecycle

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


# Nobody, not even by hand in psql, changes a stage without the transition that says why.
STAGE_GUARD_FUNCTION = """
CREATE FUNCTION refuse_stage_without_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM transitions t
        WHERE t.customer_id = NEW.id AND t.to_stage = NEW.stage
          AND t.sequence = (SELECT transition_sequence FROM lifecycle_state WHERE customer_id = NEW.id)
    ) AND EXISTS (SELECT 1 FROM customers c WHERE c.id = NEW.id AND c.stage = NEW.stage) THEN
        RAISE EXCEPTION 'the stage of a customer changes by a transition only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$
"""
STAGE_GUARD = """
CREATE CONSTRAINT TRIGGER stage_needs_transition AFTER UPDATE OF stage ON customers
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.stage IS DISTINCT FROM NEW.stage)
EXECUTE FUNCTION refuse_stage_without_transition()
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "lifecycle_policies",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_lifecycle_policies")),
    )
    op.create_table(
        "parked_signals",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "source_event_id", name=op.f("pk_parked_signals")),
    )
    op.create_index(op.f("ix_parked_signals_external_id"), "parked_signals", ["external_id"], unique=False)
    op.create_table(
        "signal_keys",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "source_event_id", name=op.f("pk_signal_keys")),
    )
    op.create_table(
        "account_day",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_account_day_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", "account", "day", name=op.f("pk_account_day")),
    )
    op.create_table(
        "customer_accounts",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_accounts_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", "account", name=op.f("pk_customer_accounts")),
    )
    op.create_table(
        "customer_day",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("inflow", sa.BigInteger(), nullable=False),
        sa.Column("outflow", sa.BigInteger(), nullable=False),
        sa.Column("deposits", sa.Integer(), nullable=False),
        sa.Column("trades", sa.Integer(), nullable=False),
        sa.Column("logins", sa.Integer(), nullable=False),
        sa.Column("activity", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_day_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", "day", name=op.f("pk_customer_day")),
    )
    op.create_table(
        "customer_fact",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_fact_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", "name", name=op.f("pk_customer_fact")),
    )
    op.create_table(
        "customer_totals",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("inflow", sa.BigInteger(), nullable=False),
        sa.Column("outflow", sa.BigInteger(), nullable=False),
        sa.Column("trades", sa.BigInteger(), nullable=False),
        sa.Column("first_funded_on", sa.Date(), nullable=True),
        sa.Column("last_active_on", sa.Date(), nullable=True),
        sa.Column("since_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_totals_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_totals")),
    )
    op.create_table(
        "lifecycle_state",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("interval_id", sa.Uuid(), nullable=False),
        sa.Column("transition_sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("stage_before", sa.Text(), nullable=True),
        sa.Column("entered_by", sa.Text(), nullable=True),
        sa.Column("last_trial_ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_automatic_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("recent", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("confirming", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("attrition_score", sa.Integer(), server_default="0", nullable=False),
        sa.Column("score_reasons", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_evaluation_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_lifecycle_state_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_lifecycle_state")),
    )
    op.create_index("ix_lifecycle_state_due", "lifecycle_state", ["next_evaluation_at"], unique=False)
    op.create_table(
        "signals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", "received_at", name=op.f("pk_signals")),
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_index("ix_signals_customer", "signals", ["customer_id", "occurred_at", "id"], unique=False)
    op.create_table(
        "stage_intervals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("exited_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_stage_intervals_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_intervals")),
    )
    op.create_index("ix_stage_intervals_customer", "stage_intervals", ["customer_id", "entered_at"], unique=False)
    op.create_index(
        "uq_stage_intervals_open",
        "stage_intervals",
        ["customer_id"],
        unique=True,
        postgresql_where=sa.text("exited_at IS NULL"),
    )
    op.create_table(
        "transitions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("from_stage", sa.Text(), nullable=False),
        sa.Column("to_stage", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=True),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_transitions_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transitions")),
        sa.UniqueConstraint("customer_id", "sequence", name=op.f("uq_transitions_customer_id_sequence")),
    )
    op.create_index("ix_transitions_decided", "transitions", ["decided_at", "id"], unique=False)
    op.execute("CREATE TABLE signals_default PARTITION OF signals DEFAULT")
    op.execute(STAGE_GUARD_FUNCTION)
    op.execute(STAGE_GUARD)


def downgrade() -> None:
    op.execute("DROP TRIGGER stage_needs_transition ON customers")
    op.execute("DROP FUNCTION refuse_stage_without_transition")
    op.drop_index("ix_transitions_decided", table_name="transitions")
    op.drop_table("transitions")
    op.drop_index(
        "uq_stage_intervals_open", table_name="stage_intervals", postgresql_where=sa.text("exited_at IS NULL")
    )
    op.drop_index("ix_stage_intervals_customer", table_name="stage_intervals")
    op.drop_table("stage_intervals")
    op.drop_index("ix_signals_customer", table_name="signals")
    op.drop_table("signals")
    op.drop_index("ix_lifecycle_state_due", table_name="lifecycle_state")
    op.drop_table("lifecycle_state")
    op.drop_table("customer_totals")
    op.drop_table("customer_fact")
    op.drop_table("customer_day")
    op.drop_table("customer_accounts")
    op.drop_table("account_day")
    op.drop_table("signal_keys")
    op.drop_index(op.f("ix_parked_signals_external_id"), table_name="parked_signals")
    op.drop_table("parked_signals")
    op.drop_table("lifecycle_policies")
