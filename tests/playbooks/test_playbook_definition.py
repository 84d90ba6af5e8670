"""A playbook document is accepted whole or refused with a pointer to every fault."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.playbooks.definition import InvalidPlaybookError, condition_holds, parse, parse_duration
from tests.playbooks.makers import definition, document, playbook, task


@given(st.integers(0, 999), st.integers(0, 9999), st.integers(0, 9999), st.booleans())
def test_a_duration_is_the_sum_of_its_parts(weeks: int, days: int, hours: int, negative: bool) -> None:
    text = f"{'-' if negative else ''}P{weeks}W{days}DT{hours}H"
    span = timedelta(weeks=weeks, days=days, hours=hours)
    assert parse_duration(text) == (-span if negative else span)


@given(st.text(max_size=12) | st.integers() | st.none())
def test_whatever_is_no_duration_is_refused_with_a_value_error(given: object) -> None:
    try:
        assert isinstance(parse_duration(given), timedelta)
    except ValueError as error:
        assert "ISO 8601" in str(error)


@pytest.mark.parametrize("text", ["P", "PT", "P1M", "P1Y", "1D", "P1DT", "P-1D", "P1D ", "p1d", "PT1.5H", "P٣D"])
def test_durations_that_look_right_but_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_duration(text)


FAULTS = [
    (definition("a", anchor="date"), "/actions/0/date", "missing"),
    (definition("a", date="birthday"), "/actions/0/date", "not_allowed"),
    (definition("a", anchor="signal"), "/actions/0/signals", "missing"),
    (definition("a", signals=["deposit"]), "/actions/0/signals", "not_allowed"),
    (definition("a", offset="-P1D"), "/actions/0/offset", "negative"),
    (definition("a", offset="P1M"), "/actions/0/offset/A", "value_error"),
    (definition("a", offset={"A": "P1D", "B": "P2D"}), "/actions/0/offset/C", "missing"),
    (definition("a", every="PT1H"), "/actions/0/every", "too_often"),
    (definition("a", anchor="exit"), "/actions/0/survives_exit", "must_survive"),
    (definition("a", anchor="exit", survives_exit=True, every="P1D"), "/actions/0/every", "not_allowed"),
    (definition("a", stage="any"), "/actions/0/survives_exit", "must_survive"),
    (definition("a", stage="any", survives_exit=True, anchor="exit"), "/actions/0/anchor", "not_allowed"),
    (task("a", anchor="freeze"), "/actions/0/stage", "must_be_any"),
    (task("a", anchor="freeze", stage="any"), "/actions/0/survives_exit", "must_survive"),
    (task("a", anchor="freeze", stage="any", survives_exit=True, every="P1D"), "/actions/0/every", "not_allowed"),
    (task("a", anchor="freeze", stage="any", survives_exit=True, offset="-P1D"), "/actions/0/offset", "negative"),
    (
        task(
            "a",
            anchor="freeze",
            stage="any",
            survives_exit=True,
            condition={"field": "reason", "op": "eq", "value": "returns"},
        ),
        "/actions/0/condition/field",
        "not_allowed",
    ),
    (definition("a", channel=...), "/actions/0/channel", "missing"),
    (definition("a", kind="task"), "/actions/0/channel", "not_allowed"),
    (definition("a", channel="fax"), "/actions/0/channel", "literal_error"),
    (definition("a", expires_after="PT0H"), "/actions/0/expires_after", "not_positive"),
    (definition("a", content={"en": {"subject": "x", "body": "y"}}), "/actions/0/content/zh", "missing"),
    (definition("a", surprise=1), "/actions/0/surprise", "extra_forbidden"),
    (definition("a", **{"class": "spam"}), "/actions/0/class", "literal_error"),
    (definition("A b"), "/actions/0/key", "string_pattern_mismatch"),
    (definition("a", condition=[]), "/actions/0/condition", "dict_type"),
    (definition("a", condition={"all": []}), "/actions/0/condition/all", "not_a_list"),
    (definition("a", condition={"all": [1]}), "/actions/0/condition/all/0", "not_an_object"),
    (
        definition("a", condition={"field": "aum", "op": "eq", "value": "A"}),
        "/actions/0/condition/field",
        "unknown_field",
    ),
    (definition("a", condition={"field": "tier", "op": "lt", "value": 1}), "/actions/0/condition/op", "unknown_op"),
    (definition("a", condition={"field": "tier", "op": [], "value": 1}), "/actions/0/condition/op", "unknown_op"),
    (
        definition("a", condition={"field": "tier", "op": "in", "value": "A"}),
        "/actions/0/condition/value",
        "wrong_kind",
    ),
    (definition("a", condition={"field": {}, "op": "eq", "value": "A"}), "/actions/0/condition/field", "unknown_field"),
    (definition("a", condition={"not": {}}), "/actions/0/condition", "unknown_shape"),
    (
        definition("a", stage="any", survives_exit=True, condition={"field": "reason", "op": "eq", "value": "x"}),
        "/actions/0/condition/field",
        "not_allowed",
    ),
]


@pytest.mark.parametrize(("action", "pointer", "code"), FAULTS, ids=[f"{p} {c}" for _, p, c in FAULTS])
def test_every_fault_is_named_by_its_pointer(action: dict, pointer: str, code: str) -> None:
    with pytest.raises(InvalidPlaybookError) as refused:
        parse(document(action))
    assert (pointer, code) in [(p.pointer, p.code) for p in refused.value.problems]


@pytest.mark.parametrize(
    "template",
    ["{{ nmae }}", "{{ name", "{% for x in range(9) %}{% endfor %}", "{{ name.__class__.__mro__ }}", "{{ 1 / 0 }}"],
)
def test_a_template_that_cannot_be_rendered_is_refused(template: str) -> None:
    texts = {"subject": "fine", "body": template}
    with pytest.raises(InvalidPlaybookError) as refused:
        parse(document(definition("a", content={"en": texts, "zh": {"subject": "好", "body": "好"}})))
    assert [p.pointer for p in refused.value.problems] == ["/actions/0/content/en/body"]


def test_two_actions_may_not_share_a_key() -> None:
    with pytest.raises(InvalidPlaybookError) as refused:
        parse(document(definition("a"), definition("b"), definition("a")))
    assert [(p.pointer, p.code) for p in refused.value.problems] == [("/actions/2/key", "taken")]


def test_a_condition_deeper_than_five_levels_is_refused() -> None:
    tree: dict = {"field": "tier", "op": "eq", "value": "A"}
    for _ in range(6):
        tree = {"any": [tree]}
    with pytest.raises(InvalidPlaybookError) as refused:
        parse(document(definition("a", condition=tree)))
    assert refused.value.problems[0].code == "too_deep"


@pytest.mark.parametrize("given", [None, 1, "x", [], {}, {"version": 1, "name": "x", "actions": []}])
def test_what_is_no_playbook_at_all_is_refused(given: object) -> None:
    with pytest.raises(InvalidPlaybookError):
        parse(given)


def test_one_duration_stands_for_all_tiers_and_three_for_each() -> None:
    book = playbook(definition("a"), task("b", offset={"A": "PT2H", "B": "PT4H", "C": "P1D"}))
    assert book.find("a").offset.spans() == (timedelta(days=1),) * 3
    assert book.find("b").offset.of("B") == timedelta(hours=4)


_LEAF = st.builds(
    lambda field, op, values: {"field": field, "op": op, "value": values if op.endswith("in") else values[0]},
    st.sampled_from(["tier", "segment"]),
    st.sampled_from(["eq", "ne", "in", "not_in"]),
    st.lists(st.sampled_from(["A", "B", "mass"]), min_size=1, max_size=3),
)
_FACTS = st.fixed_dictionaries({"tier": st.sampled_from("ABC"), "segment": st.sampled_from(["mass", "affluent"])})


@given(st.lists(_LEAF, min_size=1, max_size=4), _FACTS)
def test_all_and_any_mean_what_they_say(leaves: list, facts: dict) -> None:
    each = [condition_holds(leaf, facts) for leaf in leaves]
    assert condition_holds({"all": leaves}, facts) == all(each)
    assert condition_holds({"any": leaves}, facts) == any(each)


@given(_LEAF, _FACTS)
def test_ne_and_not_in_are_the_opposites_of_eq_and_in(leaf: dict, facts: dict) -> None:
    opposite = {"eq": "ne", "ne": "eq", "in": "not_in", "not_in": "in"}[leaf["op"]]
    assert condition_holds({**leaf, "op": opposite}, facts) != condition_holds(leaf, facts)


@pytest.mark.parametrize(("op", "holds"), [("lt", False), ("lte", True), ("gt", False), ("gte", True)])
def test_numbers_of_a_signal_are_compared(op: str, holds: bool) -> None:
    leaf = {"field": "signal.nps", "op": op, "value": 6}
    playbook(task("a", anchor="signal", signals=["survey_answered"], condition=leaf))
    assert condition_holds(leaf, {"signal.nps": 6}) is holds
    assert not condition_holds(leaf, {})
    assert not condition_holds(leaf, {"signal.nps": "six"})


def test_no_condition_always_holds() -> None:
    assert condition_holds(None, {})
