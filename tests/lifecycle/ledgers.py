"""Customers for pure tests: signals folded into what the database would hold, and random ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from app.lifecycle.core.facts import Evaluation
from app.lifecycle.core.ledger import BALANCE_PAST, Known, Ledger, State, Totals
from app.lifecycle.core.policy import Policy, parse_policy
from app.lifecycle.core.rules import Subject, value_now
from app.lifecycle.core.signals import Effects, effects
from app.lifecycle.core.stages import EPOCH_ORDINAL, STAGES
from app.lifecycle.policies import SHIPPED, shipped_document

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
NOW = MIDNIGHT + timedelta(hours=10)
TODAY = MIDNIGHT.toordinal() - EPOCH_ORDINAL
DAY = 86_400.0

LAW = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
"""For laws over random customers: a busy machine must not make them fail."""

POLICIES: dict[str, Policy] = {name: parse_policy(shipped_document(name), 1) for name in SHIPPED}


@dataclass(frozen=True)
class Sent:
    """A signal as it was sent, with its key."""

    id: str
    kind: str
    at: datetime
    payload: Mapping[str, Any]

    @property
    def day(self) -> int:
        return self.at.toordinal() - EPOCH_ORDINAL


def ago(days: int, kind: str, /, *, hour: int = 9, key: object = None, **payload: Any) -> Sent:
    """A signal of `days` days ago."""
    at = MIDNIGHT - timedelta(days=days) + timedelta(hours=hour)
    return Sent(str(key or (days, kind, hour, sorted(payload.items()))), kind, at, payload)


def stay(stage: str, days: int = 400, **fields: Any) -> State:
    """In `stage` for `days` days."""
    entered = MIDNIGHT - timedelta(days=days)
    return State(stage, TODAY - days, entered.timestamp(), **fields)


def fold(signals: Iterable[Sent], state: State | None = None) -> Known:
    """What the tables hold after these signals in any order: sums, extremes, and the last writer of each value."""
    meant = [(s, effects(s.kind, s.payload, s.at)) for s in {s.id: s for s in signals}.values()]
    meant.sort(key=lambda pair: (pair[0].at, pair[0].id))
    marks, closing = {}, {}
    for s, effect in meant:
        marks |= {name: (s.day, s.at.timestamp(), value) for name, value in effect.marks.items()}
        if effect.account is not None and effect.balance is not None:
            closing[effect.account, s.day] = effect.balance
    return Known(
        today=TODAY,
        now=NOW.timestamp(),
        state=state or stay("growth"),
        totals=_totals(meant),
        days=_days(meant),
        accounts=_accounts(closing),
        marks=marks,
    )


Meant = Sequence[tuple[Sent, Effects]]


def _days(meant: Meant) -> list[list[int]]:
    sums: dict[int, list[int]] = {}
    for s, e in meant:
        row = sums.setdefault(s.day, [0] * 6)
        added = (e.inflow, e.outflow, int(e.inflow > 0), e.trades, e.logins, e.activity)
        for i, value in enumerate(added):
            row[i] += value
    return [list(sums), *(list(column) for column in zip(*sums.values(), strict=True))] if sums else []


def _totals(meant: Meant) -> Totals:
    funded = min((s.day for s, e in meant if e.inflow), default=None)
    return Totals(
        inflow=sum((e.inflow for _, e in meant)),
        outflow=sum((e.outflow for _, e in meant)),
        trades=sum(e.trades for _, e in meant),
        first_funded_day=funded,
        first_funded=sum((e.inflow for s, e in meant if s.day == funded)),
        last_active_day=max((s.day for s, e in meant if e.activity), default=None),
        since_day=min((s.day for s, e in meant if e.since), default=None),
    )


def _accounts(closing: Mapping[tuple[str, int], int]) -> list[tuple[int | None, list[int], list[int]]]:
    found = []
    for account in dict.fromkeys(account for account, _ in closing):
        rows = sorted((day, value) for (name, day), value in closing.items() if name == account)
        before = [value for day, value in rows if day <= TODAY - BALANCE_PAST]
        after = [row for row in rows if row[0] > TODAY - BALANCE_PAST]
        found.append((before[-1] if before else None, [day for day, _ in after], [value for _, value in after]))
    return found


def fact(name: str, *signals: Sent, state: State | None = None) -> Any:
    """One fact of one customer, today."""
    return value_now(Evaluation(Ledger([fold(signals, state)]))[name], 0)


def same(one: Any, other: Any) -> bool:
    """Whether two matrices hold the same, not computed included."""
    a, b = np.broadcast_arrays(one, other)
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _amounts(largest: int) -> st.SearchStrategy[str]:
    return st.integers(1, largest).map(str)


_ANY = st.fixed_dictionaries({})
_PAYLOADS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    **dict.fromkeys(("enquiry", "login", "trade", "trial_started", "portfolio_accepted", "meeting_held"), _ANY),
    **dict.fromkeys(("offer_redeemed", "life_event", "closure_requested", "transfer_out_started"), _ANY),
    "deposit": st.fixed_dictionaries({"amount": _amounts(40_000)}, optional={"kind": st.just("salary")}),
    "withdrawal": st.fixed_dictionaries({"amount": _amounts(40_000)}, optional={"system": st.booleans()}),
    "balance": st.fixed_dictionaries({"account": st.sampled_from("AB"), "balance": _amounts(90_000)}),
    **dict.fromkeys(("account_opened", "account_closed"), st.fixed_dictionaries({"account": st.sampled_from("AB")})),
    **dict.fromkeys(("product_opened", "product_closed"), st.fixed_dictionaries({"product_id": st.sampled_from("pq")})),
    **dict.fromkeys(("recurring_deposit_started", "recurring_deposit_cancelled"), _ANY),
    **dict.fromkeys(("complaint_opened", "complaint_resolved"), st.just({"complaint_id": "c"})),
    "contact_in": st.fixed_dictionaries({"topic": st.sampled_from(["fee", "general", "meeting_booked"])}),
    "survey_answered": st.fixed_dictionaries({"survey": st.sampled_from(["nps", "csat"]), "score": st.integers(0, 10)}),
    "risk_profile_completed": _ANY,
    "kyc_passed": _ANY,
    "review_missed": st.fixed_dictionaries({"id": st.sampled_from("xyz")}),
    "extension_granted": st.just({"until": "2026-03-20T00:00:00Z"}),
    "profile_changed": st.fixed_dictionaries(
        {"contact_verified": st.booleans(), "marketing_consent": st.booleans(), "birth_on": st.just("1980-02-29")}
    ),
}
KINDS = frozenset(_PAYLOADS)


@st.composite
def signal_lists(draw: st.DrawFn, *, kinds: Iterable[str] = KINDS, least: int = 0) -> list[Sent]:
    """Up to 40 signals of the last 500 days, most of them recent."""
    days = st.one_of(st.integers(0, 100), st.integers(0, 500))
    kind = st.sampled_from(sorted(kinds))
    drawn = draw(st.lists(st.tuples(kind, days, st.integers(0, 9)), min_size=least, max_size=40))
    return [ago(d, k, hour=h, key=f"{i:02}", **draw(_PAYLOADS[k])) for i, (k, d, h) in enumerate(drawn)]


@st.composite
def states(draw: st.DrawFn) -> State:
    """Any stage, entered up to 500 days ago, by a rule, by hand, or at the beginning."""
    stage, days = draw(st.sampled_from(STAGES)), draw(st.integers(0, 500))
    before = draw(st.sampled_from([None, *(s for s in STAGES if s != stage)]))
    return stay(
        stage,
        days,
        stage_before=before,
        entered_by=before and draw(st.sampled_from([None, "at_risk", "leaving", "dormant", "dormant_growth"])),
        last_trial_ended_day=draw(st.none() | st.integers(TODAY - 300, TODAY)),
        entry=draw(st.sampled_from([{}, _ENTRY])) if before else {},
        recent=[(TODAY - d, "growth") for d in draw(st.lists(st.integers(0, 80), max_size=3))],
    )


_ENTRY = {"net_total": 0.0, "outflow_total": 5_000.0, "outflow": 10_000.0, "aum_before": 30_000.0}


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """A random customer, held or not, with confirm windows that have begun."""
    known = fold(draw(signal_lists()), draw(states()))
    rules = [rule for policy in POLICIES.values() for rule in policy.rules if rule.confirm_days]
    begun = draw(st.lists(st.sampled_from(rules), max_size=4))
    return Subject(
        known,
        bound=draw(st.booleans()),
        confirming={rule.fingerprint: known.now - draw(st.floats(0, 20)) * DAY for rule in begun},
        last_automatic_at=draw(st.none() | st.floats(0, 3).map(lambda d: known.now - d * DAY)),
    )
