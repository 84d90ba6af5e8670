"""What signals are taken, and what each of them means."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lifecycle.core.signals import ACTS, FUTURE, INTERNAL, KNOWN, OTHERS, RETENTION, Effects, effects, judge
from tests.lifecycle.ledgers import LAW, NOW

REFUSED = [
    ("no_such_type", {}, "unknown_type", "type"),
    ("profile_changed", {}, "unknown_type", "type"),
    ("custom.", {}, "unknown_type", "type"),
    ("custom.Loud", {}, "unknown_type", "type"),
    ("deposit", {}, "missing", "payload.amount"),
    ("withdrawal", {"amount": None}, "missing", "payload.amount"),
    ("deposit", {"amount": 12.5}, "not_an_amount", "payload.amount"),
    ("deposit", {"amount": "-5"}, "not_an_amount", "payload.amount"),
    ("deposit", {"amount": "1.23456"}, "not_an_amount", "payload.amount"),
    ("deposit", {"amount": "1e3"}, "not_an_amount", "payload.amount"),
    ("deposit", {"amount": "5", "balance_after": "NaN"}, "not_an_amount", "payload.balance_after"),
    ("balance", {"balance": "5"}, "missing", "payload.account"),
    ("balance", {"account": "A", "balance": ["5"]}, "not_an_amount", "payload.balance"),
    ("balance", {"account": 7, "balance": "5"}, "not_a_name", "payload.account"),
    ("account_closed", {}, "missing", "payload.account"),
    ("product_opened", {"product_id": None}, "missing", "payload.product_id"),
    ("product_closed", {"product_id": "x" * 101}, "not_a_name", "payload.product_id"),
    ("onboarding_step", {"step": ""}, "not_a_name", "payload.step"),
    ("recurring_deposit_started", {"id": {}}, "not_a_name", "payload.id"),
    ("complaint_opened", {"complaint_id": "c", "severity": "awful"}, "not_a_severity", "payload.severity"),
    ("complaint_opened", {"complaint_id": "c", "severity": ["low"]}, "not_a_severity", "payload.severity"),
    ("complaint_resolved", {}, "missing", "payload.complaint_id"),
    ("survey_answered", {"survey": "nps"}, "missing", "payload.score"),
    ("survey_answered", {"survey": "nps", "score": 11}, "not_a_score", "payload.score"),
    ("survey_answered", {"survey": "nps", "score": True}, "not_a_score", "payload.score"),
    ("survey_answered", {"survey": ["nps"], "score": 5}, "not_a_score", "payload.survey"),
    ("risk_profile_completed", {"valid_until": "soon"}, "not_a_time", "payload.valid_until"),
    ("risk_profile_completed", {"valid_until": "2027-01-01T00:00:00"}, "not_a_time", "payload.valid_until"),
]


@pytest.mark.parametrize(("kind", "payload", "code", "field"), REFUSED)
def test_a_signal_that_cannot_be_understood_is_refused_by_the_name_of_the_field(kind, payload, code, field):
    found, reason = judge(kind, payload, NOW, NOW)
    assert found == code
    assert f"{field}:" in reason


def test_a_signal_of_the_future_or_beyond_the_memory_of_keys_is_refused():
    second = timedelta(seconds=1)
    assert judge("login", {}, NOW + FUTURE, NOW) is None
    assert judge("login", {}, NOW + FUTURE + second, NOW)[0] == "in_the_future"
    assert judge("login", {}, NOW - RETENTION, NOW) is None
    assert judge("login", {}, NOW - RETENTION - second, NOW)[0] == "too_old"


def test_the_types_are_acts_others_and_internal_and_no_type_is_two_of_them():
    assert not ACTS & OTHERS
    assert not KNOWN & INTERNAL


def test_only_acts_of_the_customer_are_activity():
    least = {"amount": "1", "account": "A", "balance": "1", "product_id": "p", "complaint_id": "c", "step": "s"}
    active = {k for k in KNOWN | INTERNAL if effects(k, {**least, "survey": "nps", "score": 5}, NOW).activity}
    assert active == ACTS


def test_a_deposit_is_inflow_a_withdrawal_outflow_and_both_may_tell_the_balance():
    deposit = effects("deposit", {"amount": "12.3456", "account": "A", "balance_after": "-1"}, NOW)
    assert (deposit.inflow, deposit.outflow, deposit.account, deposit.balance) == (
        123_456, 0, "A", -10_000,
    )  # fmt: skip
    withdrawal = effects("withdrawal", {"amount": "5", "balance_after": "7"}, NOW)
    assert (withdrawal.inflow, withdrawal.outflow, withdrawal.account, withdrawal.balance) == (
        0,
        50_000,
        "main",
        70_000,
    )


def test_a_trade_is_no_flow():
    assert effects("trade", {"amount": "500"}, NOW).inflow == 0


def test_a_system_posting_moves_the_balance_and_nothing_else():
    payload = {"amount": "3", "account": "A", "balance_after": "4", "system": True, "kind": "salary"}
    assert effects("deposit", payload, NOW) == Effects(account="A", balance=40_000)


def test_a_closed_account_holds_nothing():
    closed = effects("account_closed", {"account": "A"}, NOW)
    assert (closed.account, closed.balance) == ("A", 0)
    assert closed.marks == {"account_closed": True, "account:A": False}


def test_a_custom_signal_means_nothing_whatever_it_carries():
    payload = {"amount": 12.5, "balance": "5", "account": "A", "product_id": 7}
    assert judge("custom.crm.visit_2", payload, NOW, NOW) is None
    assert effects("custom.crm.visit_2", payload, NOW) == Effects()


def test_a_risk_profile_is_valid_for_twelve_months_unless_it_says_otherwise():
    usual = effects("risk_profile_completed", {}, NOW)
    assert usual.profile == {"suitability_until": NOW + timedelta(days=365)}
    short = effects("risk_profile_completed", {"valid_until": "2026-04-01T00:00:00Z"}, NOW)
    assert short.marks == {"suitability_until": "2026-04-01T00:00:00+00:00"}


def test_identification_changes_the_profile_and_the_fact():
    passed = effects("kyc_passed", {}, NOW)
    assert (passed.marks, passed.profile) == ({"kyc_status": "passed"}, {"kyc_status": "passed"})


def test_a_complaint_without_severity_is_of_medium_severity_and_open_until_it_is_resolved():
    assert effects("complaint_opened", {"complaint_id": "c", "severity": None}, NOW).marks == {"complaint:c": "medium"}
    assert effects("complaint_resolved", {"complaint_id": "c"}, NOW).marks == {"complaint:c": None}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.sampled_from([
    "amount", "account", "balance", "balance_after", "product_id", "complaint_id", "severity", "step", "id", "survey",
    "score", "valid_until", "topic", "kind", "system",
])  # fmt: skip
LIKELY = st.sampled_from(["5", "nps", "low", 7, None, "fee", "2027-01-01T00:00:00Z"])


@LAW
@given(st.sampled_from(sorted(KNOWN)), st.dictionaries(FIELDS, JSON | LIKELY))
def test_any_payload_is_either_refused_with_a_reason_or_understood(kind, payload):
    refused = judge(kind, payload, NOW, NOW)
    if refused is None:
        assert effects(kind, payload, NOW).activity == (kind in ACTS and payload.get("system") is not True)
    else:
        assert refused[1]
