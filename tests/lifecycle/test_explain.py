"""Why a customer is where they are, what comes next, and by how much it is missed."""

from dataclasses import replace
from itertools import combinations
from math import inf

from hypothesis import assume, given
from hypothesis import strategies as st

from app.lifecycle.core.ledger import PAST, SOON
from app.lifecycle.core.rules import DAY, Subject, decide
from app.lifecycle.explaining.explain import explain
from app.lifecycle.explaining.foresight import foresee
from app.lifecycle.explaining.obstacles import Obstacle, grounds, missing, node_holds, passes, structure
from tests.lifecycle.ledgers import LAW, MIDNIGHT, POLICIES, TODAY, ago, fold, stay, subjects
from tests.lifecycle.rule_examples import IN_TRIAL, READY, example

WEALTH = POLICIES["wealth"]
AHEAD = 200


def status(subject, rule_id):
    return next(found for found in explain(subject, WEALTH).rules if found.rule.id == rule_id)


def condition(subject, rule_id, fact):
    return next(c for c in status(subject, rule_id).conditions if c.fact == fact)


def test_a_trial_that_is_short_of_money_is_told_how_much_is_missing():
    known = fold([*READY, ago(3, "deposit", amount="780"), ago(2, "portfolio_accepted")], stay("trial", 20, **IN_TRIAL))
    found = condition(Subject(known), "converted", "funded_here")
    assert (found.actual, found.leaf["value"], found.holds, found.distance) == (780.0, 1000, False, 220.0)
    converted = status(Subject(known), "converted")
    assert converted.blocked_by == ("funded_here", "trades_total", "recurring_deposit", "logins_14d")
    nearest = [converted.conditions[place].fact for place in converted.missing.nearest]
    assert nearest == ["funded_here", "trades_total", "recurring_deposit"], "two of three are enough"
    [choice] = [part for part in converted.tree["all"] if isinstance(part, dict)]
    assert (choice["at_least"], choice["met"], len(choice["of"]), choice["holds"]) == (2, 0, 3, False)


def test_what_cannot_come_to_hold_any_more_is_no_help_where_there_is_a_choice():
    again = stay("prospect", 30, stage_before="decline", last_trial_ended_day=TODAY - 60)
    found = status(Subject(fold([*READY, ago(1, "trial_started")], again)), "trial_started")
    assert found.blocked_by == ("days_since_trial",), "that there was a trial before will not change"
    assert found.missing.possible


def test_a_false_alarm_is_impossible_for_somebody_who_asked_to_leave():
    left = stay("decline", 20, stage_before="mature", entered_by="leaving")
    found = status(Subject(fold([ago(1, "login")], left)), "false_alarm")
    assert "entered_by" in found.blocked_by
    assert not found.missing.possible


def test_a_silent_customer_is_told_when_time_alone_will_move_them():
    known = fold([ago(170, "login")])
    dormant = status(Subject(known), "dormant_growth")
    assert (dormant.to, dormant.holds, dormant.flips_day) == ("decline", False, TODAY + 10)
    found = condition(Subject(known), "dormant_growth", "days_since_activity")
    assert (found.distance, found.flips_day) == (10.0, TODAY + 10)
    [coming] = foresee(explain(Subject(known), WEALTH).rules, Subject(known), 0.0, midnight)
    assert (coming.at, coming.kind, coming.status.rule.id) == (midnight(TODAY + 10), "moves", "dormant_growth")


def test_what_is_not_computed_has_no_distance():
    found = condition(Subject(fold([], stay("trial"))), "lost_in_trial", "csat_last")
    assert (found.actual, found.holds, found.distance, found.flips_day) == (None, False, None, None)


def test_a_confirm_window_says_when_it_ends():
    known = example("wealth", "at_risk")
    begun = Subject(known, confirming={WEALTH.rule("at_risk").fingerprint: known.now - 3 * DAY})
    found = status(begun, "at_risk")
    assert (found.since, found.confirmed_at) == (known.now - 3 * DAY, known.now + 4 * DAY)
    explanation = explain(begun, WEALTH)
    assert (explanation.score, explanation.score_reasons) == (60, ("outflow_25", "fee_enquiry"))
    counted = {part.id: [c.fact for c in part.named] for part in explanation.parts if part.counts}
    assert counted == {"outflow_25": ["net_flow_90d_pct"], "fee_enquiry": ["fee_enquiry_30d"]}
    last = foresee(explanation.rules, begun, 0.0, midnight)[-1]
    assert (last.at, last.kind, last.status.rule.id) == (known.now + 4 * DAY, "moves", "at_risk")


def test_while_a_hold_lasts_time_alone_moves_nobody():
    known = fold([ago(170, "login")])
    rules = explain(Subject(known, bound=True), WEALTH).rules
    assert [coming.kind for coming in foresee(rules, Subject(known, bound=True), inf, midnight)] == ["holds"]


def test_the_way_back_names_the_stage_before():
    assert status(Subject(example("wealth", "false_alarm")), "false_alarm").to == "mature"


