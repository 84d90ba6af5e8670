"""Invariants of stored lives, checked on the rows alone: independently of the code that wrote them."""

import operator
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.lifecycle.core.conditions import leaves
from app.lifecycle.core.edges import BACK
from app.lifecycle.core.policy import Policy
from app.lifecycle.policies import policies_of
from tests.lifecycle.replaying import same

_HEADS = text("""
SELECT c.id, c.stage, c.cycle, c.merged_into, c.created_at, s.transition_sequence, s.interval_id, s.next_evaluation_at
FROM customers c JOIN lifecycle_state s ON s.customer_id = c.id ORDER BY c.id
""")
_STEPS = text("SELECT * FROM transitions ORDER BY customer_id, sequence")
_INTERVALS = text("SELECT * FROM stage_intervals ORDER BY customer_id, entered_at, exited_at NULLS LAST, id")
_PINS = text("""
SELECT customer_id, position, (data ->> 'until')::timestamptz AS until FROM lifecycle_inputs WHERE kind = 'pin'
UNION ALL SELECT customer_id, position, evaluated_at + interval '30 days' FROM transitions WHERE kind = 'manual'
ORDER BY position
""")
_HOLDS = text("""
SELECT customer_id, position, jsonb_array_length(payload -> 'holds') > 0 AS held FROM signals
WHERE type = 'profile_changed' AND source = 'stagefolio' AND payload ? 'holds' ORDER BY position
""")

Rows = Sequence[Any]


async def _by_customer(connection: AsyncConnection, query: Any) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.customer_id, []).append(row)
    return found


async def one_chain(connection: AsyncConnection) -> int:
    """Invariant 1: one open interval, each begins where the last one ends, steps are numbered without a gap.

    Returns how many steps were checked.
    """
    steps, intervals = await _by_customer(connection, _STEPS), await _by_customer(connection, _INTERVALS)
    for head in (await connection.execute(_HEADS)).all():
        own, stays = steps.get(head.id, []), intervals[head.id]
        where = f"customer {head.id}"
        same([step.sequence for step in own], list(range(1, head.transition_sequence + 1)), f"{where} sequences")
        assert [stay.id for stay in stays if stay.exited_at is None] == [head.interval_id], where
        first = own[0].from_stage if own else head.stage
        begun = [(first, head.created_at), *((step.to_stage, step.effective_at) for step in own)]
        ended = [*(step.effective_at for step in own), None]
        meant = [(*begin, end) for begin, end in zip(begun, ended, strict=True)]
        kept = [(stay.stage, stay.entered_at, stay.exited_at) for stay in stays]
        same(sorted(map(str, kept)), sorted(map(str, meant)), f"{where} intervals")
        assert (head.stage, head.cycle) == (meant[-1][0], _last(stays).cycle), where
        _in_order(own, where)
    return sum(map(len, steps.values()))


def _last(stays: Rows) -> Any:
    return next(stay for stay in stays if stay.exited_at is None)


def _in_order(steps: Rows, where: str) -> None:
    for before, after in pairwise(steps):
        assert before.to_stage == after.from_stage, where
        assert before.effective_at <= after.effective_at, where
        assert before.evaluated_at <= after.evaluated_at, where
        assert before.position < after.position, where
    assert all(step.effective_at <= step.evaluated_at for step in steps), where


async def only_edges(connection: AsyncConnection) -> set[str]:
    """Invariant 2: no step to the same stage; rules move along their edges, with facts for which they hold.

    A correction takes back the last step that stands, to where it began. Returns the kinds of steps that were seen.
    """
    policies = await policies_of(connection)
    seen = set()
    for customer_id, steps in (await _by_customer(connection, _STEPS)).items():
        standing: list[Any] = []
        for step in steps:
            where = f"customer {customer_id} step {step.sequence}"
            seen.add(step.kind)
            assert step.from_stage != step.to_stage, where
            if step.kind == "correction":
                _back(step, standing.pop(), policies, where)
                continue
            if step.kind == "automatic":
                _along_a_rule(step, standing, policies, where)
            else:
                assert (step.kind, step.rule_id) == ("manual", None), where
                assert step.reason, where
            standing.append(step)
    return seen


def _along_a_rule(step: Any, standing: Rows, policies: Mapping[int, Policy], where: str) -> None:
    rule = policies[step.policy_version].rule(step.rule_id)
    assert rule is not None, where
    assert step.from_stage in rule.sources, where
    before = standing[-1].from_stage if standing else None
    assert step.to_stage == (before if rule.to == BACK else rule.to), where
    assert set(step.facts) == {leaf["fact"] for leaf in leaves(rule.condition)}, where
    assert true(rule.condition, step.facts), f"{where}: {rule.id} does not hold for {step.facts}"


