"""From a plan to signals: sort by time, keep the balances, move them with the market, write decimal strings.

Every month-end gives an invested account, which prices move, its `balance`. Every quarter-end takes a fee of 0.15 % of
it (at least 1.00) and gives a payment account 0.25 % interest: system postings, no acts of the customer.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from app.demo.shapes import DemoSignal
from app.demo.simulation.life import DAY, Account, Life

SOURCE = "simulation"
FEE, LEAST_FEE, INTEREST = 0.0015, 1.0, 0.0025
LEAST_POSTING = 1.0
REMEMBERED_DAYS = 240


class _Book:
    """The balance of one account, with what was taken out of it."""

    def __init__(self, account: Account, life: Life) -> None:
        self._invested, self._life = account.invested, life
        self._balance, self._day = 0.0, account.opened
        self._taken: list[tuple[int, float]] = []

    def balance(self, day: int) -> float:
        """After the market up to that day."""
        if self._invested and day != self._day:
            window, equity = self._life.window, self._life.person.equity
            self._balance *= window.value(day, equity) / window.value(self._day, equity)
        self._day = day
        return self._balance

    def post(self, day: int, kind: str, payload: dict[str, Any]) -> float:
        """The amount that really moves, in cents; 0 for too little to move."""
        held = self.balance(day)
        if kind == "deposit":
            amount: float = payload.get("amount", 0.0)
            if "restore" in payload:
                since = day - REMEMBERED_DAYS
                amount = payload["restore"] * sum(taken for at, taken in self._taken if at >= since)
            if "interest" in payload:
                amount = payload["interest"] * held
        elif "fee" in payload:
            amount = min(max(payload["fee"] * held, LEAST_FEE), held)
        else:
            amount = min(payload["amount"] if "amount" in payload else payload["share"] * held, held)
        amount = round(amount, 2)
        if amount < LEAST_POSTING:
            return 0.0
        self._balance = round(held + amount if kind == "deposit" else held - amount, 2) + 0.0  # never -0.00
        if kind == "withdrawal" and "fee" not in payload:
            self._taken.append((day, amount))
        return amount


def statements(life: Life) -> None:
    """Plan what the institution itself posts to every account while it is open."""
    for account in life.accounts:
        until = min(account.closed, life.days)
        for day in life.window.quarterly(account.opened + 1, until):
            kind, part = ("withdrawal", {"fee": FEE}) if account.invested else ("deposit", {"interest": INTEREST})
            life.batch(day, kind, {**part, "account": account.id, "system": True}, 0)
        for day in life.window.month_ends:
            if account.invested and account.opened < day < until:
                life.batch(day, "balance", {"account": account.id}, 1)


def signals(life: Life) -> list[DemoSignal]:
    """The customer's signals in the order of time; amounts and balances as strings with two decimals."""
    books = {account.id: _Book(account, life) for account in life.accounts}
    origin = datetime.combine(life.window.start, time(), UTC)
    customer = life.person.customer.external_id
    result: list[DemoSignal] = []
    for second, _, kind, planned in sorted(life.planned, key=lambda event: event[:2]):
        payload = _payload(books, second // DAY, kind, planned)
        if payload is not None:
            at = origin + timedelta(seconds=second)
            result.append(DemoSignal(SOURCE, f"{customer}-{len(result) + 1:05d}", kind, customer, at, payload))
    return result


def _payload(books: dict[str, _Book], day: int, kind: str, planned: dict[str, Any]) -> dict[str, Any] | None:
    """What the signal says; None where nothing moved."""
    if kind == "balance":
        return {"account": planned["account"], "balance": f"{books[planned['account']].balance(day):.2f}"}
    if kind == "trade":
        return {"side": planned["side"], "amount": f"{planned['amount']:.2f}"}
    if kind not in {"deposit", "withdrawal"}:
        return planned
    book = books[planned["account"]]
    amount = book.post(day, kind, planned)
    if amount == 0.0:
        return None
    payload = {"amount": f"{amount:.2f}", "account": planned["account"], "balance_after": f"{book.balance(day):.2f}"}
    payload.update({key: planned[key] for key in ("kind", "system") if key in planned})
    return payload
