"""Policies: the shipped ones say what the design says, and what cannot work is refused by the place it stands at."""

from copy import deepcopy

import pytest

from app.lifecycle.core.policy import BACK, InvalidPolicy, parse_policy
from app.lifecycle.core.stages import STAGES
from app.lifecycle.policies import shipped_document
from tests.lifecycle.ledgers import POLICIES

EDGES = {
    "trial_started": ({"prospect"}, "trial"),
    "fast_track": ({"prospect"}, "growth"),
    "converted": ({"trial"}, "growth"),
    "recycled": ({"trial"}, "prospect"),
    "lost_in_trial": ({"trial"}, "decline"),
    "matured": ({"growth"}, "mature"),
    "reaccelerated": ({"mature"}, "growth"),
    "at_risk": ({"growth", "mature"}, "decline"),
    "leaving": ({"trial", "growth", "mature"}, "decline"),
    "false_alarm": ({"decline"}, BACK),
    "dormant": ({"growth", "mature"}, "decline"),
    "won_back": ({"decline"}, "growth"),
    "retrial": ({"decline"}, "trial"),
    "reentered": ({"decline"}, "prospect"),
}
# id: confirm window, least stay, priority
TIMES = {
    "trial_started": (0, 0, 60), "fast_track": (0, 0, 70), "converted": (0, 0, 60), "recycled": (0, 45, 20),
    "lost_in_trial": (0, 0, 90), "matured": (14, 180, 40), "reaccelerated": (7, 60, 40), "at_risk": (7, 30, 80),
    "leaving": (0, 0, 100), "false_alarm": (14, 0, 50), "dormant": (0, 30, 70), "won_back": (14, 14, 50),
    "retrial": (0, 30, 60), "reentered": (0, 30, 30),
}  # fmt: skip


def kind(rule):
    return "dormant" if rule.id.startswith("dormant") else rule.id


@pytest.mark.parametrize("name", POLICIES)
def test_every_edge_of_the_design_is_in_the_policy_and_no_other(name):
    found = {}
    for rule in POLICIES[name].rules:
        sources, to = found.setdefault(kind(rule), (set(), rule.to))
        assert to == rule.to
        sources.update(rule.sources)
    assert found == EDGES


def test_the_times_and_priorities_of_wealth_are_those_of_the_design():
    found = {kind(r): (r.confirm_days, r.min_dwell_days, r.priority) for r in POLICIES["wealth"].rules}
    assert found == TIMES


@pytest.mark.parametrize("name", POLICIES)
def test_only_leaving_ignores_pins_and_holds_and_only_a_lost_trial_is_urgent_beside_it(name):
    rules = POLICIES[name].rules
    assert [r.id for r in rules if r.always] == ["leaving"]
    assert [r.id for r in rules if r.urgent] == ["lost_in_trial"]
    assert {r.id for r in rules if r.new_cycle} == {"retrial", "reentered"}


@pytest.mark.parametrize("name", POLICIES)
def test_every_stage_has_a_target_and_every_rule_gives_a_reason(name):
    assert set(POLICIES[name].target_days) == set(STAGES)
    assert all(len(rule.why) > 60 for rule in POLICIES[name].rules)
    assert set(shipped_document(name)["description"]) == {"en", "zh"}


def test_the_points_of_wealth_are_those_of_the_design():
    assert {part.id: part.points for part in POLICIES["wealth"].score} == {
        "outflow_25": 40, "outflow_10": 20, "recurring_cancelled": 15, "login_drop": 15, "silent": 20,
        "product_dropped": 15, "fee_enquiry": 20, "complaint_open": 20, "detractor": 10, "reviews_missed": 10,
    }  # fmt: skip


def test_candidates_come_in_order_of_priority_and_then_of_the_document():
    assert [r.id for r in POLICIES["wealth"].by_stage["decline"]] == [
        "retrial", "false_alarm", "won_back", "reentered",
    ]  # fmt: skip


def test_the_edges_of_decline_lead_back_to_the_stage_before():
    policy = POLICIES["wealth"]
    assert policy.edges("decline", "mature") == {"mature", "growth", "trial", "prospect"}
    assert policy.edges("decline", None) == {"growth", "trial", "prospect"}
    assert policy.edges("growth", "trial") == {"mature", "decline"}


def test_a_rule_keeps_its_fingerprint_while_its_condition_stays():
    document = shipped_document("wealth")
    document["rules"][8]["why"] = "Another reason."
    document["rules"][8]["priority"] = 99
    document["rules"][7]["when"]["value"] = 65
    before, after = POLICIES["wealth"], parse_policy(document, 2)
    assert {r.id for r in before.rules} - {
        r.id for r in after.rules if r.fingerprint in {x.fingerprint for x in before.rules}
    } == {"at_risk"}
    assert len({r.fingerprint for r in before.rules}) == len(before.rules)


