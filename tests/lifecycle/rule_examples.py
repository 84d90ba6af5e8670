"""For every rule of the shipped policies one customer whom it moves, and what would have kept them."""

from app.lifecycle.core.ledger import Known, State
from tests.lifecycle.ledgers import Sent, ago, fold, stay

Life = tuple[State, list[Sent]]

READY = [
    ago(90, "profile_changed", contact_verified=True, marketing_consent=True, holds=[]),
    ago(90, "kyc_passed"),
    ago(90, "risk_profile_completed"),
]
MONTHLY = [ago(5 + 30 * k, "login") for k in range(12)]
INCOME = [ago(d, "deposit", amount="2000") for d in (5, 40, 70)]
RICH = [ago(500, "deposit", amount="60000", account="A", balance_after="60000")]
LEFT = {"stage_before": "growth", "entered_by": "leaving"}
LOST = {"net_total": 0.0, "outflow_total": 10000.0, "outflow": 10000.0, "aum_before": 20000.0}
EMPTIED = [ago(300, "deposit", amount="1000"), ago(70, "withdrawal", amount="1000")]
CLOSED = [ago(50, "profile_changed", relationship="closed")]
IN_TRIAL = {"stage_before": "prospect", "entered_by": "trial_started"}

FALSE_ALARM = (stay("decline", 40, stage_before="mature", entered_by="at_risk"), [ago(3, "login")])
RETRIAL = (stay("decline", 60, **LEFT), [*EMPTIED, ago(1, "account_opened", account="B")])
REENTERED = (stay("decline", 60, **LEFT), [*READY, *CLOSED, ago(2, "enquiry")])
REFUNDED = (stay("decline", 60, **LEFT, entry=LOST), [*READY, ago(20, "deposit", amount="6000")])

EXAMPLES: dict[str, dict[str, Life]] = {
    "wealth": {
        "trial_started": (stay("prospect", 10), [*READY, ago(1, "trial_started")]),
        "fast_track": (stay("prospect", 10), [*READY, ago(1, "deposit", amount="12000")]),
        "converted": (
            stay("trial", 20, **IN_TRIAL),
            [
                *READY,
                ago(10, "deposit", amount="1500"),
                ago(9, "portfolio_accepted"),
                ago(8, "trade"),
                ago(7, "recurring_deposit_started"),
            ],
        ),
        "recycled": (stay("trial", 50, **IN_TRIAL), [ago(50, "trial_started"), ago(14, "login")]),
        "lost_in_trial": (
            stay("trial", 40, **IN_TRIAL),
            [ago(40, "deposit", amount="2000"), ago(30, "survey_answered", survey="csat", score=1), ago(25, "login")],
        ),
        "matured": (stay("growth", 400), [*READY, *RICH, *MONTHLY]),
        "reaccelerated": (stay("mature", 100), [*RICH, ago(10, "deposit", amount="16000")]),
        "at_risk": (
            stay("growth", 200),
            [*RICH, ago(10, "withdrawal", amount="15000"), ago(5, "contact_in", topic="transfer")],
        ),
        "leaving": (stay("growth", 20), [*RICH, ago(3, "withdrawal", amount="36000")]),
        "false_alarm": FALSE_ALARM,
        "dormant_growth": (stay("growth", 300), [ago(180, "login")]),
        "dormant_mature": (stay("mature", 500), [ago(365, "login")]),
        "won_back": REFUNDED,
        "retrial": RETRIAL,
        "reentered": REENTERED,
    },
    "retail_bank": {
        "trial_started": (stay("prospect", 10), [ago(1, "account_opened", account="A")]),
        "fast_track": (stay("prospect", 10), [*READY, *INCOME]),
        "converted": (stay("trial", 90, **IN_TRIAL), [*READY, *INCOME]),
        "recycled": (stay("trial", 90, **IN_TRIAL), [ago(90, "account_opened", account="A")]),
        "lost_in_trial": (stay("trial", 150, **IN_TRIAL), [ago(120, "deposit", amount="300")]),
        "matured": (
            stay("growth", 290),
            [
                *(ago(380 - 30 * k, "deposit", amount="2000") for k in range(13)),
                ago(380, "product_opened", product_id="account"),
                ago(200, "product_opened", product_id="standing order"),
            ],
        ),
        "reaccelerated": (
            stay("mature", 100),
            [
                ago(200, "balance", account="A", balance="10000"),
                ago(20, "product_opened", product_id="card"),
                ago(10, "deposit", amount="2500"),
            ],
        ),
        "at_risk": (  # income stopped, product dropped, silent: the money is still there
            stay("growth", 200),
            [*(ago(d, "deposit", amount="2000") for d in (50, 80, 110)), ago(20, "product_closed", product_id="card")],
        ),
        "leaving": (
            stay("mature", 20),
            [
                ago(90, "account_opened", account="A"),
                ago(90, "balance", account="A", balance="50"),
                ago(1, "account_closed", account="A"),
            ],
        ),
        "false_alarm": FALSE_ALARM,
        "dormant": (stay("mature", 130), [ago(120, "login")]),
        "won_back": REFUNDED,
        "retrial": RETRIAL,
        "reentered": REENTERED,
    },
}

SEVERE = ago(2, "complaint_opened", complaint_id="c", severity="severe")
HELD = ago(1, "profile_changed", holds=["compliance"])
REJECTED = ago(1, "kyc_rejected")
BLOCKERS: dict[str, Sent] = {
    "trial_started": REJECTED,
    "fast_track": HELD,
    "converted": SEVERE,
    "recycled": ago(20, "contact_out", topic="meeting_booked"),
    "matured": SEVERE,
    "reaccelerated": ago(120, "withdrawal", amount="20000"),
    "at_risk": ago(60, "life_event"),
    "dormant": HELD,
    "dormant_growth": HELD,
    "dormant_mature": HELD,
    "false_alarm": ago(1, "closure_requested"),
    "won_back": ago(1, "profile_changed", relationship="closed"),
    "reentered": ago(1, "profile_changed", marketing_consent=False),
}
"""What the guards of a rule are there for."""


def example(policy: str, rule: str, *more: Sent) -> Known:
    """The customer whom a rule moves, to whom perhaps more happened."""
    state, signals = EXAMPLES[policy][rule]
    return fold([*signals, *more], state)
