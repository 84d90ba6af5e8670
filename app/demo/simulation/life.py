"""One life being written down: planned events by second, accounts, products and the truth beside them.

The phases write; the ledger turns what they planned into signals. Days are numbers within the window. What is planned
before the customer exists or beyond the window is dropped here, so that a phase need not care.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.demo.shapes import Leaver, Stage
from app.demo.simulation.draws import Draws
from app.demo.simulation.market import Window
from app.demo.simulation.people import Person

DAY = 86_400
SLOTS, SLOT_SECONDS = 10, 3_240  # nine waking hours; a chain of events on one day uses rising slots
BATCH_AT = 600  # the institution's nightly run, 00:10 UTC: before anything a customer does that day
NEVER = 10**9

Planned = tuple[int, int, str, dict[str, Any]]
Next = tuple[str, int] | None


@dataclass(slots=True)
class Account:
    """`invested` money follows the market; a payment account does not."""

    id: str
    opened: int
    invested: bool
    closed: int = NEVER


@dataclass(slots=True)
class Leave:
    """A movement away in days; see `shapes.Departure`."""

    kind: Leaver
    started: int
    left: int | None = None
    returned: int | None = None


class Life:
    """The plan of one customer, filled phase by phase."""

    def __init__(self, person: Person, draws: Draws, window: Window) -> None:
        self.person, self.draws, self.window = person, draws, window
        self.days = window.days
        self.planned: list[Planned] = []
        self.stages: list[tuple[int, Stage]] = []
        self.leaves: list[Leave] = []
        self.pauses: list[tuple[int, int]] = []
        self.accounts: list[Account] = []
        self.main: Account | None = None
        self.payment: Account | None = None
        self.products: dict[str, str] = {}
        self.trials = 0
        self.identified = False
        self.invested_so_far = 0.0
        self._numbers = 0

    def add(self, day: int, kind: str, payload: dict[str, Any] | None = None, *, slot: int | None = None) -> None:
        """Plan something in the customer's waking hours of that day, in one of ten slots (any, if none is given)."""
        if self.person.created <= day < self.days:
            slot = self.draws.between(0, SLOTS - 1) if slot is None else slot
            offset = self.person.first_hour * 3600 + slot * SLOT_SECONDS + self.draws.between(0, SLOT_SECONDS - 1)
            self.planned.append((day * DAY + offset, len(self.planned), kind, payload or {}))

    def batch(self, day: int, kind: str, payload: dict[str, Any], order: int) -> None:
        """Plan a posting of the nightly run; `order` is its place there."""
        if self.person.created <= day < self.days:
            self.planned.append((day * DAY + BATCH_AT + order, len(self.planned), kind, payload))

    def enter(self, day: int, stage: Stage) -> None:
        """The true stage from that day on."""
        if day < self.days:
            self.stages.append((day, stage))

    def number(self, letter: str) -> str:
        """A fresh identifier of an account, product, complaint or standing order."""
        self._numbers += 1
        return f"{self.person.customer.external_id}-{letter}{self._numbers}"

    def arrivals(self, first: float, stop: float, per_year: float, *, voluntary: bool = True) -> Iterator[int]:
        """The days of something that happens at this rate; what is voluntary rests during holiday pauses."""
        if per_year <= 0.0:
            return
        at = first
        while (at := at + self.draws.exponential(365.25 / per_year)) < min(stop, self.days):
            day = int(at)
            if not (voluntary and self.away(day)):
                yield day

    def away(self, day: int) -> bool:
        """Is the customer in a holiday pause?"""
        return any(begin <= day < end for begin, end in self.pauses)

    def open_account(self, day: int, *, invested: bool, slot: int) -> Account:
        """Open an account and announce it."""
        account = Account(self.number("A"), day, invested)
        self.accounts.append(account)
        self.add(day, "account_opened", {"account": account.id}, slot=slot)
        return account

    def open_product(self, day: int, product: str, *, slot: int | None = None) -> None:
        """Take a product; beyond the window it is not kept either."""
        if day < self.days:
            identifier = self.number("P")
            self.products[identifier] = product
            self.add(day, "product_opened", {"product_id": identifier, "product_type": product}, slot=slot)

    def close_product(self, day: int, identifier: str, *, slot: int | None = None) -> None:
        """Give a product back."""
        del self.products[identifier]
        self.add(day, "product_closed", {"product_id": identifier}, slot=slot)

    def deposit(self, day: int, account: Account, kind: str, amount: float, *, slot: int | None = None) -> None:
        """Money in, in whole cents."""
        self.add(day, "deposit", {"amount": amount, "account": account.id, "kind": kind}, slot=slot)

    def withdraw(
        self, day: int, account: Account, kind: str, *, share: float = 0.0, amount: float = 0.0, slot: int | None = None
    ) -> None:
        """Money out: a share of the balance of that moment, or an amount, and never more than there is."""
        size = {"amount": amount} if amount else {"share": share}
        self.add(day, "withdrawal", {**size, "account": account.id, "kind": kind}, slot=slot)

    def refund(self, day: int, account: Account, share: float) -> None:
        """Bring back this share of what was taken out in the last 240 days."""
        self.add(day, "deposit", {"restore": share, "account": account.id, "kind": "transfer"})

    def close_relationship(self, day: int) -> None:
        """Take everything out, give back every product, close every account: all on that day."""
        for account in (self.main, self.payment):
            if account is not None:
                self.withdraw(day, account, "transfer", share=1.0, slot=6)
                self.add(day, "account_closed", {"account": account.id}, slot=9)
                account.closed = day
        for identifier in list(self.products):
            self.close_product(day, identifier, slot=8)
        self.main = self.payment = None
        self.invested_so_far = 0.0


def rounded(amount: float) -> float:
    """As people choose amounts: whole tens below 1,000, hundreds below 20,000, thousands above; at least ten."""
    step = 10.0 if amount < 1_000 else 100.0 if amount < 20_000 else 1_000.0
    return max(round(amount / step) * step, 10.0)