def changed(path, value):
    """The shipped policy with one place changed; None takes it away."""
    document = deepcopy(shipped_document("wealth"))
    *above, last = path
    place = document
    for step in above:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


AUM = {"fact": "aum", "op": ">=", "value": 1}
DEEP = AUM
for _ in range(12):
    DEEP = {"all": [DEEP]}
R = "rules"
MISTAKES = [
    ((R,), None, "/rules", "not_a_list"),
    ((R,), ["x"], "/rules", "not_a_list"),
    (("score",), {}, "/score", "not_a_list"),
    (("target_days",), [], "/target_days", "not_an_object"),
    (("target_days", "retired"), 5, "/target_days/retired", "unknown_stage"),
    (("target_days", "growth"), "long", "/target_days/growth", "not_a_number"),
    ((R, 0, "id"), None, "/rules/0/id", "not_an_id"),
    ((R, 0, "id"), ["x"], "/rules/0/id", "not_an_id"),
    ((R, 1, "id"), "trial_started", "/rules/1/id", "twice"),
    (("score", 1, "id"), "outflow_25", "/score/1/id", "twice"),
    ((R, 0, "from"), [], "/rules/0/from", "missing"),
    ((R, 0, "from"), "prospect", "/rules/0/from", "missing"),
    ((R, 0, "from"), ["prospect", "retired"], "/rules/0/from/1", "unknown_stage"),
    ((R, 0, "from"), [{}], "/rules/0/from/0", "unknown_stage"),
    ((R, 0, "to"), "retired", "/rules/0/to", "unknown_stage"),
    ((R, 0, "to"), None, "/rules/0/to", "unknown_stage"),
    ((R, 0, "to"), "prospect", "/rules/0/to", "self"),
    ((R, 0, "priority"), -1, "/rules/0/priority", "not_a_number"),
    ((R, 0, "confirm_days"), True, "/rules/0/confirm_days", "not_a_number"),
    ((R, 0, "min_dwell_days"), 367, "/rules/0/min_dwell_days", "not_a_number"),
    ((R, 0, "always"), "yes", "/rules/0/always", "not_a_bool"),
    ((R, 0, "confirm_for"), 3, "/rules/0/confirm_for", "unknown_field"),
    ((R, 0, "when"), None, "/rules/0/when", "missing"),
    ((R, 0, "guards"), [], "/rules/0/guards", "missing"),
    ((R, 0, "when"), {"all": []}, "/rules/0/when/all", "not_a_list"),
    ((R, 0, "when"), {"any": 5}, "/rules/0/when/any", "not_a_list"),
    ((R, 0, "when"), {"all": [AUM], "any": [AUM]}, "/rules/0/when", "wrong_shape"),
    ((R, 0, "when"), {"of": [AUM]}, "/rules/0/when", "wrong_shape"),
    ((R, 0, "when"), {"at_least": 2, "of": [AUM]}, "/rules/0/when/at_least", "wrong_number"),
    ((R, 0, "when"), {**AUM, "not": True}, "/rules/0/when", "wrong_shape"),
    ((R, 0, "when"), DEEP, "/rules/0/when" + "/all/0" * 9, "too_deep"),
    ((R, 0, "when", "fact"), "trial_startd", "/rules/0/when/fact", "unknown_fact"),
    ((R, 0, "when", "fact"), [], "/rules/0/when/fact", "unknown_fact"),
    ((R, 0, "when", "op"), "=", "/rules/0/when/op", "wrong_op"),
    ((R, 0, "when", "op"), ">=", "/rules/0/when/op", "wrong_op"),
    ((R, 0, "when", "value"), 1, "/rules/0/when/value", "wrong_value"),
    ((R, 0, "guards", "all", 1, "op"), ">=", "/rules/0/guards/all/1/op", "wrong_op"),
    ((R, 0, "guards", "all", 1), {"fact": "kyc_status", "op": "in", "value": "passed"}, "/rules/0/guards/all/1/value", "wrong_value"),
    ((R, 0, "guards", "all", 1, "value"), "pased", "/rules/0/guards/all/1/value", "unknown_value"),
    ((R, 0, "guards", "all", 1), {"fact": "segment", "op": "in", "value": ["mass", "rich"]}, "/rules/0/guards/all/1/value/1", "unknown_value"),
    ((R, 1, "when", "value"), "10000", "/rules/1/when/value", "wrong_value"),
    ((R, 1, "when", "value"), True, "/rules/1/when/value", "wrong_value"),
    ((R, 1, "when", "value"), 10**400, "/rules/1/when/value", "wrong_value"),
    (("score", 0, "points"), "forty", "/score/0/points", "not_a_number"),
    (("score", 0, "points"), 101, "/score/0/points", "not_a_number"),
    (("score", 0, "point"), 4, "/score/0/point", "unknown_field"),
    (("score", 0, "when", "fact"), "attrition_score", "/score/0/when/fact", "circular"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "pointer", "code"), MISTAKES)
