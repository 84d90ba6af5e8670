"""Everything that the lifecycle stores about customers, to compare databases that should hold the same."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.db import Database
from tests.lifecycle.replaying import same

# Names that a database gives by itself differ; so do the moments at which something was worked on, and not judged.
_FACTS = {
    "customer_day": "SELECT * FROM customer_day",
    "customer_totals": "SELECT * FROM customer_totals",
    "customer_accounts": "SELECT * FROM customer_accounts",
    "account_day": "SELECT * FROM account_day",
    "customer_fact": "SELECT customer_id, name, value, day, occurred_at, source,"
    " CASE source WHEN 'stagefolio' THEN '' ELSE source_event_id END AS event FROM customer_fact",
}
_LIVES = {
    "customers": "SELECT id AS customer_id, stage, stage_entered_at, cycle, kyc_status, suitability_until, relationship,"
    " holds, pin, merged_into, version FROM customers",
    "lifecycle_state": "SELECT customer_id, transition_sequence, changed_at, policy_version, stage_before, entered_by,"
    " last_trial_ended_at, last_automatic_at, entry, recent, confirming, attrition_score, score_reasons, evaluated_at,"
    " next_evaluation_at, former ->> 'rule_id' AS former FROM lifecycle_state",
    "transitions": "SELECT customer_id, sequence, from_stage, to_stage, kind, rule_id, policy_version, reason, actor,"
    " facts, effective_at, evaluated_at, corrects_sequence FROM transitions",
    "stage_intervals": "SELECT customer_id, stage, cycle, entered_at, exited_at FROM stage_intervals",
    "signals": "SELECT customer_id, source, CASE source WHEN 'stagefolio' THEN '' ELSE source_event_id END AS event, type,"
    " occurred_at, payload::text AS payload, retracted_at IS NULL AS counts FROM signals",
    "actions": "SELECT customer_id, stage, key, occurrence, due_at, status FROM actions",
    "events": "SELECT customer_id, sequence, type FROM events",
}


async def facts(db: Database, ids: Sequence[UUID] | None = None) -> dict[str, list[str]]:
    """The tables that facts are computed from, as sorted lines; of some customers or of all."""
    return await _read(db, _FACTS, ids)


async def everything(db: Database, ids: Sequence[UUID] | None = None) -> dict[str, list[str]]:
    """The same, with where customers stand, their history, and what was planned and told because of it."""
    return await _read(db, _FACTS | _LIVES, ids)


async def _read(db: Database, queries: dict[str, str], ids: Sequence[UUID] | None) -> dict[str, list[str]]:
    found = {}
    async with db.read() as connection:
        for name, query in queries.items():
            where = f"SELECT * FROM ({query}) AS q WHERE CAST(:all AS boolean) OR customer_id = ANY(:ids)"
            rows = await connection.execute(text(where), {"ids": list(ids or ()), "all": ids is None})
            found[name] = sorted(str(dict(row)) for row in rows.mappings())
    return found


def equal(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> None:
    """Check that two databases hold the same; a failure names the table, and shows the first row that only one has."""
    assert set(one) == set(other)
    for name, rows in one.items():
        same(sorted(set(rows) - set(other[name]))[:1], sorted(set(other[name]) - set(rows))[:1], f"{name}, only in one")
        same(rows, other[name], name)
