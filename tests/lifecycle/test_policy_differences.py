"""What differs between two policies: nothing where they mean the same, single thresholds where they do not."""

from copy import deepcopy
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lifecycle.core.policy import parse_policy
from app.lifecycle.core.stages import STAGES
from app.lifecycle.explaining.wording import Voice
from app.lifecycle.policies import SHIPPED, shipped_document
from app.lifecycle.versions.difference_words import field_sentence, item_sentence, target_sentence
from app.lifecycle.versions.differences import FieldChange, differences

EN, ZH = (Voice(language, "USD", ZoneInfo("UTC")) for language in ("en", "zh"))
WEALTH = shipped_document("wealth")
ORDER = [rule["id"] for rule in WEALTH["rules"]]


def rule(document, name):
    return next(found for found in document["rules"] if found["id"] == name)


def changed(name, **fields):
    document = deepcopy(WEALTH)
    rule(document, name).update(fields)
    return document


def of_rule(document, name, before=WEALTH):
    [item] = [item for item in differences(before, document).rules if item.id == name]
    return item


def told(item):
    return [(change.field, change.before, change.after) for change in item.fields]


LEAVES = st.fixed_dictionaries(
    {
        "fact": st.sampled_from(["aum", "products_held", "age"]),
        "op": st.sampled_from([">=", "<"]),
        "value": st.integers(0, 3),
    }
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(
            lambda name, parts: {name: parts}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3)
        )
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"at_least": 1, "of": parts})
    ),
    max_leaves=6,
)
RULES = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "c", "d"]),
        "from": st.lists(st.sampled_from(STAGES[:3]), min_size=1, max_size=3, unique=True),
        "to": st.sampled_from(STAGES[3:]),
        "when": TREES,
    },
    optional={
        "guards": TREES,
        "priority": st.integers(0, 1),
        "confirm_days": st.integers(0, 1),
        "always": st.booleans(),
        "why": st.sampled_from(["", "so", "thus"]),
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {"rules": st.lists(RULES, max_size=4, unique_by=lambda r: r["id"])},
    optional={
        "name": st.sampled_from(["x", "y"]),
        "target_days": st.dictionaries(st.sampled_from(STAGES), st.integers(1, 2)),
        "score": st.lists(
            st.fixed_dictionaries({"id": st.sampled_from(["s", "t"]), "points": st.integers(0, 2), "when": LEAVES}),
            max_size=2,
            unique_by=lambda part: part["id"],
        ),
    },
)
OPPOSITE = {"added": "removed", "removed": "added", "changed": "changed", "moved": "moved"}


def is_empty(found):
    return not (found.rules or found.score or found.target_days or found.texts)


@given(DOCUMENTS)
def test_a_document_does_not_differ_from_itself(document):
    assert is_empty(differences(document, deepcopy(document)))


@given(DOCUMENTS, DOCUMENTS)
def test_the_way_back_is_the_same_differences_with_before_and_after_swapped(one, other):
    there, back = differences(one, other), differences(other, one)
    for part in ("rules", "score"):
        assert {
            (i.id, i.change, i.same_condition, *sorted((repr(f.before), repr(f.after)) for f in i.fields))
            for i in getattr(there, part)
        } == {
            (i.id, OPPOSITE[i.change], i.same_condition, *sorted((repr(f.after), repr(f.before)) for f in i.fields))
            for i in getattr(back, part)
        }
    for part in ("target_days", "texts"):
        assert [(f.field, f.before, f.after) for f in getattr(there, part)] == [
            (f.field, f.after, f.before) for f in getattr(back, part)
        ]


@given(TREES, TREES)
def test_two_conditions_differ_in_at_least_one_place_and_every_place_is_told_with_its_values(one, other):
    documents = [{"rules": [{"id": "a", "from": ["trial"], "to": "growth", "when": tree}]} for tree in (one, other)]
    items = differences(*documents).rules
    assert bool(items) == (one != other)
    for item in items:
        assert not item.same_condition
        for change in item.fields:
            assert change.before != change.after
            if change.after is not None and change.trees is not None:
                assert at(documents[1]["rules"][0], change.field) == change.after


def at(tree, pointer):
    for step in pointer.strip("/").split("/"):
        tree = tree[int(step)] if isinstance(tree, list) else tree[step]
    return tree


@given(DOCUMENTS, DOCUMENTS)
def test_every_difference_has_a_sentence_in_both_languages(one, other):
    found = differences(one, other)
    for voice in (EN, ZH):
        for part, is_rule in ((found.rules, True), (found.score, False)):
            for item in part:
                assert item.id in item_sentence(item, voice, is_rule=is_rule)
                assert all(field_sentence(item.id, change, voice).endswith((".", "。")) for change in item.fields)
        assert all(target_sentence(change, voice) for change in found.target_days)


def test_a_threshold_is_told_where_it_stands():
    document = deepcopy(WEALTH)
    rule(document, "converted")["when"]["all"][0]["value"] = 1500
    rule(document, "converted")["when"]["all"][2]["of"][2]["value"] = 5
    item = of_rule(document, "converted")
    assert told(item) == [("/when/all/0/value", 1000, 1500), ("/when/all/2/of/2/value", 3, 5)]
    assert field_sentence("converted", item.fields[0], EN) == (
        "converted: when it fires: paid in for this trial ≥ 1,000 USD becomes paid in for this trial ≥ 1,500 USD."
    )
    assert field_sentence("converted", item.fields[0], ZH) == (
        "converted：触发条件：本次试用入金 ≥ 1,000 USD 改为 本次试用入金 ≥ 1,500 USD。"
    )


