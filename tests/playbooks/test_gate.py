"""The gate refuses in a fixed order, and stores the first reason."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.playbooks.gate import PERMITTED, Due, Verdict, judge
from tests.playbooks.makers import CONSENTS, NOW

CLASSES = ("regulatory", "service", "retention", "survey", "care", "promotion")
HERE, GONE = UUID(int=1), UUID(int=2)
FINE = Due(
    key="tip",
    kind="message",
    action_class="care",
    channel="in_app",
    interval_id=HERE,
    survives_exit=False,
    expires_at=NOW + timedelta(days=1),
    current_interval_id=HERE,
    holds=(),
    consents=CONSENTS,
    condition_holds=True,
)


def test_a_message_for_which_nothing_stands_in_the_way_is_delivered() -> None:
    assert judge(FINE, NOW) == Verdict("deliver")


def test_a_task_goes_to_the_list() -> None:
    assert judge(replace(FINE, kind="task", channel=None, consents=()), NOW) == Verdict("list")


@pytest.mark.parametrize("kind", ["survey", "offer", "portfolio_review", "adviser_assignment"])
def test_what_nobody_here_performs_is_handed_over(kind: str) -> None:
    assert judge(replace(FINE, kind=kind), NOW) == Verdict("hand_over", "no_provider")


def test_a_message_by_a_channel_that_nobody_here_serves_is_handed_over() -> None:
    by_mail = [{"channel": "email", "purpose": "marketing", "granted": True}]
    assert judge(replace(FINE, channel="email", consents=by_mail), NOW) == Verdict("hand_over", "no_provider")


def test_the_reasons_come_in_their_order() -> None:
    refused = replace(
        FINE,
        current_interval_id=GONE,
        condition_holds=False,
        holds=("compliance",),
        consents=(),
        expires_at=NOW - timedelta(days=1),
        channel="email",
    )
    reasons = []
    for cure in (
        {"survives_exit": True},
        {"condition_holds": True},
        {"holds": ()},
        {"consents": [{"channel": "email", "purpose": "marketing", "granted": True}]},
        {"expires_at": NOW},
        {"channel": "in_app", "consents": CONSENTS},
    ):
        reasons.append(judge(refused, NOW).reason)
        refused = replace(refused, **cure)
    assert reasons == ["left_stage", "not_applicable", "hold_compliance", "no_consent", "late", "no_provider"]
    assert judge(refused, NOW) == Verdict("deliver")


@pytest.mark.parametrize(
    ("hold", "permitted"),
    [
        ("deceased", set()),
        ("compliance", {"regulatory", "service"}),
        ("dispute", {"regulatory", "service", "retention"}),
        ("vulnerable", {"regulatory", "service", "care"}),
    ],
)
def test_each_hold_names_the_classes_that_it_still_permits(hold: str, permitted: set[str]) -> None:
    passed = {c for c in CLASSES if judge(replace(FINE, action_class=c, holds=[hold]), NOW).step == "deliver"}
    assert passed == permitted


def test_death_stops_everything_but_the_estate_task() -> None:
    deceased = replace(FINE, kind="task", channel=None, action_class="regulatory", holds=["deceased"])
    assert judge(deceased, NOW) == Verdict("skip", "hold_deceased")
    assert judge(replace(deceased, key="estate"), NOW) == Verdict("list")


@given(st.sets(st.sampled_from(sorted(PERMITTED))), st.sampled_from(CLASSES))
def test_several_holds_permit_only_what_each_of_them_permits(holds: set[str], action_class: str) -> None:
    alone = [judge(replace(FINE, action_class=action_class, holds=[h]), NOW).step == "deliver" for h in holds]
    together = judge(replace(FINE, action_class=action_class, holds=sorted(holds)), NOW).step == "deliver"
    assert together == all(alone)


def test_a_hold_that_is_not_known_forbids_everything() -> None:
    assert judge(replace(FINE, action_class="regulatory", holds=["frozen"]), NOW).reason == "hold_frozen"


@pytest.mark.parametrize("action_class", CLASSES)
def test_contract_and_law_need_no_consent_everything_else_does(action_class: str) -> None:
    without = judge(replace(FINE, action_class=action_class, consents=()), NOW)
    assert (without.reason == "no_consent") == (action_class not in ("regulatory", "service"))


@given(
    st.sampled_from(["retention", "survey", "care", "promotion"]),
    st.sampled_from(["in_app", "email"]),
    st.sampled_from(["marketing", "survey", "service"]),
    st.booleans(),
)
def test_consent_counts_for_its_own_channel_and_purpose_only(
    action_class: str, channel: str, purpose: str, granted: bool
) -> None:
    given = [{"channel": channel, "purpose": purpose, "granted": granted}]
    needed = "survey" if action_class == "survey" else "marketing"
    passed = judge(replace(FINE, action_class=action_class, consents=given), NOW).step == "deliver"
    assert passed == (granted and channel == "in_app" and purpose == needed)
