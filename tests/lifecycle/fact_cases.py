"""(fact, value computed by hand, signals, state): at least one case for every declared fact."""

from typing import Any

from app.lifecycle.core.ledger import State
from tests.lifecycle.ledgers import TODAY, Sent, ago, stay

Case = tuple[str, Any, tuple[Sent, ...], State | None]
CASES: list[Case] = []


def case(name: str, expected: Any, *signals: Sent, state: State | None = None) -> None:
    CASES.append((name, expected, signals, state))


IN = {"amount": "1000"}
PAID = (ago(100, "deposit", amount="4000"), ago(80, "deposit", amount="500"), ago(10, "withdrawal", amount="1500"))
HELD = (
    ago(200, "balance", account="A", balance="900"),
    ago(50, "balance", account="A", balance="1200"),
    ago(3, "balance", account="B", balance="-100"),
)
LATER = {"stage_before": "growth", "entered_by": "leaving"}
BACK_FIVE_DAYS_AGO = {"decline_ended": stay("growth", 5).entered_at}
BY_HAND = {"stage_before": "decline", "entry": {"outflow_total": 1500.0}}
ENTRY = {"net_total": 1000.0, "outflow_total": 0.0, "outflow": 4000.0, "aum_before": 8000.0}

case("aum", 1100.0, *HELD)
case("aum", 3000.0, *PAID)  # no balance is known: what was paid
case("aum", 0.0, ago(5, "withdrawal", amount="10"))
case("aum", 0.0, *HELD[:1], ago(1, "account_closed", account="A"))
case("net_flow_30d", -1500.0, *PAID)
case("net_flow_30d", 0.0, ago(30, "deposit", **IN))  # thirty days, today included
case("net_flow_30d", 1000.0, ago(29, "deposit", **IN))
case("net_flow_90d", -1000.0, *PAID)
case("net_flow_90d_pct", -0.25, *PAID)  # -1000 of the 4000 that were there 90 days ago
case("net_flow_90d_pct", None, *PAID[1:])  # nothing was there
case("net_flow_90d_pct", -0.25, ago(90, "deposit", amount="2000"), ago(89, "withdrawal", amount="500"))
case("net_flow_90d_pct", None, ago(89, "deposit", amount="2000"), ago(88, "withdrawal", amount="500"))
case("net_flow_90d_pct", None, ago(95, "deposit", amount="999"), ago(9, "withdrawal", amount="900"))
case("net_flow_180d_pct", 0.75, *PAID)
case("outflow_30d_pct", 1500 / 4500, *PAID)
TOLD_LATE = (
    ago(200, "deposit", amount="25000"),
    ago(1, "withdrawal", amount="20000", account="A", balance_after="5000"),
)
case("outflow_30d_pct", 0.8, *TOLD_LATE)  # the first balance that is told is that of the withdrawal
case("net_flow_90d_pct", -0.8, *TOLD_LATE)
case("outflow_30d_pct", 0.0, *PAID, ago(2, "deposit", amount="1600"))
case("outflow_30d_pct", 0.0, *PAID, state=stay("growth", 5, **BY_HAND))  # whoever moved them knew
case("outflow_30d_pct", 0.1, *PAID, ago(1, "withdrawal", amount="450"), state=stay("growth", 5, **BY_HAND))
case("net_paid", 3000.0, *PAID)
case("funded_total", 4500.0, *PAID)
case("funded_here", 4500.0, *PAID, state=stay("trial", 85, stage_before="prospect"))
case("funded_here", 500.0, *PAID, state=stay("trial", 85, stage_before="decline", last_trial_ended_day=TODAY - 200))
case("first_funding", 4000.0, *PAID)
case("first_funding", 500.0, *PAID, state=stay("prospect", 90, stage_before="decline"))
case("first_funding", 0.0, *PAID, state=stay("prospect", 50, stage_before="decline"))
case("products_held", 1.0, ago(9, "product_opened", product_id="p"), ago(8, "product_opened", product_id="q"),
     ago(7, "product_closed", product_id="p"))  # fmt: skip
