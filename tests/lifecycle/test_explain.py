"""Why a customer is where they are, what comes next, and by how much it is missed."""

from hypothesis import given
from hypothesis import strategies as st

from app.lifecycle.explain import explain
from app.lifecycle.ledger import SOON
from app.lifecycle.rules import Subject, decide
from tests.lifecycle.ledgers import DAY, LAW, POLICIES, TODAY, ago, fold, stay, subjects
from tests.lifecycle.rule_examples import IN_TRIAL, READY, example

WEALTH = POLICIES["wealth"]


def status(subject, rule_id):
    _, _, rules = explain(subject, WEALTH)
    return next(rule for rule in rules if rule.id == rule_id)


def condition(subject, rule_id, fact):
    return next(c for c in status(subject, rule_id).conditions if c.fact == fact)


def test_a_trial_that_is_short_of_money_is_told_how_much_is_missing():
    known = fold([*READY, ago(3, "deposit", amount="780"), ago(2, "portfolio_accepted")], stay("trial", 20, **IN_TRIAL))
    found = condition(Subject(known), "converted", "funded_here")
    assert (found.actual, found.threshold, found.holds, found.distance) == (780.0, 1000, False, 220.0)
    assert found.label_en == "Paid in for this trial"
    blocked = status(Subject(known), "converted").blocked_by
    assert blocked == ("funded_here", "trades_total", "recurring_deposit", "logins_14d")


def test_a_silent_customer_is_told_when_time_alone_will_move_them():
    known = fold([ago(170, "login")])
    dormant = status(Subject(known), "dormant_growth")
    assert (dormant.to, dormant.holds, dormant.flips_day) == ("decline", False, TODAY + 10)
    found = condition(Subject(known), "dormant_growth", "days_since_activity")
    assert (found.distance, found.flips_day) == (10.0, TODAY + 10)


def test_what_is_not_computed_has_no_distance():
    found = condition(Subject(fold([], stay("trial"))), "lost_in_trial", "csat_last")
    assert (found.actual, found.holds, found.distance, found.flips_day) == (None, False, None, None)


def test_a_confirm_window_says_when_it_ends():
    known = example("wealth", "at_risk")
    rule = next(r for r in WEALTH.rules if r.id == "at_risk")
    begun = Subject(known, confirming={rule.fingerprint: known.now - 3 * DAY})
    assert status(begun, "at_risk").confirmed_at == known.now + 4 * DAY
    score, reasons, _ = explain(begun, WEALTH)
    assert (score, reasons) == (60, ("outflow_25", "fee_enquiry"))


def test_the_way_back_names_the_stage_before():
    assert status(Subject(example("wealth", "false_alarm")), "false_alarm").to == "mature"


@LAW
@given(st.sampled_from(sorted(POLICIES)), subjects())
def test_an_explanation_says_what_decide_does(name, subject):
    policy = POLICIES[name]
    [decision] = decide([subject], policy)
    score, reasons, rules = explain(subject, policy)
    assert (score, reasons) == (decision.score, decision.score_reasons)
    assert [rule.id for rule in rules] == [rule.id for rule in policy.by_stage[subject.known.state.stage]]
    by_id = {rule.id: rule for rule in rules}
    assert decision.rule is None or by_id[decision.rule.id].holds
    for rule in rules:
        assert rule.holds == (not rule.blocked_by)
        failing = {c.fact for c in rule.conditions if not c.holds}
        assert set(rule.blocked_by) <= failing
        assert not any(c.holds for c in rule.conditions if c.distance)
    flips = [rule.flips_day for rule in rules if rule.flips_day is not None]
    assert min([*flips, TODAY + SOON]) == decision.look_again_day
