"""The lives of the simulated customers: holidays, ways of leaving and a crash, as the truth tells them."""

from bisect import bisect_right
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest

from app.demo.shapes import DemoSignal
from app.demo.simulate import Institution, simulate

END = date(2026, 7, 1)
ACTS = {"login", "trade", "content_opened"}


@pytest.fixture(scope="module")
def institution() -> Institution:
    return simulate(customers=400, end=END)


def by_customer(institution: Institution) -> dict[str, list[DemoSignal]]:
    result = defaultdict(list)
    for signal in institution.signals:
        result[signal.external_id].append(signal)
    return result


def test_a_holiday_is_silent_and_is_not_the_end(institution: Institution) -> None:
    signals = by_customer(institution)
    silences = 0
    for truth in institution.truth:
        for first, stop in truth.holidays:
            inside = [one for one in signals[truth.external_id] if first <= one.occurred_at.date() < stop]
            after = [one for one in signals[truth.external_id] if one.occurred_at.date() >= stop]
            assert not [one for one in inside if one.type in ACTS]
            assert not any(first <= departure.started_on < stop for departure in truth.departures)
            silences += bool([one for one in after if one.type in ACTS])
    assert silences >= 20


def test_gradual_leavers_log_in_less_take_money_out_and_end_empty(institution: Institution) -> None:
    signals, before, during = by_customer(institution), 0.0, 0.0
    gone = 0
    for truth in institution.truth:
        if truth.leaver == "gradual" and truth.left_on and truth.decline_started_on and not truth.won_back_on:
            begin, end, own = truth.decline_started_on, truth.left_on, signals[truth.external_id]
            logins = [one.occurred_at.date() for one in own if one.type == "login"]
            half = begin + (end - begin) / 2
            before += sum(begin - (end - half) <= day < begin for day in logins)
            during += sum(half <= day < end for day in logins)
            types = [one.type for one in own if begin <= one.occurred_at.date() <= end]
            assert types.count("withdrawal") >= 2
            assert "closure_requested" in types
            assert "account_closed" in types
            gone += 1
    assert gone >= 10
    assert during < before / 2


def test_sudden_leavers_take_nearly_everything_in_one_transfer(institution: Institution) -> None:
    signals, seen = by_customer(institution), 0
    for truth in institution.truth:
        for departure in truth.departures:
            if departure.kind == "sudden" and departure.left_on:
                own = [one for one in signals[truth.external_id] if one.occurred_at.date() >= departure.started_on]
                started = next(one for one in own if one.type == "transfer_out_started")
                assert started.occurred_at.date() == departure.started_on
                out = max(
                    (one for one in own if one.type == "withdrawal"), key=lambda one: Decimal(one.payload["amount"])
                )
                assert out.occurred_at.date() - departure.started_on <= timedelta(days=3)
                assert Decimal(out.payload["balance_after"]) < Decimal(out.payload["amount"]) / 10
                seen += 1
    assert seen >= 5


def test_the_crash_moves_balances_of_customers_who_stay(institution: Institution) -> None:
    """Losses of a twelfth from one month-end to the next, without a withdrawal, of customers in growth or mature."""
    last: dict[str, Decimal] = {}
    stages = {truth.external_id: truth.stages for truth in institution.truth}
    untouched: set[str] = set()
    for signal in institution.signals:
        account: str = signal.payload.get("account", "")
        if signal.type == "withdrawal" and "system" not in signal.payload:
            last.pop(account, None)
        elif signal.type == "balance":
            days = [day for day, _ in stages[signal.external_id]]
            stage = stages[signal.external_id][bisect_right(days, signal.occurred_at.date()) - 1][1]
            now = Decimal(signal.payload["balance"])
            if account in last and now < last[account] * 11 / 12 and stage in {"growth", "mature"}:
                untouched.add(account)
            last[account] = now
    assert len(untouched) >= 20
