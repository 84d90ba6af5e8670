"""The invariants of the lifecycle, by number, on a population of random lives in PostgreSQL."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.customers.service import lock
from app.lifecycle.core.rules import decide
from app.lifecycle.core.standing import local_day, midnight, subject_of
from app.lifecycle.loading import load
from app.lifecycle.policies import policies_of
from app.lifecycle.service import catch_up
from app.lifecycle.sweeps import claim_due
from tests.lifecycle import laws
from tests.lifecycle.population import MICROSECOND
from tests.lifecycle.replaying import agree


async def test_the_population_has_everything_that_the_invariants_are_about(lived, played):
    """Else they would hold for want of anything that could break them."""
    async with lived.read() as connection:
        kinds = Counter((await connection.execute(text("SELECT kind FROM transitions"))).scalars())
        rules = set((await connection.execute(text("SELECT rule_id FROM transitions"))).scalars())
        versions = (await connection.execute(text("SELECT DISTINCT policy_version FROM lifecycle_state"))).all()
        types = set((await connection.execute(text("SELECT type FROM signals"))).scalars())
        merges = (await connection.execute(text("SELECT undone_at IS NULL FROM customer_merges"))).scalars().all()
        inputs = Counter((await connection.execute(text("SELECT kind FROM lifecycle_inputs"))).scalars())
    assert kinds["automatic"] >= 80
    assert min(kinds["manual"], kinds["correction"]) >= 4
    assert {"leaving", "at_risk", "false_alarm", "retrial"} <= rules
    assert len(rules) >= 12
    assert len(types) >= 28
    assert len(versions) >= 3
    assert set(merges) == {True, False}
    assert min(inputs["pin"], inputs["policy"]) >= 3
    assert inputs["moment"]
    assert set(played.statuses) == {"accepted", "duplicate", "rejected"}


async def test_invariant_1_one_open_interval_contiguous_stays_and_steps_numbered_without_a_gap(lived):
    async with lived.read() as connection:
        assert await laws.one_chain(connection) >= 80


SECOND = "INSERT INTO stage_intervals SELECT gen_random_uuid(), id, 'trial', 1, now() FROM customers LIMIT 1"


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE customers SET stage = CASE stage WHEN 'trial' THEN 'growth' ELSE 'trial' END", "by a transition only"),
        (SECOND, "uq_stage_intervals_open"),
        ("UPDATE stage_intervals SET exited_at = NULL", "uq_stage_intervals_open"),
        ("UPDATE transitions SET sequence = 1", "uq_transitions_customer_id_sequence"),
    ],
)
async def test_invariant_1_is_guarded_by_the_database(lived, statement, refusal):
    with pytest.raises(Exception, match=refusal):
        async with lived.transaction() as session:
            await session.execute(text(statement))


async def test_invariant_2_rules_move_along_their_edges_only_and_corrections_go_back(lived):
    async with lived.read() as connection:
        assert await laws.only_edges(connection) == {"automatic", "manual", "correction"}
        await laws.not_twice_a_day(connection)


async def test_what_rules_read_of_a_profile_is_what_it_says(lived, played):
    async with lived.read() as connection:
        await laws.profiles_follow(connection, played.zone.key)


async def test_invariant_6_a_replay_of_what_was_received_is_what_was_lived(lived, played):
    courses = await agree(lived, played.zone, played.now, played.ids)
    assert len(courses) == 36


async def test_invariant_6_holds_for_each_customer_alone(lived, played):
    for customer_id in played.ids:
        await agree(lived, played.zone, played.now, [customer_id])


async def test_invariant_6_holds_long_before_a_late_sweep_and_after_it(clone, played):
    database, _ = await clone()
    late = played.now + timedelta(days=150)
    await agree(database, played.zone, late, played.ids)
    async with database.transaction() as session:
        await catch_up(session, await lock(session, played.ids), late, played.zone)
    await agree(database, played.zone, late, played.ids)


async def test_a_sweep_claims_those_whose_time_has_come_and_nobody_else(lived, played):
    alive = "SELECT customer_id, next_evaluation_at FROM lifecycle_state WHERE next_evaluation_at IS NOT NULL"
    async with lived.transaction() as session:
        due = {row.customer_id: row.next_evaluation_at for row in await session.execute(text(alive))}
        moments = sorted(due.values())
        for now in (moments[0] - MICROSECOND, moments[0], moments[len(moments) // 2], moments[-1]):
            claimed = await claim_due(session, now, 1000)
            assert set(claimed) == {customer_id for customer_id, at in due.items() if at <= now}


async def test_invariant_8_under_a_pin_or_a_hold_only_rules_marked_always_act(lived):
    async with lived.read() as connection:
        assert await laws.bound_stay(connection) >= 3


async def test_no_rule_fires_between_two_evaluations_though_they_be_months_apart(lived, played):
    """`next_evaluation_at` is never late: at every midnight before it, the decision is the one that was stored."""
    async with lived.read() as connection:
        loaded = await load(connection, played.ids, played.now, played.zone)
        policies = await policies_of(connection)
    checked = 0
    for one in loaded:
        due = one.row.next_evaluation_at
        if due is None or due <= played.now:
            continue
        moments = [played.now + (due - played.now) * share for share in (0.1, 0.5, 0.999)]
        first, last = local_day(played.now, played.zone), local_day(due, played.zone)
        moments += [m for m in (midnight(d, played.zone) for d in range(first + 1, last + 1)) if m < due]
        subjects = [_at(one, moment, played.zone) for moment in moments]
        for decision in decide(subjects, policies[one.standing.policy_version]):
            assert decision.rule is None, one.row.id
            assert dict(decision.confirming) == dict(one.standing.confirming), one.row.id
            assert decision.closed == (one.row.relationship == "closed"), one.row.id
        checked += len(moments)
    assert checked > 500


def _at(one, moment, zone):
    """A customer as known now, judged at a later moment."""
    known = replace(one.subject.known, today=local_day(moment, zone), now=moment.timestamp())
    return subject_of(one.standing, known, moment, zone)