def test_a_mistake_is_refused_at_the_place_where_it_stands(path, value, pointer, code):
    with pytest.raises(InvalidPolicy) as refused:
        parse_policy(changed(path, value), 2)
    assert [(p, c) for p, c, _ in refused.value.problems] == [(pointer, code)]


def test_a_slip_of_the_pen_is_answered_with_the_nearest_name():
    with pytest.raises(InvalidPolicy, match="did you mean net_flow_90d_pct"):
        parse_policy(changed((R, 6, "when", "any", 0, "fact"), "netflow_90d_pct"), 2)
    with pytest.raises(InvalidPolicy, match="did you mean confirm_days"):
        parse_policy(changed((R, 6, "confirm_day"), 3), 2)


def test_every_problem_is_told_at_once():
    document = changed((R, 0, "to"), "retired")
    document["rules"][1]["when"]["fact"] = "money"
    with pytest.raises(InvalidPolicy) as refused:
        parse_policy(document, 2)
    assert [p for p, _, _ in refused.value.problems] == ["/rules/0/to", "/rules/1/when/fact"]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ((R, 7, "min_dwell_days"), 0, None),  # a week of confirmation for at_risk, but two for the way back
        ((R, 9, "confirm_days"), 13, "false_alarm"),
        ((R, 6, "min_dwell_days"), 0, None),  # matured holds everybody for 180 days
        ((R, 13, "min_dwell_days"), 13, "retrial"),
    ],
)
def test_a_circle_without_two_weeks_of_rest_is_refused_by_the_name_of_a_rule_on_it(path, value, named):
    document = changed(path, value)
    if named is None:
        assert parse_policy(document, 2)
        return
    with pytest.raises(InvalidPolicy, match=named) as refused:
        parse_policy(document, 2)
    assert {code for _, code, _ in refused.value.problems} == {"circle"}


NEVER = [
    {"fact": "attrition_score", "op": ">", "value": 100},
    {"all": [{"fact": "aum", "op": ">=", "value": 10}, {"all": [{"fact": "aum", "op": "<", "value": 10}]}]},
    {"all": [{"fact": "aum", "op": "==", "value": 5}, {"fact": "aum", "op": ">", "value": 5}]},
    {"all": [{"fact": "kyc_status", "op": "==", "value": "none"}, {"fact": "kyc_status", "op": "!=", "value": "none"}]},
    {"all": [{"fact": "on_hold", "op": "==", "value": True}, {"fact": "on_hold", "op": "==", "value": False}]},
    {"all": [{"fact": "segment", "op": "in", "value": ["mass", "affluent"]}, {"fact": "segment", "op": "not_in", "value": ["affluent", "mass"]}]},
]  # fmt: skip
POSSIBLE = [
    {"fact": "attrition_score", "op": ">=", "value": 100},
    {"all": [{"fact": "aum", "op": ">=", "value": 10}, {"fact": "aum", "op": "<=", "value": 10}]},
    {"any": [{"fact": "aum", "op": ">=", "value": 10}, {"fact": "aum", "op": "<", "value": 10}]},
    {
        "all": [
            {"fact": "segment", "op": "in", "value": ["mass", "affluent"]},
            {"fact": "segment", "op": "!=", "value": "mass"},
        ]
    },
]


@pytest.mark.parametrize("tree", NEVER)
def test_a_rule_that_no_customer_can_ever_meet_is_refused_by_its_name(tree):
    with pytest.raises(InvalidPolicy, match=r"at_risk: no value of \w+ is enough"):
        parse_policy(changed((R, 7, "when"), tree), 2)


@pytest.mark.parametrize("tree", POSSIBLE)
def test_a_rule_that_some_customer_can_meet_is_taken(tree):
    assert parse_policy(changed((R, 7, "when"), tree), 2)


def test_a_rule_behind_one_that_always_fires_first_is_refused_by_its_name():
    document = shipped_document("wealth")
    late = {**document["rules"][1], "id": "too_late", "priority": 10, "to": "mature"}
    document["rules"].append(late)
    with pytest.raises(InvalidPolicy, match="too_late: fast_track fires whenever it could"):
        parse_policy(document, 2)
    waits = {**late, "priority": 80, "confirm_days": 5}
    assert parse_policy({**document, "rules": [*document["rules"][:-1], waits]}, 2)