case("recurring_deposit", True, ago(9, "recurring_deposit_started", id="r"))
case(
    "recurring_deposit",
    False,
    ago(9, "recurring_deposit_started", id="r"),
    ago(3, "recurring_deposit_cancelled", id="r"),
)
case("trades_30d", 1.0, ago(29, "trade"), ago(30, "trade"))
case("trades_180d", 2.0, ago(179, "trade"), ago(30, "trade"), ago(180, "trade"))
case("trades_total", 2.0, ago(900, "trade"), ago(1, "trade"))
case("logins_14d", 1.0, ago(13, "login"), ago(14, "login"))
case("logins_21d", 1.0, ago(20, "login"), ago(21, "login"))
case("logins_30d", 2.0, ago(29, "login"), ago(29, "login", hour=10), ago(30, "login"))
case("logins_90d", 1.0, ago(89, "login"), ago(90, "login"))
case("login_drop", 0.75, *(ago(d, "login") for d in (5, 31, 40, 50, 60, 70, 80, 88, 89)))  # 1 against 4 a month
case("login_drop", None, *(ago(d, "login") for d in (5, 31, 40, 50, 60, 70, 80, 88)))  # 3.5 a month are too few
case("days_since_activity", 7.0, ago(7, "login"), ago(3, "contact_out"), ago(2, "balance", account="A", balance="1"))
case("days_since_activity", 12.0, state=stay("prospect", 12))
case("tenure_days", 40.0, ago(60, "login"), ago(40, "account_opened"), ago(20, "deposit", **IN))
case("tenure_days", None, ago(60, "login"))
case("days_in_stage", 33.0, state=stay("trial", 33))
case("active_months_12", 3.0, ago(0, "login"), ago(29, "login"), ago(30, "login"), ago(359, "login"), ago(360, "login"))
case("active_months_3", 2.0, ago(29, "login"), ago(30, "login"), ago(90, "login"))
case("incoming_months_3", 1.0, ago(29, "deposit", **IN), ago(40, "login"))
case("income_stopped", True, ago(50, "deposit", **IN), ago(80, "deposit", **IN))
case("income_stopped", False, ago(44, "deposit", **IN), ago(50, "deposit", **IN), ago(80, "deposit", **IN))
case("income_stopped", False, ago(50, "deposit", **IN))
case("salary_stopped", True, ago(46, "deposit", kind="salary", **IN), ago(5, "deposit", **IN))
case("salary_stopped", False, ago(45, "deposit", kind="salary", **IN))
case("onboarding_steps_done", 2.0, *(ago(d, "onboarding_step", step=s) for d, s in ((9, "a"), (8, "b"), (7, "a"))))
case(
    "nps_last",
    4.0,
    ago(90, "survey_answered", survey="nps", score=4),
    ago(95, "survey_answered", survey="nps", score=9),
)
case("nps_last", None, ago(91, "survey_answered", survey="nps", score=4))
case("csat_last", 0.0, ago(1, "survey_answered", survey="csat", score=0))
case(
    "complaint_open_days",
    20.0,
    ago(20, "complaint_opened", complaint_id="x"),
    ago(5, "complaint_opened", complaint_id="y"),
)
case(
    "complaint_open_days",
    None,
    ago(20, "complaint_opened", complaint_id="x"),
    ago(1, "complaint_resolved", complaint_id="x"),
)
case("complaint_severity", "severe", ago(20, "complaint_opened", complaint_id="x", severity="severe"),
     ago(1, "complaint_opened", complaint_id="y", severity="low"))  # fmt: skip