def test_a_condition_that_is_added_or_taken_away_is_told_alone():
    more = [*rule(WEALTH, "converted")["when"]["all"], {"fact": "age", "op": ">=", "value": 18}]
    item = of_rule(changed("converted", when={"all": more}), "converted")
    assert told(item) == [("/when/all/3", None, more[3])]
    first_gone = {"all": more[1:3]}
    assert told(of_rule(changed("converted", when=first_gone), "converted")) == [("/when/all/0", more[0], None)]
    alone = rule(WEALTH, "at_risk")["when"]
    both = changed("at_risk", when={"all": [alone, more[3]]})
    assert told(of_rule(both, "at_risk")) == [("/when/all/1", None, more[3])]


def test_another_order_of_conditions_is_told_since_it_ends_confirm_windows():
    turned = {"all": rule(WEALTH, "false_alarm")["when"]["all"][::-1]}
    item = of_rule(changed("false_alarm", when=turned), "false_alarm")
    assert [change.field for change in item.fields] == ["/when/all"]
    assert not item.same_condition
    assert field_sentence("", item.fields[0], EN) == "when it fires: written otherwise, the same meaning."


@pytest.mark.parametrize(
    ("fields", "keeps"),
    [
        ({"confirm_days": 9}, True),
        ({"priority": 81}, True),
        ({"why": "Because."}, True),
        ({"from": ["growth"]}, True),
        ({"min_dwell_days": 31}, False),
        ({"guards": {"fact": "life_event_90d", "op": "==", "value": True}}, False),
        ({"when": {"fact": "attrition_score", "op": ">=", "value": 61}}, False),
    ],
)
def test_confirm_windows_go_on_exactly_while_the_condition_is_what_it_was(fields, keeps):
    document = changed("at_risk", **fields)
    item = of_rule(document, "at_risk")
    assert item.same_condition is keeps
    prints = [parse_policy(d, 1).rule("at_risk").fingerprint for d in (WEALTH, document)]
    assert (prints[0] == prints[1]) is keeps
    assert ("go on" in item_sentence(item, EN, is_rule=True)) is keeps


def test_what_means_the_same_is_no_difference():
    document = changed(
        "at_risk", **{"from": ["mature", "growth"]}, guards=rule(WEALTH, "at_risk")["guards"], always=False
    )
    assert is_empty(differences(WEALTH, document))
    # Rules of different priorities may stand in any order.
    document["rules"].sort(key=lambda found: -found["priority"])
    assert is_empty(differences(WEALTH, document))


def test_a_place_among_rules_of_one_priority_counts():
    document = deepcopy(WEALTH)
    first, second = ORDER.index("false_alarm"), ORDER.index("won_back")
    document["rules"][first], document["rules"][second] = document["rules"][second], document["rules"][first]
    found = differences(WEALTH, document).rules
    assert {item.id: (item.change, told(item)) for item in found} == {
        "false_alarm": ("moved", [("order", [], ["won_back"])]),
        "won_back": ("moved", [("order", ["false_alarm"], [])]),
    }
    assert all(item.same_condition for item in found)


def test_new_and_old_rules_are_told_whole():
    document = deepcopy(WEALTH)
    old = document["rules"].pop(0)
    [item] = differences(WEALTH, document).rules
    assert (item.id, item.change) == ("trial_started", "removed")
    assert {c.field: c.before for c in item.fields} == {f"/{k}": v for k, v in old.items() if k != "id"}
    assert all(change.after is None for change in item.fields)
    [item] = differences(document, WEALTH).rules
    assert item.change == "added"


def test_points_targets_and_texts_are_told():
    document = deepcopy(WEALTH)
    document["score"][0]["points"] = 45
    document["target_days"] = {**document["target_days"], "trial": 40}
    del document["target_days"]["decline"]
    document["name"] = "wealth of 2027"
    document["description"] = {**document["description"], "zh": "新"}
    found = differences(WEALTH, document)
    assert [(item.id, told(item)) for item in found.score] == [("outflow_25", [("/points", 40, 45)])]
    assert [(c.field, c.before, c.after) for c in found.target_days] == [("/trial", 30, 40), ("/decline", 90, None)]
    assert [c.field for c in found.texts] == ["/name", "/description/zh"]
    assert target_sentence(found.target_days[1], EN) == "Days that Decline should take: 90 becomes none."
    assert target_sentence(found.target_days[0], ZH) == "试用期的目标天数：30 改为 40。"


def test_the_shipped_policies_differ_in_rules_and_points():
    found = differences(*map(shipped_document, SHIPPED))
    assert {item.id: item.change for item in found.rules if item.change != "changed"} == {
        "dormant": "added", "dormant_growth": "removed", "dormant_mature": "removed",
    }  # fmt: skip


def test_a_share_is_told_exactly():
    leaf = {"fact": "outflow_30d_pct", "op": ">=", "value": 0.60}
    change = FieldChange("/when/any/3/value", 0.6, 0.6004, (leaf, {**leaf, "value": 0.6004}))
    assert field_sentence("", change, EN).endswith("≥ 60.04 %.")
