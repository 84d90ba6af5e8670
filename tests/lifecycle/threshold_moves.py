"""How a customer comes to a given value of a fact: by what they did and where they stand, never by setting the fact.

`MOVES`: fact -> move; a move takes what a customer did before, and leaves everything but what its fact is made of.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

from app.lifecycle.core.facts import FACTS, SCORE
from app.lifecycle.core.signals import ACTS
from tests.lifecycle.ledgers import MIDNIGHT, TODAY, Sent, ago
from tests.lifecycle.rule_examples import INCOME, LOST, Life

Move = Callable[[Life, Any], Life]

ASSETS = 60_000
"""What the customers of the shares of assets had, so that a ten-thousandth is the smallest part of it."""
SECOND = 1 / 3600
"""In hours, which is what `ago` takes."""
USUAL = 100
"""Logins a month of those whose logins fall."""

_TINY = 0.0001
SMALLEST_SHARE = {
    **dict.fromkeys(("net_flow_90d_pct", "net_flow_180d_pct", "outflow_30d_pct"), _TINY / ASSETS),
    "refunded_pct": _TINY / LOST["outflow"],
    "net_flow_30d_pct_before": _TINY / LOST["aum_before"],
    "login_drop": 1 / USUAL,
}
POINTS = 5
"""Every contribution gives a multiple of it, so that no score lies between."""


def step(fact: str) -> float:
    """The least by which a fact can change."""
    if fact == SCORE:
        return POINTS
    return {"money": _TINY, "share": SMALLEST_SHARE.get(fact, 0.0)}.get(FACTS[fact].unit, 1)


ENDS: Mapping[str, tuple[float, float]] = {
    "funded_here": (0, 1e10),
    "logins_14d": (0, 1e6),
    "logins_21d": (0, 1e6),
    "active_months_3": (0, 3),
    "incoming_months_3": (0, 3),
}
"""Least and largest value, where a threshold of a shipped policy stands at an end."""

MONEY = {"deposit", "withdrawal", "balance"}
BEGINNINGS = {"account_opened", "deposit", "product_opened"}


def amount(value: float) -> str:
    """As signals hold money."""
    return f"{value:.4f}"


def told(kinds: Iterable[str], signals: Callable[[Any], Iterable[Sent]]) -> Move:
    """Forget what was told by signals of some kinds, and tell what gives the value."""
    forgotten = set(kinds)

    def move(life: Life, value: Any) -> Life:
        state, sent = life
        return state, [*(s for s in sent if s.kind not in forgotten), *signals(value)]

    return move


def stands(fields: Callable[[Any], Mapping[str, Any]]) -> Move:
    """Change where the customer stands."""

    def move(life: Life, value: Any) -> Life:
        return replace(life[0], **fields(value)), life[1]

    return move


def within(days: int, kind: str, /, **payload: Any) -> Move:
    """The last day that counts, or the day before it."""
    return told({kind}, lambda on: [ago(days if on else days + 1, kind, **payload)])


def ever(kind: str) -> Move:
    """Done, or never done."""
    return told({kind}, lambda on: [ago(5, kind)] if on else [])


def profile(name: str) -> Move:
    """What the profile says since yesterday."""
    return told((), lambda value: [ago(1, "profile_changed", **{name: value})])


def times(kind: str, *, day: int = 5) -> Move:
    """So many on one day."""
    return told({kind}, lambda n: [ago(day, kind, key=f"{kind} {i}") for i in range(int(n))])


def flow(share: float) -> list[Sent]:
    """What brings a share of ASSETS, or takes it away, in the last 90 days."""
    return [ago(10, "deposit" if share > 0 else "withdrawal", amount=amount(abs(share) * ASSETS))] if share else []


def half_year(share: float) -> list[Sent]:
    """Growth by 4/15 in 90 days, and by `share` in 180: the rest had left in the 90 days before."""
    left = 4 / 15 - share
    return [
        ago(500, "deposit", amount=amount((1 + left) * ASSETS)),
        ago(120, "withdrawal", amount=amount(left * ASSETS)),
        *flow(4 / 15),
    ]


def logins(last_month: int) -> list[Sent]:
    """So many in the last 30 days, after USUAL in each of the two months before."""
    before = [ago(31 + i % 50, "login", key=f"before {i}") for i in range(2 * USUAL)]
    return [*before, *(ago(1 + i % 25, "login", key=f"login {i}") for i in range(last_month))]


def silent(life: Life, days: int) -> Life:
    """The last act so many days ago."""
    state, sent = life
    kept = [s for s in sent if s.kind not in ACTS or s.day <= TODAY - days]
    return state, [*kept, ago(int(days), "login")]


def begun(life: Life, days: int) -> Life:
    """A customer for so many days: what would have made them one before happens on that day."""
    state, sent = life
    first = MIDNIGHT - timedelta(days=int(days))
    moved = [replace(s, at=max(s.at, first)) if s.kind in BEGINNINGS else s for s in sent]
    return state, [*moved, ago(int(days), "account_opened")]


def newly_begun(life: Life, value: bool) -> Life:
    """A trial begun in the present stage, or a second before it; in the first stage of a life, or never."""
    state, sent = told({"trial_started", "account_opened"}, lambda _: [])(life, value)
    first_stage = state.stage_before is None
    hour = 0 if value else -SECOND
    return state, sent if first_stage and not value else [
        *sent,
        ago(TODAY - state.entered_day, "trial_started", hour=hour),
    ]


def accounts(all_closed: bool) -> list[Sent]:
    """Two accounts, of which both were closed yesterday, or one."""
    return [ago(90, "account_opened", account=a) for a in "AB"] + [
        ago(1, "account_closed", account=a) for a in ("AB" if all_closed else "A")
    ]


SIGNS = {
    "fee_enquiry": (20, ago(5, "contact_in", topic="fee")),
    "complaint_open": (20, ago(20, "complaint_opened", complaint_id="c")),
    "product_dropped": (15, ago(20, "product_closed", product_id="old")),
    "recurring_cancelled": (15, ago(20, "recurring_deposit_cancelled")),
    "detractor": (10, ago(5, "survey_answered", survey="nps", score=3)),
}


def score(points: int) -> list[Sent]:
    """Signs of leaving that both policies weigh alike, just so many points of them, by somebody who is not silent."""
    sets = (chosen for n in range(len(SIGNS) + 1) for chosen in combinations(SIGNS.values(), n))
    chosen = next(chosen for chosen in sets if sum(weight for weight, _ in chosen) == points)
    return [*(sign for _, sign in chosen), ago(4, "login")]


SUITABLE = {"valid": 334, "due": 335, "expired": 366}
"""Since when a risk profile of a year has been there: the first or last day of its state."""
SEVERITY = {"low": "low", "medium": "medium", "severe": "severe"}
COMPLAINTS = {"complaint_opened", "complaint_resolved"}

MOVES: Mapping[str, Move] = {
    "accounts_closed": told({"account_opened", "account_closed"}, accounts),
    "active_months_3": told({"login", "deposit"}, lambda n: INCOME[: int(n)]),
    "active_months_12": told({"login"}, lambda n: [ago(5 + 30 * k, "login") for k in range(int(n))]),
    SCORE: told({s.kind for _, s in SIGNS.values()}, score),
    "net_paid": told(MONEY, lambda v: [ago(500, "deposit", amount=amount(v))]),
    "aum": told(MONEY, lambda v: [ago(500, "balance", account="A", balance=amount(v))]),
    "closure_requested": ever("closure_requested"),
    "complaint_open_days": told(COMPLAINTS, lambda n: [ago(int(n), "complaint_opened", complaint_id="c")]),
    "complaint_severity": told(
        COMPLAINTS,
        lambda how: [ago(2, "complaint_opened", complaint_id="c", severity=how)] if how != "none" else [],
    ),
    "contact_verified": profile("contact_verified"),
    "csat_last": told({"survey_answered"}, lambda n: [ago(30, "survey_answered", survey="csat", score=int(n))]),
    "days_in_stage": stands(
        lambda n: {"entered_day": TODAY - int(n), "entered_at": (MIDNIGHT - timedelta(days=int(n))).timestamp()}
    ),
    "days_since_activity": silent,
    "days_since_trial": stands(lambda n: {"last_trial_ended_day": TODAY - int(n)}),
    "enquired_after_closing": told(
        {"enquiry"},
        lambda after: [
            ago(50, "profile_changed", relationship="closed"),
            ago(50, "enquiry", hour=9 if after else 9 - SECOND),
        ],
    ),
    "entered_by": stands(lambda rule: {"entered_by": rule}),
    "extension_active": told(
        {"extension_granted"},
        lambda on: [ago(9, "extension_granted", until=f"2026-03-0{2 if on else 1}T00:00:00Z")],
    ),
    "fee_enquiry_30d": within(30, "contact_in", topic="fee"),
    "first_funding": told({"deposit"}, lambda v: [ago(1, "deposit", amount=amount(v))]),
    "funded_here": told({"deposit"}, lambda v: [ago(60, "deposit", amount=amount(v))] if v else []),
    "had_trial": stands(lambda had: {"last_trial_ended_day": TODAY - 89 if had else None}),
    "income_stopped": told({"deposit"}, lambda on: [ago(d, "deposit", amount="9") for d in (80, 60, 45 if on else 44)]),
    "incoming_months_3": told(
        {"login", "deposit"},
        lambda n: [*(ago(d, "login") for d in (6, 41, 71)), *INCOME[: int(n)]],
    ),
    "kyc_status": told({"kyc_passed", "kyc_rejected"}, lambda v: [ago(1, f"kyc_{v}")] if v != "none" else []),
    "life_event_90d": within(90, "life_event"),
    "login_drop": told({"login"}, lambda share: logins(round((1 - share) * USUAL))),
    **{f"logins_{days}d": times("login", day=days - 1) for days in (14, 21, 30)},
    "marketing_consent": profile("marketing_consent"),
    "meeting_booked": within(30, "contact_out", topic="meeting_booked"),
    "net_flow_180d_pct": told(MONEY, half_year),
    "net_flow_30d_pct_before": told(
        MONEY, lambda share: [ago(29, "deposit", amount=amount(share * LOST["aum_before"]))]
    ),
    "net_flow_90d_pct": told(
        MONEY,
        lambda share: [ago(500, "deposit", amount="50000"), ago(120, "deposit", amount="10000"), *flow(share)],
    ),
    "nps_last": told({"survey_answered"}, lambda n: [ago(5, "survey_answered", survey="nps", score=int(n))]),
    "offer_accepted_30d": within(30, "offer_redeemed"),
    "on_hold": told((), lambda on: [ago(1, "profile_changed", holds=["compliance"] if on else [])]),
    "outflow_30d_pct": told(
        MONEY,
        lambda share: [
            ago(500, "deposit", amount=amount(ASSETS)),
            ago(29, "withdrawal", amount=amount(share * ASSETS)),
        ],
    ),
    "portfolio_accepted": ever("portfolio_accepted"),
    "product_dropped_90d": within(90, "product_closed", product_id="old"),
    "product_opened_90d": within(90, "product_opened", product_id="card"),
    "products_held": told(
        {"product_opened"}, lambda n: [ago(380, "product_opened", product_id=f"{i}") for i in range(int(n))]
    ),
    "recurring_cancelled_30d": within(30, "recurring_deposit_cancelled"),
    "recurring_deposit": ever("recurring_deposit_started"),
    "refunded_pct": told(MONEY, lambda share: [ago(40, "deposit", amount=amount(share * LOST["outflow"]))]),
    "relationship": profile("relationship"),
    "reviews_missed": told({"review_missed"}, lambda n: [ago(20, "review_missed", id=f"{i}") for i in range(int(n))]),
    "salary_stopped": told(
        {"deposit"},
        lambda on: [
            ago(46 if on else 45, "deposit", amount="2000", kind="salary"),
            ago(5, "deposit", amount="20"),
        ],
    ),
    "stage": stands(lambda stage: {"stage": stage}),
    "stage_before": stands(lambda stage: {"stage_before": stage}),
    "suitability": told(
        {"risk_profile_completed"},
        lambda v: [ago(SUITABLE[v], "risk_profile_completed")] if v in SUITABLE else [],
    ),
    "tenure_days": begun,
    "trades_total": times("trade"),
    "transfer_out_started": ever("transfer_out_started"),
    "trial_started": newly_begun,
    "zero_balance_days": told(
        {"balance"},
        lambda n: [ago(200, "balance", account="A", balance="500"), ago(int(n), "balance", account="A", balance="0")],
    ),
}
