"""Both sides of every threshold of the shipped policies, found by walking their documents, and proof that they bite."""

import re
from dataclasses import replace
from math import gcd
from pathlib import Path

import pytest

from app.lifecycle.core.facts import FACTS
from app.lifecycle.core.ledger import Ledger
from app.lifecycle.core.policy import InvalidPolicy, parse_policy
from app.lifecycle.core.rules import Subject, decide, evaluation, holds, value_now
from app.lifecycle.core.signals import INTERNAL, KNOWN, judge
from app.lifecycle.core.stages import Stage
from app.lifecycle.policies import shipped_document
from tests.lifecycle.ledgers import DAY, NOW, POLICIES, TODAY
from tests.lifecycle.threshold_cases import NUMBERS, THRESHOLDS
from tests.lifecycle.threshold_customers import (
    KEYS,
    RULES,
    confirming,
    customers,
    expected,
    of_rule,
    owner,
    staying,
    treated,
    wrong,
)
from tests.lifecycle.threshold_moves import POINTS, step
from tests.lifecycle.threshold_mutants import ALWAYS, EQUIVALENT, HAIR, NEVER, mutants, nodes, places, put

DOCS = Path(__file__).resolve().parents[2] / "docs"
WAITS = ("confirm_days", "min_dwell_days")
LEAVES = {(name, key): node for name, policy in POLICIES.items() for key, node in places(policy) if "fact" in node}
EVERY_THRESHOLD = pytest.mark.parametrize(("policy", "key"), [pytest.param(*key, id="-".join(key)) for key in KEYS])
EVERY_RULE = pytest.mark.parametrize(("policy", "rule"), [pytest.param(*rule, id="-".join(rule)) for rule in RULES])


def walk(document):
    """(key, JSON pointer, comparison) of every comparison in the document of a policy."""
    for kind, prefix in (("rules", ""), ("score", "score/")):
        for i, item in enumerate(document[kind]):
            for part in ("when", "guards"):
                for place, node in nodes(item.get(part, ALWAYS), part):
                    if "fact" in node:
                        yield f"{prefix}{item['id']}/{place}", f"/{kind}/{i}/{place}", node


def facts_by_key(document):
    return {key: leaf["fact"] for key, _, leaf in walk(document)}


def cases_by_key(name):
    return {key: case.fact for key, case in THRESHOLDS[name].items()}


def numbers(document):
    """Points, confirm windows and least stays that a document gives."""
    found = {f"score/{part['id']}/points": part["points"] for part in document["score"]}
    return found | {f"{r['id']}/{name}": r[name] for r in document["rules"] for name in WAITS if r.get(name)}


def actual(policy, key):
    """The values of the fact of a threshold, of its customers."""
    facts = evaluation(POLICIES[policy], Ledger([c.known for c in customers(policy, key)], horizon=0))
    return [value_now(facts[THRESHOLDS[policy][key].fact], row) for row in range(facts.ledger.n)]


@pytest.mark.parametrize("name", POLICIES)
def test_every_threshold_has_a_case_and_every_case_a_threshold(name):
    assert cases_by_key(name) == facts_by_key(shipped_document(name))
    assert NUMBERS[name] == numbers(shipped_document(name))


LEAF = {"fact": "age", "op": ">=", "value": 18}


@pytest.mark.parametrize(
    ("kind", "place", "what", "missed"),
    [
        ("rules", None, {"id": "new", "when": LEAF}, "new/when"),
        ("rules", 7, {"guards": {"all": [LEAF]}}, "at_risk/guards/all/0"),
        ("rules", 1, {"when": {"any": [LEAF]}}, "fast_track/when/any/0"),
        ("rules", 8, {"guards": LEAF}, "leaving/guards"),
        ("score", None, {"id": "new", "points": 5, "when": LEAF}, "score/new/when"),
        ("score", 0, {"when": {"at_least": 1, "of": [LEAF]}}, "score/outflow_25/when/of/0"),
    ],
)
def test_what_a_policy_gains_is_missed_by_name(kind, place, what, missed):
    document = shipped_document("wealth")
    items = document[kind]
    document[kind] = [*items, what] if place is None else [*items[:place], items[place] | what, *items[place + 1 :]]
    assert set(facts_by_key(document)) - set(THRESHOLDS["wealth"]) == {missed}


