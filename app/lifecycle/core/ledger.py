"""What is known of a set of customers, as arrays over the coming days.

Every fact is a matrix with one row per customer and one column per local day: column 0 is the day of `now`, column t the
midnight t days later **if nothing happens**. All facts change at local midnights only, so column 0 decides and the first
column that differs is the exact moment at which time alone changes a decision. Facts that time does not change have one
column and broadcast.

Money is held in ten-thousandths, as integers, so that sums are exact and do not depend on order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.lifecycle.core.stages import Stage

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PAST = 366
"""Days back that windows may reach; the longest is twelve months of 30 days, and activity is known without limit."""
HORIZON = 400
"""Days ahead that are foreseen; longer than every window, so that beyond it nothing changes but age."""
SOON = 100
"""Days ahead that a decision foresees. For whom nothing flips so soon is looked at again then: a hundred columns cost a
quarter of four hundred, and one look more in a hundred days costs nothing."""
BALANCE_PAST = 91
MONEY = 10_000

DAY_COLUMNS = ("inflow", "outflow", "deposits", "trades", "logins", "activity")


@dataclass(frozen=True, slots=True)
class State:
    """Where a customer stands in the lifecycle. Days are local day numbers, times epoch seconds."""

    stage: str
    entered_day: int
    entered_at: float
    stage_before: str | None = None
    entered_by: str | None = None
    last_trial_ended_day: int | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)
    recent: Sequence[Sequence[Any]] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums and extremes over the whole life; money in ten-thousandths, days as numbers."""

    inflow: int = 0
    outflow: int = 0
    trades: int = 0
    first_funded_day: int | None = None
    first_funded: int = 0
    last_active_day: int | None = None
    since_day: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """Everything known of one customer, as the database returns it.

    `days`: seven equal-long sequences, the day numbers and DAY_COLUMNS. `accounts`: (balance before the window, day
    numbers, closing balances). `marks`: name -> (day, epoch seconds, value).
    """

    today: int
    now: float
    state: State
    totals: Totals = Totals()
    days: Sequence[Sequence[int]] = ()
    accounts: Sequence[tuple[int | None, Sequence[int], Sequence[int]]] = ()
    marks: Mapping[str, tuple[int, float, Any]] = field(default_factory=dict)


def first_day_needed(state: State, today: int) -> int:
    """The earliest day whose sums decisions may read: as far as windows reach; in decline, and in a later life's first
    stages, all of the stay, for what was paid in and out meanwhile."""
    reach = today - PAST + 1
    begun_again = state.stage in (Stage.PROSPECT, Stage.TRIAL) and state.stage_before is not None
    whole = begun_again or state.stage == Stage.DECLINE
    return min(reach, state.entered_day) if whole else reach


def _column(values: Sequence[float | None]) -> Floats:
    """(n, 1) with NaN for None."""
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)[:, None]


