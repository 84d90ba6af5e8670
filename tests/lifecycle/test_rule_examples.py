"""Every rule of the shipped policies moves somebody, at its time, and is kept from it by its guards."""

from dataclasses import replace

import pytest

from app.lifecycle.core.edges import BACK
from app.lifecycle.core.rules import Subject, decide
from tests.lifecycle.ledgers import DAY, POLICIES, TODAY
from tests.lifecycle.rule_examples import BLOCKERS, EXAMPLES, example

RULES = [pytest.param(name, rule, id=f"{name}-{rule.id}") for name in POLICIES for rule in POLICIES[name].rules]


def decided(policy, known, rule, **fields):
    """The decision when the rule's confirm window, if it has one, has just ended."""
    begun = {rule.fingerprint: known.now - rule.confirm_days * DAY}
    [decision] = decide([Subject(known, confirming=begun, **fields)], POLICIES[policy])
    return decision


def fired(decision):
    return decision.rule and decision.rule.id


def test_there_is_an_example_for_every_rule_and_for_every_guard():
    assert {name: set(rules) for name, rules in EXAMPLES.items()} == {
        name: {rule.id for rule in policy.rules} for name, policy in POLICIES.items()
    }
    assert {r.id for policy in POLICIES.values() for r in policy.rules if r.guards} == set(BLOCKERS)


@pytest.mark.parametrize(("policy", "rule"), RULES)
def test_the_rule_moves_its_example(policy, rule):
    known = example(policy, rule.id)
    decision = decided(policy, known, rule)
    assert fired(decision) == rule.id
    assert decision.to == (known.state.stage_before if rule.to == BACK else rule.to)
    assert decision.facts
    assert set(decision.entry) == {"net_total", "outflow_total", "outflow", "aum_before"}


@pytest.mark.parametrize(("policy", "rule"), RULES)
def test_the_rule_waits_for_its_confirm_window(policy, rule):
    known = example(policy, rule.id)
    [decision] = decide([Subject(known)], POLICIES[policy])
    if rule.confirm_days == 0:
        assert fired(decision) == rule.id
        return
    assert fired(decision) != rule.id
    assert decision.confirming[rule.fingerprint] == known.now
    assert decision.look_again_at == known.now + rule.confirm_days * DAY


@pytest.mark.parametrize(("policy", "rule"), RULES)
def test_the_rule_waits_for_the_least_stay(policy, rule):
    known = example(policy, rule.id)
    if rule.min_dwell_days:
        early = replace(known, state=replace(known.state, entered_day=TODAY - rule.min_dwell_days + 1))
        decision = decided(policy, early, rule)
        assert fired(decision) != rule.id
        assert decision.look_again_day == TODAY + 1


@pytest.mark.parametrize(("policy", "rule"), RULES)
def test_its_guard_keeps_the_customer_where_they_are(policy, rule):
    if rule.guards:
        assert fired(decided(policy, example(policy, rule.id, BLOCKERS[rule.id]), rule)) is None


@pytest.mark.parametrize(("policy", "rule"), RULES)
def test_a_held_or_pinned_customer_is_moved_by_leaving_alone(policy, rule):
    decision = decided(policy, example(policy, rule.id), rule, bound=True)
    assert fired(decision) == ("leaving" if rule.id == "leaving" else None)


@pytest.mark.parametrize(("policy", "rule"), RULES)
def test_a_second_step_within_a_day_is_for_leavers_and_lost_trials(policy, rule):
    known = example(policy, rule.id)
    decision = decided(policy, known, rule, last_automatic_at=known.now - DAY + 1)
    if rule.id in ("leaving", "lost_in_trial"):
        assert fired(decision) == rule.id
    else:
        assert fired(decision) is None
        assert decision.look_again_at == known.now + 1
    assert fired(decided(policy, known, rule, last_automatic_at=known.now - DAY)) == rule.id
