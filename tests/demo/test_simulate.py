"""The simulated institution: frozen, consistent with itself, and holding the hard cases that rules must survive."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.demo.shapes import DemoSignal
from app.demo.simulate import Institution, fingerprint, simulate

END = date(2026, 7, 1)
FROZEN = "51487496e2e89e7a5aeefd848c623c24f15a886ecdb2b1d5bafc0c2c65c3a0e5"

EDGES = {
    ("prospect", "trial"),
    ("trial", "growth"),
    ("trial", "prospect"),
    ("trial", "decline"),
    ("growth", "mature"),
    ("growth", "decline"),
    ("mature", "decline"),
    ("decline", "growth"),
    ("decline", "prospect"),
}
POSTING = {"amount", "account", "balance_after"}
KEYS: dict[str, tuple[set[str], set[str]]] = {  # required, optional
    "deposit": (POSTING, {"kind", "system"}),
    "withdrawal": (POSTING, {"kind", "system"}),
    "balance": ({"account", "balance"}, set()),
    "trade": ({"side", "amount"}, set()),
    "product_opened": ({"product_id", "product_type"}, set()),
    "product_closed": ({"product_id"}, set()),
    "account_opened": ({"account"}, set()),
    "account_closed": ({"account"}, set()),
    "onboarding_step": ({"step"}, set()),
    "complaint_opened": ({"complaint_id", "severity"}, set()),
    "complaint_resolved": ({"complaint_id"}, set()),
    "survey_answered": ({"survey", "score"}, set()),
    "contact_in": ({"topic"}, set()),
    "life_event": ({"kind"}, set()),
    "recurring_deposit_started": ({"id"}, set()),
    "recurring_deposit_cancelled": ({"id"}, set()),
    "social_mention": ({"tag"}, set()),
    "login": (set(), set()),
    "trial_started": (set(), set()),
    "kyc_passed": (set(), set()),
    "kyc_rejected": (set(), set()),
    "contact_out": (set(), set()),
    "meeting_held": (set(), set()),
    "risk_profile_completed": (set(), set()),
    "portfolio_accepted": (set(), set()),
    "transfer_out_started": (set(), set()),
    "closure_requested": (set(), set()),
    "offer_redeemed": (set(), set()),
    "content_opened": (set(), set()),
    "event_attended": (set(), set()),
    "enquiry": (set(), set()),
}
ACTS = {"login", "trade", "content_opened"}


@pytest.fixture(scope="module")
def institution() -> Institution:
    return simulate(customers=400, end=END)


def check_signals(institution: Institution, end: date) -> None:
    created = {customer.external_id: customer.created_on for customer in institution.customers}
    keys = [(signal.occurred_at, signal.source_event_id) for signal in institution.signals]
    assert keys == sorted(keys)
    assert len({signal.source_event_id for signal in institution.signals}) == len(keys)
    stop = datetime.combine(end, time(), UTC)
    for signal in institution.signals:
        assert signal.occurred_at.tzinfo is UTC
        assert signal.occurred_at >= datetime.combine(created[signal.external_id], time(), UTC)
        assert signal.occurred_at < stop
        required, optional = KEYS[signal.type]
        assert required <= set(signal.payload) <= required | optional, signal


def check_accounts(institution: Institution) -> None:
    """Money moves only on open accounts, nothing falls below zero, and less than one unit is lost by closing."""
    balances: dict[str, Decimal] = {}
    for signal in institution.signals:
        account: str = signal.payload.get("account", "")
        if signal.type == "account_opened":
            assert account not in balances
            balances[account] = Decimal(0)
        elif signal.type == "account_closed":
            assert balances.pop(account) < 1
        elif signal.type == "balance":
            assert account in balances
            balances[account] = Decimal(signal.payload["balance"])
            assert balances[account] >= 0
        elif signal.type in {"deposit", "withdrawal"}:
            check_posting(signal)
            assert account in balances
            balances[account] = Decimal(signal.payload["balance_after"])


def check_posting(signal: DemoSignal) -> None:
    assert Decimal(signal.payload["amount"]) > 0
    assert not signal.payload["balance_after"].startswith("-")
    assert signal.payload.get("system", True) is True
    assert ("kind" in signal.payload) != ("system" in signal.payload)


def check_truth(institution: Institution, end: date) -> None:
    for customer, truth in zip(institution.customers, institution.truth, strict=True):
        assert truth.external_id == customer.external_id
        assert truth.stages[0] == (customer.created_on, "prospect")
        days, stages = [day for day, _ in truth.stages], [stage for _, stage in truth.stages]
        assert days == sorted(days)
        assert set(pairwise(stages)) <= EDGES
        for departure in truth.departures:
            dates = [departure.started_on, departure.left_on, departure.returned_on, end]
            known = [day for day in dates if day is not None]
            assert known == sorted(known)


def test_the_institution_is_frozen() -> None:
    assert fingerprint(simulate(customers=25, end=END)) == FROZEN


def test_any_change_of_what_is_handed_over_changes_the_fingerprint() -> None:
    first = simulate(customers=3, end=END)
    before = fingerprint(first)
    assert before == fingerprint(simulate(customers=3, end=END))
    assert before != fingerprint(simulate(customers=3, end=END, seed=1))
    first.signals[-1].payload["note"] = "changed"
    assert before != fingerprint(first)
    first.signals[-1].payload.pop("note")
    first.truth[0].holidays.append((END, END))
    assert before != fingerprint(first)


def test_the_first_customers_do_not_depend_on_how_many_follow(institution: Institution) -> None:
    few = simulate(customers=40, end=END)
    names = {customer.external_id for customer in few.customers}
    assert few.customers == institution.customers[:40]
    assert few.truth == institution.truth[:40]
    assert few.signals == [signal for signal in institution.signals if signal.external_id in names]


def test_signals_are_in_order_known_and_within_the_life_of_their_customer(institution: Institution) -> None:
    check_signals(institution, END)


def test_money_moves_only_on_open_accounts_and_never_below_zero(institution: Institution) -> None:
    check_accounts(institution)


def test_the_truth_follows_the_edges_of_the_lifecycle(institution: Institution) -> None:
    check_truth(institution, END)


@settings(max_examples=25, deadline=None)
@given(
    end=st.dates(date(1990, 1, 1), date(2090, 1, 1)),
    years=st.integers(1, 6),
    seed=st.integers(0, 2**63),
    size=st.integers(0, 6),
)
def test_the_laws_hold_for_any_end_length_and_seed(end: date, years: int, seed: int, size: int) -> None:
    any_institution = simulate(seed=seed, customers=size, years=years, end=end)
    assert len(any_institution.customers) == size
    check_signals(any_institution, end)
    check_accounts(any_institution)
    check_truth(any_institution, end)


def test_payment_accounts_add_up_to_the_cent(institution: Institution) -> None:
    invested = {signal.payload["account"] for signal in institution.signals if signal.type == "balance"}
    payment = {one.payload["account"] for one in institution.signals if one.payload.get("kind") == "salary"}
    assert payment
    assert not payment & invested
    balances: dict[str, Decimal] = defaultdict(Decimal)
    for signal in institution.signals:
        account: str = signal.payload.get("account", "")
        if account in payment and signal.type in {"deposit", "withdrawal"}:
            amount = Decimal(signal.payload["amount"])
            balances[account] += amount if signal.type == "deposit" else -amount
            assert balances[account] == Decimal(signal.payload["balance_after"])


def test_customers_act_in_their_waking_hours_and_on_the_same_date_in_utc(institution: Institution) -> None:
    zones = {customer.external_id: ZoneInfo(customer.time_zone) for customer in institution.customers}
    for signal in institution.signals:
        if signal.type in ACTS:
            local = signal.occurred_at.astimezone(zones[signal.external_id])
            assert 8 <= local.hour <= 19
            assert local.date() == signal.occurred_at.date()


def test_every_stage_segment_and_kind_of_leaver_is_there(institution: Institution) -> None:
    stages = Counter(truth.stage_at_end for truth in institution.truth)
    assert set(stages) == {"prospect", "trial", "growth", "mature", "decline"}
    assert {truth.leaver for truth in institution.truth} == {None, "gradual", "sudden", "dormant", "trial"}
    assert {customer.segment for customer in institution.customers} == {
        "mass",
        "affluent",
        "high_net_worth",
        "small_business",
    }
    assert set(KEYS) == {signal.type for signal in institution.signals}
    assert any(truth.won_back_on for truth in institution.truth)
    assert any(truth.holidays for truth in institution.truth)


def test_shares_are_as_documented(institution: Institution) -> None:
    size = len(institution.customers)
    chinese = sum(customer.language == "zh" for customer in institution.customers) / size
    business = sum(customer.kind == "business" for customer in institution.customers) / size
    assert 0.42 < chinese < 0.58
    assert 0.04 < business < 0.13
    assert len(institution.signals) / size < 350_000 / 2_000
    for customer in institution.customers:
        assert (customer.birth_on is None) == (customer.kind == "business")
        assert (customer.segment == "small_business") == (customer.kind == "business")
        assert customer.email or customer.phone
        assert any("一" <= sign <= "鿿" for sign in customer.full_name) == (customer.language == "zh")
    contacts = [
        contact for customer in institution.customers for contact in (customer.email, customer.phone) if contact
    ]
    assert len(set(contacts)) == len(contacts)


@pytest.mark.parametrize(
    ("wrong", "name"), [({"customers": -1}, "customers"), ({"years": 0}, "years"), ({"seed": -1}, "seed")]
)
def test_impossible_arguments_are_refused_by_name(wrong: dict[str, int], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        simulate(end=END, **wrong)