@EVERY_THRESHOLD
def test_two_customers_stand_next_to_the_threshold_one_on_each_side(policy, key):
    found, value, least = actual(policy, key), LEAVES[policy, key]["value"], step(THRESHOLDS[policy][key].fact)
    wanted = [customer.value for customer in customers(policy, key)]
    if isinstance(value, bool | str | list):
        assert found == wanted
        assert len({c.passes for c in customers(policy, key)}) == 2
        return
    assert found == pytest.approx(wanted, rel=1e-11)
    passing, failing = found[0], found[-1]
    assert abs(passing - failing) == pytest.approx(least, rel=HAIR - 1)
    assert min(passing, failing) <= value <= max(passing, failing)
    assert value in found


@EVERY_THRESHOLD
def test_the_comparison_holds_on_one_side_alone(policy, key):
    found = customers(policy, key)
    facts = evaluation(POLICIES[policy], Ledger([c.known for c in found], horizon=0))
    assert holds(LEAVES[policy, key], facts)[:, 0].tolist() == [c.passes for c in found]


IMPLIED = {
    (name, what.removesuffix(" removed")) for name, found in EQUIVALENT.items() for what in found if "removed" in what
}
"""Comparisons that hold whenever the rest of the rule does."""


@EVERY_THRESHOLD
def test_the_comparison_decides_whether_the_rule_fires(policy, key):
    name, found = owner(key), customers(policy, key)
    assert treated(POLICIES[policy], name, found) == expected(policy, name, found)
    all_of_them = [replace(customer, passes=True) for customer in found]
    none_of_them = [replace(customer, passes=False) for customer in found]
    assert treated(put(POLICIES[policy], key, NEVER), name, found) == expected(policy, name, none_of_them)
    if (policy, key) not in IMPLIED:
        assert treated(put(POLICIES[policy], key, ALWAYS), name, found) == expected(policy, name, all_of_them)


OVERTAKEN = {"lost_in_trial/when/any/0": "leaving"}
"""What holds only when a rule of higher rank does too."""


@EVERY_RULE
def test_whoever_passes_is_moved_by_the_rule_among_all_the_others(policy, rule):
    [declared] = [r for r in POLICIES[policy].rules if r.id == rule]
    waiting = [(c, rule) for c in (*staying(policy, rule), *confirming(policy, rule))]
    own = [
        (c, OVERTAKEN.get(key, rule)) for n, key in KEYS if (n, owner(key)) == (policy, rule) for c in customers(n, key)
    ]
    people = [(customer, by) for customer, by in [*own, *waiting] if customer.passes]
    subjects = [Subject(c.known, confirming={declared.fingerprint: c.known.now - c.held_for}) for c, _ in people]
    assert [d.rule and d.rule.id for d in decide(subjects, POLICIES[policy])] == [by for _, by in people]


@EVERY_RULE
def test_the_rule_fires_on_the_day_of_its_least_stay_and_not_a_day_before(policy, rule):
    found = staying(policy, rule)
    facts = evaluation(POLICIES[policy], Ledger([c.known for c in found], horizon=0))
    ends = NUMBERS[policy].get(f"{rule}/min_dwell_days", 0)
    assert facts["days_in_stage"][:, 0].tolist() == ([ends, ends - 1] if ends else [0])
    assert treated(POLICIES[policy], rule, found) == ([1, 0] if ends else [1])


@EVERY_RULE
def test_the_rule_fires_when_its_confirm_window_ends_and_not_a_second_before(policy, rule):
    known, days = confirming(policy, rule)[0].known, NUMBERS[policy].get(f"{rule}/confirm_days", 0)
    [first] = decide([Subject(known)], POLICIES[policy])
    ends, later = known.now + days * DAY, replace(known, today=TODAY + days)
    found = [
        decide([Subject(replace(later, now=ends + late), confirming=first.confirming)], POLICIES[policy])[0].rule
        for late in (-1, 0)
    ]
    assert [fired and fired.id for fired in found] == ([None, rule] if days else [rule, rule])
    assert (first.look_again_at or known.now) == ends


@EVERY_RULE
def test_the_thresholds_are_the_same_in_every_stage_that_the_rule_leads_out_of(policy, rule):
    [stages] = [r.sources for r in POLICIES[policy].rules if r.id == rule]
    for stage in stages:
        found = [c.placed(stage) for c in of_rule(policy, rule)]
        assert treated(POLICIES[policy], rule, found) == expected(policy, rule, found), stage