def _back(step: Any, corrected: Any, policies: Mapping[int, Policy], where: str) -> None:
    assert step.corrects_sequence == corrected.sequence, where
    assert corrected.kind == "automatic", where
    assert (step.from_stage, step.to_stage) == (corrected.to_stage, corrected.from_stage), where
    assert (step.rule_id, step.policy_version) == (None, corrected.policy_version), where
    assert step.reason in ("late_signal", "retracted_signal"), where
    rule = policies[corrected.policy_version].rule(corrected.rule_id)
    assert rule is not None, where
    assert not true(rule.condition, step.facts), f"{where}: {rule.id} still holds for {step.facts}"


def true(tree: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether a condition holds for single values; a comparison with what is not computed is false."""
    if "all" in tree:
        return all(true(part, facts) for part in tree["all"])
    if "any" in tree:
        return any(true(part, facts) for part in tree["any"])
    if "of" in tree:
        return sum(true(part, facts) for part in tree["of"]) >= tree["at_least"]
    actual = facts[tree["fact"]]
    return actual is not None and bool(_COMPARED[tree["op"]](actual, tree["value"]))


_COMPARED = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
    "in": lambda actual, wanted: actual in wanted,
    "not_in": lambda actual, wanted: actual not in wanted,
}


async def bound_stay(connection: AsyncConnection) -> int:
    """Invariant 8: under a pin or a hold only rules marked `always` act. Returns how many steps were taken under one."""
    policies = await policies_of(connection)
    pins, holds = await _by_customer(connection, _PINS), await _by_customer(connection, _HOLDS)
    found = 0
    for customer_id, steps in (await _by_customer(connection, _STEPS)).items():
        for step in steps:
            pinned = _at(pins.get(customer_id, []), step.position)
            held = _at(holds.get(customer_id, []), step.position)
            is_pinned = pinned is not None and pinned.until is not None and pinned.until > step.evaluated_at
            if step.kind == "manual" or not (is_pinned or (held is not None and held.held)):
                continue
            where = f"customer {customer_id} step {step.sequence}"
            assert step.kind == "automatic", where
            rule = policies[step.policy_version].rule(step.rule_id)
            assert rule is not None, where
            assert rule.always, f"{where}: {rule.id} acted under a pin or a hold"
            found += 1
    return found


def _at(rows: Rows, position: int) -> Any:
    """The last of what was said before a position."""
    return next((row for row in reversed(rows) if row.position < position), None)


async def not_twice_a_day(connection: AsyncConnection) -> None:
    """No flapping: of two steps by rules within a day the second is urgent or always allowed.

    A step that was taken back counts as not taken.
    """
    policies = await policies_of(connection)
    for customer_id, steps in (await _by_customer(connection, _STEPS)).items():
        taken: list[datetime] = []
        for step in steps:
            if step.kind == "correction":
                taken.pop()
            elif step.kind == "automatic":
                rule = policies[step.policy_version].rule(step.rule_id)
                assert rule is not None
                if taken and step.evaluated_at - taken[-1] < timedelta(days=1):
                    assert rule.always or rule.urgent, f"customer {customer_id} step {step.sequence}"
                taken.append(step.evaluated_at)


_PROFILES = text("""
SELECT c.id, c.kyc_status, c.contact_verified, c.segment, c.birth_on::text AS birth_on, to_jsonb(c.holds) AS holds,
       (c.suitability_until AT TIME ZONE :zone)::date::text AS suitability_until,
       (SELECT jsonb_object_agg(name, value) FROM customer_fact f WHERE f.customer_id = c.id) AS facts
FROM customers c WHERE c.merged_into IS NULL
""")
_ASSUMED = {"kyc_status": "none", "contact_verified": False, "holds": [], "birth_on": None, "suitability_until": None}


async def profiles_follow(connection: AsyncConnection, zone: str) -> None:
    """Principle 6: what rules read of a profile is what the profile says."""
    for row in (await connection.execute(_PROFILES, {"zone": zone})).mappings():
        for name, assumed in _ASSUMED.items():
            known = (row["facts"] or {}).get(name, assumed)
            assert row[name] == known, f"customer {row['id']}: {name} is {row[name]}, and known as {known}"
