"""What follows from stage changes: which actions, when, and never twice."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import new_id
from app.playbooks.plan import CUSTOMER_SCOPE, following, plan
from tests.playbooks.makers import NOW, change, definition, facts, leave, playbook, task

DAY = timedelta(days=1)
BOOK = playbook(
    definition("welcome", anchor="entry", offset="PT0H"),
    definition("tip", offset="P2D"),
    definition("bye", anchor="exit", offset="P1D", survives_exit=True),
    definition("elsewhere", stage="mature"),
    definition("nps", stage="any", offset="P180D", every="P180D", survives_exit=True),
    task("call", anchor="signal", signals=["enquiry"]),
    definition("birthday", anchor="date", date="birthday"),
)
CUSTOMER = UUID(int=1)


def keys(planned: list) -> list[str]:
    return [action.key for action in planned]


def test_entering_a_stage_plans_its_entry_and_dwell_actions_and_those_of_any_stage() -> None:
    entered = change(CUSTOMER)
    planned = plan(BOOK, {}, [entered], {CUSTOMER: facts()}, NOW)
    assert [(a.key, a.due_at - NOW, a.scope) for a in planned] == [
        ("welcome", timedelta(0), str(entered.interval_id)),
        ("tip", 2 * DAY, str(entered.interval_id)),
        ("nps", 180 * DAY, CUSTOMER_SCOPE),
    ]
    assert {a.transition_id for a in planned} == {entered.transition_id}
    assert {a.cause for a in planned} == {"some_rule"}


@pytest.mark.parametrize(
    ("mode", "expected"), [("none", []), ("dwell_only", ["tip", "nps"]), ("full", ["welcome", "tip", "nps"])]
)
def test_the_playbook_mode_says_how_much_is_planned(mode: str, expected: list[str]) -> None:
    planned = plan(BOOK, {}, [change(CUSTOMER, playbook_mode=mode)], {CUSTOMER: facts()}, NOW)
    assert keys(planned) == expected


def test_leaving_a_stage_plans_its_exit_actions_in_the_scope_of_the_interval_left() -> None:
    before = change(CUSTOMER)
    [bye, *rest] = plan(BOOK, {}, [leave(before, "decline")], {CUSTOMER: facts()}, NOW)
    assert (bye.key, bye.stage, bye.scope) == ("bye", "growth", str(before.interval_id))
    assert keys(rest) == ["nps"]


def test_exit_actions_come_from_the_version_that_the_interval_began_with() -> None:
    old = playbook(definition("old_bye", anchor="exit", survives_exit=True), version=1)
    new = playbook(definition("new_bye", anchor="exit", survives_exit=True), version=2)
    before = change(CUSTOMER)
    [planned] = plan(new, {before.interval_id: old}, [leave(before, "decline")], {CUSTOMER: facts()}, NOW)
    assert (planned.key, planned.playbook_version) == ("old_bye", 1)


def test_a_stage_that_is_entered_and_left_at_once_starts_nothing_that_ends_with_it() -> None:
    first = change(CUSTOMER)
    planned = plan(BOOK, {}, [first, leave(first, "mature")], {CUSTOMER: facts()}, NOW)
    assert keys(planned) == ["nps", "bye", "elsewhere", "nps"]


def test_an_erased_customer_gets_nothing() -> None:
    assert plan(BOOK, {}, [change(CUSTOMER)], {}, NOW) == []


def test_a_condition_reads_the_customer_and_the_reason() -> None:
    book = playbook(
        task("leaving", condition={"field": "reason", "op": "eq", "value": "leaving"}),
        task("others", condition={"field": "reason", "op": "ne", "value": "leaving"}),
        task("rich", condition={"field": "segment", "op": "eq", "value": "high_net_worth"}),
        task("by_hand", condition={"field": "reason", "op": "eq", "value": "manual"}),
    )
    rich = {CUSTOMER: facts(segment="high_net_worth")}
    assert keys(plan(book, {}, [change(CUSTOMER, rule_id="leaving")], rich, NOW)) == ["leaving", "rich"]
    by_hand = change(CUSTOMER, rule_id=None, kind="manual")
    assert keys(plan(book, {}, [by_hand], {CUSTOMER: facts()}, NOW)) == ["others", "by_hand"]


def test_a_task_belongs_to_the_customers_adviser_or_else_to_the_role() -> None:
    book = playbook(task("own"), task("desk", owner="support"), definition("message"))
    for owner, expected in (("mei", ["mei", "support", None]), (None, ["adviser", "support", None])):
        planned = plan(book, {}, [change(CUSTOMER)], {CUSTOMER: facts(owner=owner)}, NOW)
        assert [a.owner for a in planned] == expected


@pytest.mark.parametrize(("tier", "days"), [("A", 30), ("B", 90), ("C", 180)])
def test_the_tier_decides_how_often(tier: str, days: int) -> None:
    by_tier = {"A": "P30D", "B": "P90D", "C": "P180D"}
    book = playbook(task("check_in", offset=by_tier, every=by_tier))
    [first] = plan(book, {}, [change(CUSTOMER)], {CUSTOMER: facts(tier=tier)}, NOW)
    assert first.due_at == NOW + days * DAY
    second = following(first, book.find("check_in"), facts(tier="A"), first.due_at)
    assert second is not None
    assert (second.due_at - first.due_at, second.occurrence) == (30 * DAY, "2")


def test_what_is_not_repeated_is_followed_by_nothing() -> None:
    [first] = plan(playbook(task("once")), {}, [change(CUSTOMER)], {CUSTOMER: facts()}, NOW)
    assert following(first, playbook(task("once")).find("once"), facts(), NOW) is None


@given(st.integers(0, 4000))
def test_a_customer_who_entered_long_ago_is_not_flooded(days_ago: int) -> None:
    book = playbook(
        definition("once", offset="P1D", expires_after="P3D"),
        definition("series", offset="P1D", every="P30D", expires_after="P3D"),
    )
    entered = change(CUSTOMER, effective_at=NOW - timedelta(days=days_ago))
    planned = {a.key: a for a in plan(book, {}, [entered], {CUSTOMER: facts()}, NOW)}
    assert ("once" in planned) == (days_ago <= 4)
    series = planned["series"]
    assert NOW - 3 * DAY <= series.due_at < NOW + 30 * DAY
    assert (series.due_at - entered.effective_at - DAY) % (30 * DAY) == timedelta(0)


@given(st.integers(0, 10**6), st.integers(1, 400))
def test_the_next_of_a_series_is_in_step_and_the_first_that_is_not_past(minutes_late: int, every: int) -> None:
    book = playbook(task("series", every=f"P{every}D"))
    [first] = plan(book, {}, [change(CUSTOMER)], {CUSTOMER: facts()}, NOW)
    now = first.due_at + timedelta(minutes=minutes_late)
    second = following(first, book.find("series"), facts(), now)
    assert second is not None
    step = timedelta(days=every)
    assert second.due_at >= now
    assert second.due_at - max(now, first.due_at + step) < step
    assert (second.due_at - first.due_at) % step == timedelta(0)
    assert second.expires_at - second.due_at == timedelta(days=7)


@given(st.lists(st.sampled_from(["prospect", "growth", "mature"]), min_size=1, max_size=8))
def test_planning_a_set_is_planning_each_and_nothing_is_named_twice_within_an_interval(stages: list[str]) -> None:
    changes = [change(new_id(), stage) for stage in stages]
    customers = {c.customer_id: facts() for c in changes}
    together = plan(BOOK, {}, changes, customers, NOW)
    assert together == [action for c in changes for action in plan(BOOK, {}, [c], customers, NOW)]
    names = [(a.customer_id, a.scope, a.key, a.occurrence) for a in together]
    assert len(set(names)) == len(names)