def test_every_customer_is_made_of_signals_that_the_service_takes():
    sent = {s.id: s for policy, key in KEYS for customer in customers(policy, key) for s in customer.life[1]}
    assert {s.kind for s in sent.values()} <= KNOWN | INTERNAL
    refused = [(s, judge(s.kind, s.payload, s.at, NOW)) for s in sent.values() if s.kind not in INTERNAL]
    assert [(s, reason) for s, reason in refused if reason] == []
    assert all(s.at <= NOW for s in sent.values())


@pytest.mark.parametrize("name", POLICIES)
def test_no_score_lies_between_two_that_the_cases_know(name):
    assert gcd(*(part.points for part in POLICIES[name].score)) == POINTS


@pytest.mark.parametrize("name", POLICIES)
def test_the_cases_notice_every_change_of_a_policy_that_a_customer_could(name):
    policy = POLICIES[name]
    names = list(dict.fromkeys(owner(key) for key in THRESHOLDS[name]))
    assert [n for n in names if wrong(policy, n)] == []
    survivors = {what for what, changed in mutants(policy) if not wrong(changed, owner(what))}
    assert survivors == set(EQUIVALENT[name])


@pytest.mark.parametrize("name", POLICIES)
def test_every_kind_of_change_is_tried_at_every_place(name):
    tried = [what for what, _ in mutants(POLICIES[name])]
    assert len(set(tried)) == len(tried)
    for key, node in places(POLICIES[name]):
        changes = [what for what in tried if what.startswith(f"{key} ")]
        number = "fact" in node and not isinstance(node["value"], bool | str | list)
        assert len(changes) >= (6 if number else 2), key
    for key, number in NUMBERS[name].items():
        assert {f"{key} {number - 1}", f"{key} {number + 1}"} <= set(tried)


@pytest.mark.parametrize("name", POLICIES)
def test_a_comparison_with_a_fact_that_is_not_declared_is_refused_wherever_it_stands(name):
    document = shipped_document(name)
    for _, pointer, leaf in walk(document):
        fact = leaf["fact"]
        leaf["fact"] = f"{fact}_"
        with pytest.raises(InvalidPolicy, match=rf"not a declared fact; did you mean {fact}\?") as refused:
            parse_policy(document, 2)
        leaf["fact"] = fact
        assert [(p, code) for p, code, _ in refused.value.problems] == [(f"{pointer}/fact", "unknown_fact")]


@pytest.mark.parametrize("name", POLICIES)
def test_every_rule_that_a_comparison_names_is_one_that_leads_to_decline(name):
    into_decline = {rule.id for rule in POLICIES[name].rules if rule.to == Stage.DECLINE}
    named = [leaf["value"] for _, _, leaf in walk(shipped_document(name)) if leaf["fact"] == "entered_by"]
    assert named
    assert {rule for value in named for rule in value} <= into_decline


OFFERED = {
    "net_flow_30d": "amounts, for institutions of one currency; the shipped policies ask for shares",
    "net_flow_90d": "the same over a quarter",
    "funded_total": "the whole life; the shipped policies ask for the money of this trial",
    "trades_30d": "for brokers, whose customers trade every month",
    "trades_180d": "for brokers, whose customers trade now and then",
    "logins_90d": "for those whose customers look once a quarter",
    "onboarding_steps_done": "for those who end a trial with the last step of opening an account",
    "enquired": "for those who lead a customer back at any enquiry, not only after closing",
    "segment": "for those who ask more of some segments than of others",
    "age": "for those with rules for the young or the old",
    "closed_since": "for those who let some time pass before they answer somebody who closed",
    "aum_before_decline": "amounts, where the shipped policies ask for the share that came back",
    "outflow_before_decline": "the same for what had left",
    "returns_60d": "for those who want a rule of their own for customers who waver",
}
"""Facts that no shipped policy reads, and for whom they are there."""


def test_every_declared_fact_is_read_by_a_shipped_policy_or_offered_for_a_reason():
    read = {leaf["fact"] for name in POLICIES for _, _, leaf in walk(shipped_document(name))}
    assert read <= set(FACTS)
    assert set(FACTS) - read == set(OFFERED)


def test_every_declared_fact_is_documented_and_no_other():
    rows = re.findall(
        r"^\| `([a-z0-9_]+)` \| ([a-z]+) \| (.+) \| (.+) \|$", (DOCS / "facts.md").read_text(), re.MULTILINE
    )
    assert rows == [(f.name, f.kind if f.unit == "none" else f.unit, f.en, f.zh) for f in FACTS.values()]