case("complaint_severity", "medium", ago(20, "complaint_opened", complaint_id="x"))
case("complaint_severity", "none")
case(
    "reviews_missed",
    2.0,
    ago(300, "review_missed", id="a"),
    ago(20, "review_missed", id="b"),
    ago(366, "review_missed", id="c"),
)
case("reviews_missed", 1.0, ago(30, "review_missed", id="a"), ago(25, "meeting_held"), ago(20, "review_missed", id="b"))
case("reviews_missed", 0.0, ago(25, "review_missed", id="a"), ago(25, "meeting_held"))
case("closure_requested", True, ago(5, "closure_requested"), state=stay("growth", 5, **LATER))
case("closure_requested", True, ago(6, "closure_requested"), state=stay("growth", 5, **LATER))
case("closure_requested", False, ago(6, "closure_requested"), state=stay("growth", 5, stage_before="decline"))
case(
    "closure_requested", False, ago(6, "closure_requested"), state=stay("mature", 4, **LATER, entry=BACK_FIVE_DAYS_AGO)
)
case("closure_requested", True, ago(5, "closure_requested"), state=stay("mature", 4, **LATER, entry=BACK_FIVE_DAYS_AGO))
case("transfer_out_started", True, ago(1, "transfer_out_started"))
case("accounts_closed", True, *HELD[:1], ago(2, "account_closed", account="A"))
case("accounts_closed", False, *HELD[:2], ago(9, "account_opened", account="B"), ago(2, "account_closed", account="A"))
case("accounts_closed", False, *HELD[:1], ago(2, "account_closed", account="A"), state=stay("prospect", 1, **LATER))
case("trial_started", True, ago(600, "account_opened"), state=stay("prospect", 5))  # older than the record
case("trial_started", False, ago(600, "account_opened"), state=stay("decline", 5))  # taken over: that was before
case("trial_started", True, ago(5, "trial_started"), state=stay("decline", 5, **LATER))
case("enquired", True, ago(4, "enquiry"))
case("enquired_after_closing", True, ago(9, "profile_changed", relationship="closed"), ago(4, "enquiry"))
case("enquired_after_closing", False, ago(3, "profile_changed", relationship="closed"), ago(4, "enquiry"))
case("enquired_after_closing", False, ago(4, "enquiry"))
case("kyc_status", "rejected", ago(9, "kyc_passed"), ago(8, "kyc_rejected"))
case("kyc_status", "none")
case("suitability", "none")
case("suitability", "valid", ago(30, "risk_profile_completed"))
case("suitability", "due", ago(335, "risk_profile_completed"))  # 30 of 365 days are left
case("suitability", "expired", ago(366, "risk_profile_completed"))
case("suitability", "due", ago(30, "risk_profile_completed", valid_until="2026-03-02T00:00:00Z"))
case("segment", "affluent", ago(1, "profile_changed", segment="affluent"))
case("segment", "mass")
case("age", 45.0, ago(1, "profile_changed", birth_on="1980-03-03"))
case("age", 46.0, ago(1, "profile_changed", birth_on="1980-03-02"))
case("age", None, ago(1, "profile_changed", birth_on=None))
case("contact_verified", True, ago(1, "profile_changed", contact_verified=True))
case("on_hold", True, ago(1, "profile_changed", holds=["dispute"]))
case("on_hold", False, ago(2, "profile_changed", holds=["dispute"]), ago(1, "profile_changed", holds=[]))
case("marketing_consent", False, ago(1, "profile_changed", marketing_consent=False))
case("relationship", "open")
case("relationship", "closed", ago(1, "profile_changed", relationship="closed"))
case("relationship", "open", ago(5, "profile_changed", relationship="closed"), ago(1, "account_opened", account="B"))
case(
    "relationship",
    "open",
    ago(5, "profile_changed", relationship="closed"),
    ago(1, "profile_changed", relationship="open"),
)
case("relationship", "closed", ago(9, "account_opened", account="A"), ago(1, "account_closed", account="A"))
case(
    "relationship",
    "open",
    ago(9, "account_opened", account="A"),
    ago(8, "account_opened", account="B"),
    ago(1, "account_closed", account="A"),
)
case("relationship", "open", ago(9, "balance", account="B", balance="5"), ago(1, "account_closed", account="A"))
case("closed_since", 12.0, *HELD[:1], ago(12, "account_closed", account="A"))
case("closed_since", None)
case("meeting_booked", True, ago(30, "contact_out", topic="meeting_booked"))
case("meeting_booked", False, ago(31, "contact_in", topic="meeting_booked"))
case("extension_active", True, ago(9, "extension_granted", until="2026-03-02T00:00:00Z"))
case("extension_active", False, ago(9, "extension_granted", until="2026-03-01T00:00:00Z"))
case("extension_active", False)
case("fee_enquiry_30d", True, ago(30, "contact_in", topic="transfer"))
case("fee_enquiry_30d", False, ago(2, "contact_out", topic="fee"))  # the institution's own words
case("offer_accepted_30d", True, ago(30, "offer_redeemed"))
case("portfolio_accepted", True, ago(300, "portfolio_accepted"))
case("recurring_cancelled_30d", True, ago(9, "recurring_deposit_cancelled"))
case(
    "recurring_cancelled_30d",
    False,
    ago(9, "recurring_deposit_cancelled"),
    ago(8, "recurring_deposit_started", id="new"),
)
case("product_dropped_90d", True, ago(90, "product_closed", product_id="p"))
case("product_dropped_90d", False, ago(91, "product_closed", product_id="p"))
case("product_opened_90d", True, ago(90, "product_opened", product_id="p"))
case("life_event_90d", True, ago(90, "life_event"))
case("life_event_90d", False, ago(-1, "life_event"))  # a clock that is ahead, just before midnight
case("zero_balance_days", 13.0, *HELD[:1], ago(13, "balance", account="A", balance="0"))
case("zero_balance_days", 0.0, *HELD)
case("zero_balance_days", 91.0, ago(200, "balance", account="A", balance="0"))
case("stage", "mature", state=stay("mature"))
case("stage_before", "none")
case("stage_before", "growth", state=stay("decline", **LATER))
case("entered_by", "leaving", state=stay("decline", **LATER))
case("aum_before_decline", 8000.0, state=stay("decline", **LATER, entry=ENTRY))
case("aum_before_decline", None)
case("outflow_before_decline", 4000.0, state=stay("decline", **LATER, entry=ENTRY))
case("refunded_pct", 0.5, *PAID, state=stay("decline", 20, **LATER, entry=ENTRY))  # net 3000 now, 1000 then
case("refunded_pct", None, *PAID, state=stay("decline", 20))
TOLD = {"net_total": 10000.0, "outflow_total": 0.0, "outflow": 0.0, "aum_before": 10000.0}
GONE = [ago(300, "deposit", amount="10000"), ago(10, "withdrawal", amount="8000"), ago(3, "deposit", amount="6000")]
case("refunded_pct", 0.75, *GONE, state=stay("decline", 20, **LATER, entry=TOLD))  # it left after the decline began
case("refunded_pct", None, *GONE[:1], state=stay("decline", 20, **LATER, entry=TOLD))  # nothing has left
case("net_flow_30d_pct_before", 0.0625, ago(99, "deposit", **IN), ago(5, "deposit", amount="500"),
     state=stay("decline", 20, **LATER, entry=ENTRY))  # fmt: skip
case(
    "net_flow_30d_pct_before", 0.0, ago(9, "deposit", **IN), state=stay("decline", 2, **LATER, entry=ENTRY)
)  # came before
case("had_trial", True, state=stay("prospect", last_trial_ended_day=TODAY - 7))
case("had_trial", False)
case("days_since_trial", 7.0, state=stay("prospect", last_trial_ended_day=TODAY - 7))
case("days_since_trial", None)
case(
    "returns_60d", 2.0, state=stay("growth", recent=[(TODAY - 61, "growth"), (TODAY - 60, "mature"), (TODAY, "growth")])
)