class Ledger:
    """Facts of n customers over T = horizon + 1 days; a horizon of 0 keeps the day of `now` alone."""

    def __init__(self, known: Sequence[Known], *, horizon: int = HORIZON) -> None:
        self.known = known
        self.n = len(known)
        self.columns = horizon + 1
        self.ahead = np.arange(self.columns, dtype=np.float64)[None, :]
        self.today = _column([k.today for k in known])
        self._marks: dict[str, tuple[Floats, Floats]] = {}
        self._sums: dict[str, Ints] = {}
        self._windows: dict[tuple[str, int, int], Ints] = {}

    @cached_property
    def _places(self) -> tuple[Ints, Ints, Bools]:
        """Of every day of `Known.days`, customer after customer: row, column from PAST - 1 days ago on, whether it is one."""
        held = [k.days[0] if k.days else () for k in self.known]
        rows = np.repeat(np.arange(self.n), [len(days) for days in held])
        columns = _flat(held) - self.today.astype(np.int64)[rows, 0] + PAST - 1
        return rows, columns, (columns >= 0) & (columns < PAST + self.columns)

    def _cumulative(self, name: str) -> Ints:
        """Running sums of a column of `customer_day`: (n, PAST + T + 1), where index PAST + t ends with day t."""
        if name not in self._sums:
            rows, columns, inside = self._places
            place = DAY_COLUMNS.index(name) + 1
            values = _flat([k.days[place] for k in self.known if k.days])
            sums = np.zeros((self.n, PAST + self.columns + 1), dtype=np.int64)
            sums[rows[inside], columns[inside] + 1] = values[inside]
            self._sums[name] = np.cumsum(sums, axis=1, out=sums)
        return self._sums[name]

    def window(self, name: str, days: int, *, ending: int = 0) -> Ints:
        """Sum of a column of `customer_day` over `days` days, the last of which lies `ending` days back: (n, T)."""
        key = (name, days, ending)
        if key not in self._windows:
            total, stop = self._cumulative(name), PAST - ending
            last, before = total[:, stop : stop + self.columns], total[:, stop - days : stop - days + self.columns]
            self._windows[key] = last - before
        return self._windows[key]

    @cached_property
    def balances(self) -> Ints:
        """Assets under management in ten-thousandths by day, from BALANCE_PAST days ago to today: (n, BALANCE_PAST + 1).

        The latest closing balance of each account, summed. For a customer without any balance: net payments so far,
        not below zero, so that an institution that sends payments only has assets too. Before the first balance of
        somebody who had paid in already: that balance without the payments between.
        """
        accounts = [(row, account) for row, known in enumerate(self.known) for account in known.accounts]
        found = np.zeros((self.n, BALANCE_PAST + 1), dtype=np.int64)
        if accounts:
            rows = np.array([row for row, _ in accounts])
            np.add.at(found[:, 0], rows, np.array([base or 0 for _, (base, _, _) in accounts], dtype=np.int64))
            owners, at, steps = _steps([account for _, account in accounts])
            at = np.clip(at - self.today.astype(np.int64)[rows[owners], 0] + BALANCE_PAST, 0, BALANCE_PAST)
            np.add.at(found, (rows[owners], at), steps)
            np.cumsum(found, axis=1, out=found)
            self._look_back(found)
        bare = [row for row, known in enumerate(self.known) if not known.accounts]
        if bare:
            net = np.array([self.known[r].totals.inflow - self.known[r].totals.outflow for r in bare], dtype=np.int64)
            flows = self._cumulative("inflow")[bare] - self._cumulative("outflow")[bare]
            after = flows[:, PAST : PAST + 1] - flows[:, PAST - BALANCE_PAST : PAST + 1]
            found[bare] = np.maximum(net[:, None] - after, 0)
        return found

    def _look_back(self, found: Ints) -> None:
        """Fill in the days before the first balance, or assets that were there would seem to have come from nowhere."""
        for row, known in enumerate(self.known):
            if not known.accounts or any(base is not None for base, _, _ in known.accounts):
                continue
            first = min((day for _, days, _ in known.accounts for day in days), default=known.today + 1)
            funded, place = known.totals.first_funded_day, first - known.today + BALANCE_PAST
            if funded is not None and funded < first and 0 < place <= BALANCE_PAST:
                flows = self._cumulative("inflow")[row] - self._cumulative("outflow")[row]
                flows = flows[PAST - BALANCE_PAST : PAST + 1]
                found[row, :place] = np.maximum(found[row, place] - (flows[place] - flows[:place]), 0)

    def balance(self, days_ago: int) -> Ints:
        """Assets `days_ago` days before each column: (n, T), or (n, 1) for today's, which time does not change."""
        if days_ago == 0:
            return self.balances[:, -1:]
        at = np.minimum(np.arange(self.columns) - days_ago + BALANCE_PAST, BALANCE_PAST)
        return self.balances[:, at]

    def _mark(self, name: str) -> tuple[Floats, Floats]:
        if name not in self._marks:
            found = [k.marks.get(name) for k in self.known]
            self._marks[name] = (_column([m and m[0] for m in found]), _column([m and m[1] for m in found]))
        return self._marks[name]

    def mark_day(self, name: str) -> Floats:
        """Local day of the last signal that set `name`, NaN if there is none: (n, 1)."""
        return self._mark(name)[0]

    def mark_time(self, name: str) -> Floats:
        """The same in epoch seconds: (n, 1)."""
        return self._mark(name)[1]

    def mark_values(self, name: str, missing: Any = None) -> list[Any]:
        """Value of the last signal that set `name`, one per customer."""
        return [k.marks[name][2] if name in k.marks else missing for k in self.known]

    def days_since(self, day: Floats) -> Floats:
        """Whole local days from `day` (n, 1) to each column: (n, T)."""
        return self.today + self.ahead - day

    def within(self, name: str, days: int) -> Bools:
        """Whether `name` was set in the last `days` days: (n, T)."""
        elapsed = self.days_since(self.mark_day(name))
        return np.asarray((elapsed <= days) & (elapsed >= 0))

    def new_here(self, name: str) -> Bools:
        """Whether `name` was set since the customer entered the present stage: (n, 1).

        For the first stage of a life everything counts: the signal of an opened account may be older than the record.
        Not for somebody who was taken over in decline: there the past is what led to it.
        """
        states = [k.state for k in self.known]
        first = [s.stage_before is None and s.stage != Stage.DECLINE for s in states]
        floor = _column([-np.inf if new else s.entered_at for new, s in zip(first, states, strict=True)])
        return np.asarray(self._mark(name)[1] >= floor)

    def since_decline(self, name: str) -> Bools:
        """Whether `name` was set since the customer last came out of decline, or entered it: (n, 1).

        However late the signal arrives: a closure asked for on Friday counts on Monday, whatever stage began between.
        """
        floors = [
            k.state.entered_at
            if Stage.DECLINE in (k.state.stage, k.state.stage_before)
            else k.state.entry.get("decline_ended", -np.inf)
            for k in self.known
        ]
        return np.asarray(self._mark(name)[1] >= _column(floors))

    def state(self, name: str) -> list[Any]:
        """An attribute of the states, one per customer."""
        return [getattr(k.state, name) for k in self.known]

    def entry(self, name: str) -> Floats:
        """A number noted when the present stage was entered: (n, 1)."""
        return _column([k.state.entry.get(name) for k in self.known])


def _flat(lists: Sequence[Sequence[int]]) -> Ints:
    return np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=sum(map(len, lists)))


def _steps(accounts: Sequence[tuple[int | None, Sequence[int], Sequence[int]]]) -> tuple[Ints, Ints, Ints]:
    """Every change of a closing balance: which account, on which day, by how much."""
    owners = np.repeat(np.arange(len(accounts)), [len(days) for _, days, _ in accounts])
    days, values = _flat([days for _, days, _ in accounts]), _flat([values for _, _, values in accounts])
    order = np.lexsort((days, owners))
    days, values = days[order], values[order]
    before = np.roll(values, 1)
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    before[first] = [accounts[i][0] or 0 for i in owners[first]]
    return owners, days, values - before
