"""`decide`: who moves where, and when to look again."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lifecycle.core.facts import Evaluation
from app.lifecycle.core.ledger import HORIZON, SOON, Ledger
from app.lifecycle.core.policy import parse_policy
from app.lifecycle.core.rules import Subject, decide, evaluation, holds
from tests.lifecycle.ledgers import (
    DAY,
    LAW,
    POLICIES,
    TODAY,
    ago,
    fold,
    signal_lists,
    states,
    stay,
    subjects,
)

NAMES = st.sampled_from(sorted(POLICIES))


def comparison(fact, op, value):
    return {"fact": fact, "op": op, "value": value}


def rule(name, to="decline", when=None, **fields):
    when = when or comparison("logins_30d", ">=", 1)
    return {"id": name, "from": ["growth"], "to": to, "when": when, **fields}


def policy(*rules):
    return parse_policy({"rules": list(rules)}, 1)


def truth(tree, *signals, state=None):
    return bool(holds(tree, Evaluation(Ledger([fold(signals, state)])))[0, 0])


def id_of(decision):
    return decision.rule and decision.rule.id


ACTIVE = fold([ago(5, "login")])


@pytest.mark.parametrize("op", [">=", ">", "<=", "<", "=="])
@pytest.mark.parametrize("fact", ["net_flow_90d_pct", "nps_last", "age"])
def test_a_comparison_with_a_number_that_is_not_computed_is_false(fact, op):
    assert not truth(comparison(fact, op, 0))


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (comparison("logins_30d", "==", 2), True),
        (comparison("logins_30d", ">", 2), False),
        (comparison("logins_30d", "<", 2), False),
        (comparison("logins_30d", "<=", 2), True),
        (comparison("on_hold", "==", False), True),
        (comparison("segment", "==", "mass"), True),
        (comparison("segment", "!=", "mass"), False),
        (comparison("segment", "in", ["affluent", "mass"]), True),
        (comparison("segment", "not_in", ["affluent", "mass"]), False),
        ({"all": [comparison("logins_30d", ">=", 1), comparison("trades_30d", ">=", 1)]}, False),
        ({"any": [comparison("logins_30d", ">=", 1), comparison("trades_30d", ">=", 1)]}, True),
        ({"at_least": 2, "of": [comparison("logins_30d", ">=", n) for n in (1, 2, 3)]}, True),
        ({"at_least": 3, "of": [comparison("logins_30d", ">=", n) for n in (1, 2, 3)]}, False),
    ],
)
def test_conditions_mean_what_they_say(tree, expected):
    assert truth(tree, ago(1, "login"), ago(2, "login")) == expected


def test_of_rules_that_hold_the_one_of_the_highest_priority_fires_then_the_first_of_the_document():
    more = [comparison("logins_30d", ">=", n) for n in (0, 1)]
    three = policy(
        rule("low", priority=1, when=comparison("logins_30d", "<", 5)),
        rule("first", "mature", priority=5, when={"any": more}),
        rule("second", "trial", priority=5),
    )
    [decision] = decide([Subject(ACTIVE)], three)
    assert (id_of(decision), decision.to) == ("first", "mature")
    assert decision.facts == {"logins_30d": 1.0}


def test_an_income_that_began_again_wins_a_customer_back_and_one_from_before_does_not():
    state = {"stage_before": "growth", "entered_by": "leaving"}
    paid = [ago(20, "deposit", amount="1500"), ago(50, "deposit", amount="1500"), ago(90, "kyc_passed")]
    back = POLICIES["retail_bank"].by_stage["decline"][2]
    for days, found in ((60, "won_back"), (59, None)):
        known = fold(paid, stay("decline", days, **state))
        confirmed = {back.fingerprint: known.now - 14 * DAY}
        assert id_of(decide([Subject(known, confirming=confirmed)], POLICIES["retail_bank"])[0]) == found


def test_a_rule_that_is_due_does_not_wait_for_a_higher_one_that_is_still_confirmed():
    two = policy(rule("high", priority=9, confirm_days=20), rule("low", "mature", priority=1))
    assert id_of(decide([Subject(ACTIVE)], two)[0]) == "low"


def test_a_confirm_window_begins_when_the_rule_first_holds_and_ends_to_the_second():
    slow = policy(rule("slow", confirm_days=7))
    [first] = decide([Subject(ACTIVE)], slow)
    assert first.rule is None
    due = ACTIVE.now + 7 * DAY
    assert first.look_again_at == due
    for seconds, fires in ((-1, None), (0, "slow"), (DAY, "slow")):
        later = replace(ACTIVE, today=TODAY + 7, now=due + seconds)
        [decision] = decide([Subject(later, confirming=first.confirming)], slow)
        assert id_of(decision) == fires
        assert decision.confirming == ({} if fires else first.confirming)


def test_a_confirm_window_that_is_broken_begins_anew():
    slow = policy(rule("slow", confirm_days=7))
    [first] = decide([Subject(ACTIVE)], slow)
    silent = replace(ACTIVE, today=TODAY + 40, now=ACTIVE.now + 40 * DAY)
    [broken] = decide([Subject(silent, confirming=first.confirming)], slow)
    assert (broken.rule, broken.confirming, broken.look_again_at) == (None, {}, None)


def test_a_pin_does_not_stop_the_clock_of_a_confirm_window():
    slow = policy(rule("slow", confirm_days=7))
    since = {slow.rules[0].fingerprint: ACTIVE.now - 3 * DAY}
    [bound] = decide([Subject(ACTIVE, bound=True, confirming=since)], slow)
    assert (bound.rule, bound.confirming, bound.look_again_at) == (None, since, None)


def test_nobody_goes_back_to_a_stage_they_never_had():
    back = policy(rule("back", "stage_before"))
    assert decide([Subject(ACTIVE)], back)[0].rule is None
    had = replace(ACTIVE, state=stay("growth", stage_before="trial"))
    assert decide([Subject(had)], back)[0].to == "trial"


def test_the_next_look_is_at_the_midnight_when_a_window_moves_on():
    [decision] = decide([Subject(ACTIVE, bound=True)], policy(rule("any")))
    assert decision.look_again_day == TODAY + 25  # the login of five days ago leaves the window of thirty
    [never] = decide([Subject(fold([]))], policy(rule("any")))
    assert never.look_again_day == TODAY + SOON


def test_a_rule_of_another_stage_is_no_candidate():
    assert decide([Subject(replace(ACTIVE, state=stay("mature")))], policy(rule("any")))[0].rule is None


def test_deciding_about_nobody_gives_nothing():
    assert decide([], POLICIES["wealth"]) == []


@LAW
@given(NAMES, st.lists(subjects(), min_size=1, max_size=5))
def test_a_set_is_decided_like_each_of_its_members(name, customers):
    one_by_one = [decision for customer in customers for decision in decide([customer], POLICIES[name])]
    assert decide(customers, POLICIES[name]) == one_by_one


def held_now(known, name):
    """Truth, today, of each candidate rule of a set of customers in one stage: (rules, n)."""
    facts = evaluation(POLICIES[name], Ledger(known, horizon=0))
    rules = POLICIES[name].by_stage[known[0].state.stage]
    return np.array([np.broadcast_to(holds(r.condition, facts), (len(known), 1))[:, 0] for r in rules])


@LAW
@given(NAMES, subjects())
def test_what_fires_holds_is_due_and_has_no_rival_of_higher_rank(name, subject):
    [decision] = decide([subject], POLICIES[name])
    known, rules = subject.known, POLICIES[name].by_stage[subject.known.state.stage]
    able = []
    for candidate, true in zip(rules, held_now([known], name)[:, 0], strict=True):
        since = subject.confirming.get(candidate.fingerprint, known.now)
        confirmed = candidate.confirm_days == 0 or known.now - since >= candidate.confirm_days * DAY
        fresh = subject.last_automatic_at is not None and known.now - subject.last_automatic_at < DAY
        limited = fresh and not (candidate.always or candidate.urgent)
        target = candidate.to != "stage_before" or known.state.stage_before is not None
        if true and confirmed and target and not limited and (candidate.always or not subject.bound):
            able.append(candidate)
    assert decision.rule == (able[0] if able else None)
    assert (decision.look_again_at or known.now + 1) > known.now


@LAW
@given(NAMES, subjects())
def test_the_next_look_is_never_late_and_never_in_vain(name, subject):
    known = subject.known
    [decision] = decide([subject], POLICIES[name])
    ahead = decision.look_again_day - TODAY
    assert 1 <= ahead <= SOON
    later = [replace(known, today=TODAY + d, now=known.now + d * DAY) for d in range(ahead + 1)]
    found = held_now(later, name)
    assert (found[:, :ahead] == found[:, :1]).all()
    assert ahead == SOON or (found[:, ahead] != found[:, 0]).any()


FLOWS = ("deposit", "withdrawal")


@LAW
@given(NAMES, signal_lists(), states(), st.integers(0, 200), st.integers(1, 90_000))
def test_a_market_that_halves_every_balance_moves_nobody_now_or_later(name, signals, state, fell, worth):
    quiet = [
        s
        for s in signals
        if s.kind not in ("balance", "account_closed") and (s.kind not in FLOWS or s.day < TODAY - fell)
    ]
    held = [ago(500, "balance", account="A", balance=str(worth)), ago(450, "balance", account="B", balance="60000")]
    drop = [ago(fell, "balance", account=a, balance=str(b / 2), hour=23) for a, b in (("A", worth), ("B", 60000))]
    plain, fallen = (
        {
            r.id: np.broadcast_to(holds(r.condition, facts), (1, HORIZON + 1))
            for facts in [evaluation(POLICIES[name], Ledger([fold(history, state)]))]
            for r in POLICIES[name].by_stage[state.stage]
        }
        for history in ([*quiet, *held], [*quiet, *held, *drop])
    )
    assert [r for r in plain if (fallen[r] & ~plain[r]).any()] == []