@LAW
@given(st.sampled_from(sorted(POLICIES)), subjects())
def test_an_explanation_says_what_decide_does(name, subject):
    policy = POLICIES[name]
    [decision] = decide([subject], policy)
    explanation = explain(subject, policy)
    rules = explanation.rules
    assert (explanation.score, explanation.score_reasons) == (decision.score, decision.score_reasons)
    assert [found.rule for found in rules] == list(policy.by_stage[subject.known.state.stage])
    by_id = {found.rule.id: found for found in rules}
    assert decision.rule is None or by_id[decision.rule.id].holds
    for found in rules:
        assert found.holds == (not found.blocked_by)
        assert found.holds == node_holds(found.tree, [c.holds for c in found.conditions])
        assert set(found.missing.nearest) <= set(found.missing.helping)
        assert set(found.missing.helping) <= {i for i, c in enumerate(found.conditions) if not c.holds}
        assert not any(c.holds for c in found.conditions if c.distance)
        assert found.missing.possible or found.flips_day is None, "time alone does what was said to be impossible"
        assert [c.holds for c in found.conditions] == [passes(c.leaf, c.actual) for c in found.conditions]
    flips = [found.flips_day for found in rules if found.flips_day is not None]
    assert min([*flips, TODAY + SOON]) == decision.look_again_day


def midnight(day):
    return (day - TODAY) * DAY + MIDNIGHT.timestamp()


def first_step(subject, policy, free_at, days):
    """(moment, rule) of the first step of `decide`, asked at every moment at which it wants to be asked again."""
    moment, end = subject.known.now, subject.known.now + days * DAY
    while moment < end:
        today = int((moment - MIDNIGHT.timestamp()) // DAY) + TODAY
        subject = replace(
            subject, known=replace(subject.known, now=moment, today=today), bound=subject.bound and moment < free_at
        )
        [decision] = decide([subject], policy)
        if decision.rule is not None:
            return moment, decision.rule.id
        subject = replace(subject, confirming=decision.confirming)
        again = [midnight(decision.look_again_day), decision.look_again_at, free_at]
        moment = min(at for at in again if at is not None and at > moment)
    return None


@LAW
@given(st.sampled_from(sorted(POLICIES)), subjects(), st.sampled_from([0.3, 5.7, 40.0, inf]))
def test_what_is_foreseen_is_what_happens_if_nothing_happens(name, subject, bound_days):
    policy, state = POLICIES[name], subject.known.state
    # What was paid in for this trial is known for a year back: in a longer one it is forgotten.
    assume(state.stage not in ("prospect", "trial") or TODAY - state.entered_day + AHEAD < PAST)
    free_at = subject.known.now + bound_days * DAY if subject.bound else 0.0
    coming = foresee(explain(subject, policy).rules, subject, free_at, midnight)
    assert [c.at for c in coming] == sorted(c.at for c in coming)
    moves = [(c.at, c.status.rule.id) for c in coming if c.kind == "moves"]
    within = [move for move in moves if move[0] < subject.known.now + AHEAD * DAY]
    assert within == [step for step in [first_step(subject, policy, free_at, AHEAD)] if step is not None]


@st.composite
def trees(draw, depth=3):
    """A condition over facts that are all different, and for each whether it holds and whether it can."""
    names = (f"f{i}" for i in range(1000))

    def tree(depth):
        kind = draw(st.sampled_from(["leaf", "all", "any", "of"] if depth else ["leaf"]))
        if kind == "leaf":
            return {"fact": next(names), "op": "==", "value": True}
        parts = [tree(depth - 1) for _ in range(draw(st.integers(1, 3)))]
        head = {"at_least": draw(st.integers(1, len(parts)))} if kind == "of" else {}
        return {**head, kind: parts}

    return tree(depth)


def leaves_of(tree):
    return [leaf for key in ("all", "any", "of") for part in tree.get(key, ()) for leaf in leaves_of(part)] or [tree]


def truth(tree, true):
    if "fact" in tree:
        return tree["fact"] in true
    parts = [truth(part, true) for key in ("all", "any", "of") for part in tree.get(key, ())]
    return sum(parts) >= tree.get("at_least", 1 if "any" in tree else len(parts))


def smallest_helps(tree, leaves, true, free):
    """Every set of comparisons that is enough, of which none can be left out."""
    found = []
    for size in range(len(free) + 1):
        for chosen in combinations(free, size):
            enough = truth(tree, true | {leaves[i]["fact"] for i in chosen})
            if enough and not any(set(other) <= set(chosen) for other in found):
                found.append(chosen)
    return found


@LAW
@given(trees(depth=2), st.data())
def test_exactly_what_would_help_is_blocking(tree, data):
    leaves = leaves_of(tree)
    states = [data.draw(st.sampled_from(["holds", "possible", "never"])) for _ in leaves]
    true = {leaf["fact"] for leaf, state in zip(leaves, states, strict=True) if state == "holds"}
    node = structure(tree, leaves, [state == "holds" for state in states])
    assert node_holds(node, [state == "holds" for state in states]) == truth(tree, true)
    found = missing(node, [Obstacle(s == "holds", s != "never", 0.5) for s in states])
    helps = smallest_helps(tree, leaves, true, [i for i, s in enumerate(states) if s == "possible"])
    assert found.possible == bool(helps)
    if found.possible:
        assert set(found.helping) == {place for chosen in helps for place in chosen}
        assert found.nearest in helps
        assert len(found.nearest) == min(len(chosen) for chosen in helps)
    holding = grounds(node, [state == "holds" for state in states])
    assert not truth(tree, true) or truth(tree, {leaves[i]["fact"] for i in holding}), "the grounds are enough"
