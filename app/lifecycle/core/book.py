"""What one customer's signals add up to, in memory: the same as the tables of facts hold. Pure.

For what the tables cannot answer: what was known at an earlier moment, and what would be known without a signal.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.lifecycle.core.ledger import BALANCE_PAST, Known, Totals, first_day_needed
from app.lifecycle.core.signals import OWN_SOURCE, RETRACTION, Effects, effects
from app.lifecycle.core.standing import Standing, local_day, state_of

Writer = tuple[datetime, str, str]


class Noted(NamedTuple):
    """A stored signal. `position`: the batch it came with; `origin`: the customer it was sent for, as text.

    `joined`: the position of the merge that brought it to its customer, 0 if none did.
    """

    position: int
    received_at: datetime
    source: str
    source_event_id: str
    type: str
    occurred_at: datetime
    payload: Mapping[str, Any]
    origin: str = ""
    joined: int = 0

    @property
    def writer(self) -> Writer:
        """What decides between two writers of one value: the later wins, whatever arrives first."""
        return self.occurred_at, self.source, self.source_event_id


_DATED = ("suitability_until", "extension_granted")


def local_value(name: str, value: Any, zone: ZoneInfo) -> Any:
    """A moment that a fact counts days to, as the institution's local day; other values as they are."""
    if name in _DATED and isinstance(value, str) and "T" in value:
        return datetime.fromisoformat(value).astimezone(zone).date().isoformat()
    return value


def day_columns(effect: Effects) -> tuple[int, int, int, int, int, int] | None:
    """What a signal adds to its day, in the order of ledger.DAY_COLUMNS; None if nothing."""
    if not (effect.activity or effect.inflow or effect.outflow or effect.logins):
        return None
    return (effect.inflow, effect.outflow, int(effect.inflow > 0), effect.trades, effect.logins, effect.activity)


class Book:
    """One customer's signals, added up. Add batches in the order in which they arrived."""

    __slots__ = ("accounts", "days", "first_funded_day", "last_active_day", "marks", "since_day", "zone")

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.days: dict[int, list[int]] = {}
        self.accounts: dict[str, dict[int, tuple[int, Writer]]] = {}
        self.marks: dict[str, tuple[int, float, Any, Writer]] = {}
        self.first_funded_day: int | None = None
        self.last_active_day: int | None = None
        self.since_day: int | None = None

    def add(self, batch: Sequence[Noted]) -> None:
        """Add signals that arrived together."""
        won: dict[str, tuple[Noted, int, Any]] = {}
        for signal in batch:
            effect = effects(signal.type, signal.payload, signal.occurred_at)
            day = local_day(signal.occurred_at, self.zone)
            self._add_sums(effect, day)
            if effect.account is not None and effect.balance is not None:
                self._set_balance(effect.account, day, effect.balance, signal.writer)
            for name, value in effect.marks.items():
                if name not in won or signal.writer > won[name][0].writer:
                    won[name] = (signal, day, value)
        for name, (signal, day, value) in won.items():
            held = self.marks.get(name)
            # What the service itself records is an edit of now: among these the last to arrive wins.
            if held is None or signal.source == OWN_SOURCE or signal.writer > held[3]:
                kept = local_value(name, value, self.zone)
                self.marks[name] = (day, signal.occurred_at.timestamp(), kept, signal.writer)

    def _add_sums(self, effect: Effects, day: int) -> None:
        added = day_columns(effect)
        if added is not None:
            row = self.days.setdefault(day, [0] * len(added))
            for i, value in enumerate(added):
                row[i] += value
        if effect.inflow and (self.first_funded_day is None or day < self.first_funded_day):
            self.first_funded_day = day
        if effect.activity and (self.last_active_day is None or day > self.last_active_day):
            self.last_active_day = day
        if effect.since and (self.since_day is None or day < self.since_day):
            self.since_day = day

    def _set_balance(self, account: str, day: int, balance: int, writer: Writer) -> None:
        days = self.accounts.setdefault(account, {})
        if day not in days or writer > days[day][1]:
            days[day] = (balance, writer)

    def totals(self) -> Totals:
        """Sums and extremes over the whole life."""
        funded = self.first_funded_day
        return Totals(
            inflow=sum(row[0] for row in self.days.values()),
            outflow=sum(row[1] for row in self.days.values()),
            trades=sum(row[3] for row in self.days.values()),
            first_funded_day=funded,
            first_funded=0 if funded is None else self.days[funded][0],
            last_active_day=self.last_active_day,
            since_day=self.since_day,
        )

    def known(self, standing: Standing, at: datetime) -> Known:
        """What a decision about this customer at a moment is based on."""
        today = local_day(at, self.zone)
        state = state_of(standing, self.zone)
        begin = first_day_needed(state, today)
        recent = {day: row for day, row in self.days.items() if day >= begin}
        return Known(
            today=today,
            now=at.timestamp(),
            state=state,
            totals=self.totals(),
            days=[list(recent), *map(list, zip(*recent.values(), strict=True))] if recent else (),
            accounts=[_account(days, today) for days in self.accounts.values()],
            marks={name: mark[:3] for name, mark in self.marks.items()},
        )


def _account(days: Mapping[int, tuple[int, Writer]], today: int) -> tuple[int | None, list[int], list[int]]:
    before = [day for day in days if day <= today - BALANCE_PAST]
    recent = [day for day in days if day > today - BALANCE_PAST]
    return (days[max(before)][0] if before else None, recent, [days[day][0] for day in recent])


def counted(signals: Sequence[Noted]) -> list[Noted]:
    """The signals that none of them takes back."""
    gone = {(s.source, s.payload["source_event_id"]) for s in signals if s.type == RETRACTION}
    return [s for s in signals if (s.source, s.source_event_id) not in gone] if gone else list(signals)


def book_of(signals: Sequence[Noted], zone: ZoneInfo) -> Book:
    """The book of all these signals, batch by batch in order of position."""
    book = Book(zone)
    batches: dict[int, list[Noted]] = {}
    for signal in sorted(signals, key=lambda s: s.position):
        batches.setdefault(signal.position, []).append(signal)
    for batch in batches.values():
        book.add(batch)
    return book
