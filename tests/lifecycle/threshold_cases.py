"""Every threshold of the shipped policies by hand: what passes, what just fails, and who stands on either side.

A key is the id of a rule, or `score/` and the id of a contribution, and the pointer of a comparison in it. A threshold
gives its fact values on both sides; threshold_moves.py brings a customer to each: the example of the rule, unless a base
stands here, because another branch of the rule would hold as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.lifecycle.ledgers import ago, stay
from tests.lifecycle.rule_examples import EXAMPLES, IN_TRIAL, INCOME, LEFT, LOST, MONTHLY, READY, RICH, Life
from tests.lifecycle.threshold_moves import ENDS, step


@dataclass(frozen=True)
class Threshold:
    """Values of a fact that pass, the nearest first, and the nearest that fail."""

    fact: str
    passing: tuple[Any, ...]
    failing: tuple[Any, ...]
    base: Life | None


def _number(fact: str, passing: float, failing: float, base: Life | None) -> Threshold:
    # One step further still passes: what tells "at least" from "just so".
    least, most = ENDS.get(fact, (float("-inf"), float("inf")))
    further = passing + (passing - failing)
    return Threshold(fact, (passing, further) if least <= further <= most else (passing,), (failing,), base)


def at_least(fact: str, value: float, base: Life | None = None) -> Threshold:
    """Passes at the value, fails a step below."""
    return _number(fact, value, value - step(fact), base)


def at_most(fact: str, value: float, base: Life | None = None) -> Threshold:
    """Passes at the value, fails a step above."""
    return _number(fact, value, value + step(fact), base)


def above(fact: str, value: float, base: Life | None = None) -> Threshold:
    """Passes a step above the value, fails at it."""
    return _number(fact, value + step(fact), value, base)


def below(fact: str, value: float, base: Life | None = None) -> Threshold:
    """Passes a step below the value, fails at it."""
    return _number(fact, value - step(fact), value, base)


def true(fact: str, base: Life | None = None) -> Threshold:
    """Passes if it is so."""
    return Threshold(fact, (True,), (False,), base)


def false(fact: str, base: Life | None = None) -> Threshold:
    """Passes if it is not so."""
    return Threshold(fact, (False,), (True,), base)


def one_of(fact: str, *values: str, but_not: tuple[str, ...], base: Life | None = None) -> Threshold:
    """Passes at each of the values."""
    return Threshold(fact, values, but_not, base)


def anything_but(fact: str, value: str, such_as: tuple[str, ...], base: Life | None = None) -> Threshold:
    """Fails at the value alone."""
    return Threshold(fact, such_as, (value,), base)


CALM = (stay("growth", 400), [*RICH, ago(1, "login")])
QUIET = (stay("growth", 400), RICH)
QUIET_MATURE = (stay("mature", 400), [ago(60, "login")])
QUIET_LEFT = (stay("decline", 400, stage_before="mature"), [ago(60, "login")])
STILL = (stay("growth", 200), RICH)
FUNDED_TRIAL = (stay("trial", 40, **IN_TRIAL), [ago(40, "deposit", amount="2000")])
EMPTY_TRIAL = (stay("trial", 40, **IN_TRIAL), [ago(30, "balance", account="A", balance="0"), *FUNDED_TRIAL[1]])
SAVER = (stay("trial", 20, **IN_TRIAL), [s for s in EXAMPLES["wealth"]["converted"][1] if s.kind != "trade"])
POOR = (stay("growth", 400), [*READY, *MONTHLY, ago(500, "deposit", amount="20000")])
PLAIN = (stay("growth", 400), [*READY, *MONTHLY, ago(500, "account_opened")])
GROWING = (stay("mature", 100), [*RICH, ago(120, "deposit", amount="10000"), ago(10, "deposit", amount="14000")])
GROWING_BY_CARD = (stay("mature", 100), [ago(20, "product_opened", product_id="card")])
LOST_READY = (stay("decline", 60, **LEFT, entry=LOST), [*READY, *(ago(3, "login", hour=h) for h in (8, 9, 10))])
OFFERED = (stay("decline", 60, **LEFT, entry=LOST), [*READY, ago(5, "offer_redeemed")])
PAID_AGAIN = (stay("decline", 60, **LEFT), [*READY, *INCOME[:2]])
PAID_LONG_AGO = (stay("decline", 70, **LEFT), [*READY, *(ago(d, "deposit", amount="2000") for d in (35, 65))])
TWO_PRODUCTS = (
    stay("growth", 290),
    [ago(380, "product_opened", product_id=p) for p in ("account", "standing order")],
)

NOT_PASSED = ("none", "rejected")
NOT_SEVERE = ("medium", "low", "none")
NOT_LEAVING: Mapping[str, Threshold] = {
    "false_alarm/guards/all/0": one_of("relationship", "open", but_not=("closed",)),
    "false_alarm/guards/all/1": false("closure_requested"),
    "false_alarm/guards/all/2": false("transfer_out_started"),
}

WEALTH: dict[str, Threshold] = {
    "score/outflow_25/when": at_most("net_flow_90d_pct", -0.25, CALM),
    "score/outflow_10/when/all/0": at_most("net_flow_90d_pct", -0.10, CALM),
    "score/outflow_10/when/all/1": above("net_flow_90d_pct", -0.25, CALM),
    "score/recurring_cancelled/when": true("recurring_cancelled_30d", CALM),
    "score/login_drop/when": at_least("login_drop", 0.60, CALM),
    "score/silent/when/any/0": at_least("days_since_activity", 120, QUIET_MATURE),
    "score/silent/when/any/1/all/0": at_least("days_since_activity", 60, QUIET),
    "score/silent/when/any/1/all/1": anything_but("stage", "mature", ("growth", "trial", "prospect"), QUIET_MATURE),
    "score/silent/when/any/1/all/2/any/0": anything_but(
        "stage", "decline", ("growth", "trial", "prospect"), QUIET_LEFT
    ),
    "score/silent/when/any/1/all/2/any/1": anything_but("stage_before", "mature", ("growth", "trial"), QUIET_LEFT),
    "score/product_dropped/when": true("product_dropped_90d", CALM),
    "score/fee_enquiry/when": true("fee_enquiry_30d", CALM),
    "score/complaint_open/when": above("complaint_open_days", 14, CALM),
    "score/detractor/when": at_most("nps_last", 6, CALM),
    "score/reviews_missed/when": at_least("reviews_missed", 2, CALM),
    "trial_started/when": true("trial_started"),
    "trial_started/guards/all/0": true("contact_verified"),
    "trial_started/guards/all/1": anything_but("kyc_status", "rejected", ("passed", "none")),
    "trial_started/guards/all/2": false("on_hold"),
    "trial_started/guards/all/3/any/0": false("had_trial"),
    "trial_started/guards/all/3/any/1": at_least("days_since_trial", 90),
    "fast_track/when": at_least("first_funding", 10_000),
    "fast_track/guards/all/0": one_of("kyc_status", "passed", but_not=NOT_PASSED),
    "fast_track/guards/all/1": one_of("suitability", "valid", but_not=("due", "expired", "none")),
    "fast_track/guards/all/2": false("on_hold"),
    "converted/when/all/0": at_least("funded_here", 1_000),
    "converted/when/all/1": true("portfolio_accepted"),
    "converted/when/all/2/of/0": at_least("trades_total", 1),
    "converted/when/all/2/of/1": true("recurring_deposit"),
    "converted/when/all/2/of/2": at_least("logins_14d", 3, SAVER),
    "converted/guards/all/0": one_of("kyc_status", "passed", but_not=NOT_PASSED),
    "converted/guards/all/1": one_of("suitability", "valid", but_not=("due", "expired", "none")),
    "converted/guards/all/2": anything_but("complaint_severity", "severe", NOT_SEVERE),
    "recycled/when/all/0": at_least("days_in_stage", 45),
    "recycled/when/all/1": at_most("funded_here", 0),
    "recycled/when/all/2": at_most("logins_14d", 0),
    "recycled/guards/all/0": false("extension_active"),
    "recycled/guards/all/1": false("meeting_booked"),
    "lost_in_trial/when/any/0": true("closure_requested", FUNDED_TRIAL),
    "lost_in_trial/when/any/1/all/0": above("funded_here", 0, EMPTY_TRIAL),
    "lost_in_trial/when/any/1/all/1": at_least("zero_balance_days", 14, EMPTY_TRIAL),
    "lost_in_trial/when/any/2/all/0": at_most("csat_last", 2),
    "lost_in_trial/when/any/2/all/1": at_most("logins_21d", 0),
    "matured/when/all/0": at_least("tenure_days", 365),
    "matured/when/all/1": at_least("days_in_stage", 180),
    "matured/when/all/2": at_least("active_months_12", 9),
    "matured/when/all/3": at_least("net_flow_90d_pct", -0.10),
    "matured/when/all/4": at_most("net_flow_90d_pct", 0.10),
    "matured/when/all/5/any/0": at_least("products_held", 2, POOR),
    "matured/when/all/5/any/1": at_least("net_paid", 50_000, PLAIN),
    "matured/guards/all/0": one_of("suitability", "valid", "due", but_not=("expired", "none")),
    "matured/guards/all/1": anything_but("complaint_severity", "severe", NOT_SEVERE),
    "matured/guards/all/2": below("attrition_score", 30),
    "reaccelerated/when/any/0": at_least("net_flow_90d_pct", 0.25),
    "reaccelerated/when/any/1/all/0": true("product_opened_90d", GROWING),
    "reaccelerated/when/any/1/all/1": at_least("net_flow_90d_pct", 0.10, GROWING_BY_CARD),
    "reaccelerated/guards": at_least("net_flow_180d_pct", 0.10),
    "at_risk/when": at_least("attrition_score", 60, STILL),
    "at_risk/guards": false("life_event_90d"),
    "leaving/when/any/0": true("closure_requested", STILL),
    "leaving/when/any/1": true("transfer_out_started", STILL),
    "leaving/when/any/2": true("accounts_closed", STILL),
    "leaving/when/any/3": at_least("outflow_30d_pct", 0.60, STILL),
    "false_alarm/when/all/0": one_of(
        "entered_by", "at_risk", "dormant_growth", "dormant_mature", but_not=("leaving", "lost_in_trial", "none")
    ),
    "false_alarm/when/all/1": below("attrition_score", 30),
    "false_alarm/when/all/2": at_most("days_since_activity", 30),
    **NOT_LEAVING,
    "dormant_growth/when": at_least("days_since_activity", 180),
    "dormant_growth/guards/all/0": false("on_hold"),
    "dormant_growth/guards/all/1": false("life_event_90d"),
    "dormant_mature/when": at_least("days_since_activity", 365),
    "dormant_mature/guards/all/0": false("on_hold"),
    "dormant_mature/guards/all/1": false("life_event_90d"),
    "won_back/when/any/0": at_least("refunded_pct", 0.50),
    "won_back/when/any/1": at_least("net_flow_30d_pct_before", 0.10),
    "won_back/when/any/2/all/0": true("offer_accepted_30d", LOST_READY),
    "won_back/when/any/2/all/1": at_least("logins_30d", 3, OFFERED),
    "won_back/guards/all/0": below("attrition_score", 30),
    "won_back/guards/all/1": one_of("relationship", "open", but_not=("closed",)),
    "won_back/guards/all/2": one_of("kyc_status", "passed", but_not=NOT_PASSED),
    "won_back/guards/all/3": one_of("suitability", "valid", but_not=("due", "expired", "none")),
    "retrial/when/all/0": at_most("aum", 0),
    "retrial/when/all/1": true("trial_started"),
    "reentered/when": true("enquired_after_closing"),
    "reentered/guards": true("marketing_consent"),
}

RETAIL_BANK: dict[str, Threshold] = {
    "score/outflow_50/when": at_most("net_flow_90d_pct", -0.50, CALM),
    "score/outflow_25/when/all/0": at_most("net_flow_90d_pct", -0.25, CALM),
    "score/outflow_25/when/all/1": above("net_flow_90d_pct", -0.50, CALM),
    "score/income_stopped/when/any/0": true("income_stopped", CALM),
    "score/income_stopped/when/any/1": true("salary_stopped", CALM),
    "score/product_dropped/when": true("product_dropped_90d", CALM),
    "score/silent/when": at_least("days_since_activity", 45, QUIET),
    "score/recurring_cancelled/when": true("recurring_cancelled_30d", CALM),
    "score/login_drop/when": at_least("login_drop", 0.60, CALM),
    "score/fee_enquiry/when": true("fee_enquiry_30d", CALM),
    "score/complaint_open/when": above("complaint_open_days", 14, CALM),
    "score/detractor/when": at_most("nps_last", 6, CALM),
    "trial_started/when": true("trial_started"),
    "trial_started/guards/all/0": anything_but("kyc_status", "rejected", ("passed", "none")),
    "trial_started/guards/all/1": false("on_hold"),
    "trial_started/guards/all/2/any/0": false("had_trial"),
    "trial_started/guards/all/2/any/1": at_least("days_since_trial", 90),
    "fast_track/when/all/0": at_least("active_months_3", 3),
    "fast_track/when/all/1": at_least("incoming_months_3", 3),
    "fast_track/guards/all/0": one_of("kyc_status", "passed", but_not=NOT_PASSED),
    "fast_track/guards/all/1": false("on_hold"),
    "converted/when/all/0": at_least("active_months_3", 3),
    "converted/when/all/1": at_least("incoming_months_3", 3),
    "converted/guards/all/0": one_of("kyc_status", "passed", but_not=NOT_PASSED),
    "converted/guards/all/1": anything_but("complaint_severity", "severe", NOT_SEVERE),
    "recycled/when/all/0": at_most("funded_here", 0),
    "recycled/when/all/1": at_least("days_since_activity", 45),
    "recycled/guards/all/0": false("extension_active"),
    "recycled/guards/all/1": false("meeting_booked"),
    "lost_in_trial/when/any/0": true("closure_requested", FUNDED_TRIAL),
    "lost_in_trial/when/any/1/all/0": above("funded_here", 0, EMPTY_TRIAL),
    "lost_in_trial/when/any/1/all/1/any/0": at_least("zero_balance_days", 14, EMPTY_TRIAL),
    "lost_in_trial/when/any/1/all/1/any/1": at_least(
        "days_since_activity", 120, (stay("trial", 150, **IN_TRIAL), [ago(150, "deposit", amount="300")])
    ),
    "matured/when/all/0": at_least("tenure_days", 365),
    "matured/when/all/1": at_least("active_months_12", 9, TWO_PRODUCTS),
    "matured/when/all/2": at_least("products_held", 2),
    "matured/guards/all/0": anything_but("complaint_severity", "severe", NOT_SEVERE),
    "matured/guards/all/1": below("attrition_score", 30),
    "reaccelerated/when/all/0": true("product_opened_90d"),
    "reaccelerated/when/all/1": at_least("net_flow_90d_pct", 0.25),
    "reaccelerated/guards": at_least("net_flow_180d_pct", 0.10),
    "at_risk/when": at_least("attrition_score", 60, STILL),
    "at_risk/guards": false("life_event_90d"),
    "leaving/when/any/0": true("closure_requested", STILL),
    "leaving/when/any/1": true("transfer_out_started", STILL),
    "leaving/when/any/2": true("accounts_closed", STILL),
    "false_alarm/when/all/0": one_of("entered_by", "at_risk", "dormant", but_not=("leaving", "lost_in_trial", "none")),
    "false_alarm/when/all/1": below("attrition_score", 30),
    "false_alarm/when/all/2": at_most("days_since_activity", 30),
    **NOT_LEAVING,
    "dormant/when": at_least("days_since_activity", 120),
    "dormant/guards/all/0": false("on_hold"),
    "dormant/guards/all/1": false("life_event_90d"),
    "won_back/when/any/0": at_least("refunded_pct", 0.50),
    "won_back/when/any/1/all/0": at_least("days_in_stage", 60, PAID_AGAIN),
    "won_back/when/any/1/all/1": at_least("incoming_months_3", 2, PAID_AGAIN),
    "won_back/when/any/1/all/2": at_most("days_since_activity", 30, PAID_LONG_AGO),
    "won_back/when/any/2/all/0": true("offer_accepted_30d", LOST_READY),
    "won_back/when/any/2/all/1": at_least("logins_30d", 3, OFFERED),
    "won_back/guards/all/0": below("attrition_score", 30),
    "won_back/guards/all/1": one_of("relationship", "open", but_not=("closed",)),
    "won_back/guards/all/2": one_of("kyc_status", "passed", but_not=NOT_PASSED),
    "retrial/when/all/0": at_most("aum", 0),
    "retrial/when/all/1": true("trial_started"),
    "reentered/when": true("enquired_after_closing"),
    "reentered/guards": true("marketing_consent"),
}
THRESHOLDS: Mapping[str, Mapping[str, Threshold]] = {"wealth": WEALTH, "retail_bank": RETAIL_BANK}

NUMBERS: Mapping[str, Mapping[str, int]] = {
    "wealth": {
        "score/outflow_25/points": 40, "score/outflow_10/points": 20, "score/recurring_cancelled/points": 15,
        "score/login_drop/points": 15, "score/silent/points": 20, "score/product_dropped/points": 15,
        "score/fee_enquiry/points": 20, "score/complaint_open/points": 20, "score/detractor/points": 10,
        "score/reviews_missed/points": 10,
        "recycled/min_dwell_days": 45, "matured/confirm_days": 14, "matured/min_dwell_days": 180,
        "reaccelerated/confirm_days": 7, "reaccelerated/min_dwell_days": 60, "at_risk/confirm_days": 7,
        "at_risk/min_dwell_days": 30, "false_alarm/confirm_days": 14, "dormant_growth/min_dwell_days": 30,
        "dormant_mature/min_dwell_days": 30, "won_back/confirm_days": 14, "won_back/min_dwell_days": 14,
        "retrial/min_dwell_days": 30, "reentered/min_dwell_days": 30,
    },
    "retail_bank": {
        "score/outflow_50/points": 40, "score/outflow_25/points": 20, "score/income_stopped/points": 25,
        "score/product_dropped/points": 15, "score/silent/points": 20, "score/recurring_cancelled/points": 15,
        "score/login_drop/points": 15, "score/fee_enquiry/points": 20, "score/complaint_open/points": 20,
        "score/detractor/points": 10,
        "recycled/min_dwell_days": 90, "matured/confirm_days": 14, "matured/min_dwell_days": 180,
        "reaccelerated/confirm_days": 7, "reaccelerated/min_dwell_days": 60, "at_risk/confirm_days": 7,
        "at_risk/min_dwell_days": 30, "false_alarm/confirm_days": 14, "dormant/min_dwell_days": 30,
        "won_back/confirm_days": 14, "won_back/min_dwell_days": 14, "retrial/min_dwell_days": 30,
        "reentered/min_dwell_days": 30,
    },
}  # fmt: skip
"""Points of each contribution, and the confirm windows and least stays of the rules that have one."""
