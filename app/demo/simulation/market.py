"""The calendar and the market that all customers share.

The share index follows weekly log returns with 6 % drift and 15 % volatility a year, and one crash: in the middle of
the window it loses about 28 % over eight weeks and regains it over the following year. Bonds earn 2.5 % a year
without risk. The crash is there to be ignored: prices move balances, not customers.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, timedelta

from app.demo.simulation.draws import Draws

MARKET_STREAM = 2
DRIFT, VOLATILITY, BOND_RATE = 0.06, 0.15, 0.025
CRASH_AT, CRASH_WEEKS, CRASH_LOG, REBOUND_WEEKS = 0.5, 8, math.log(0.72), 52


@dataclass(frozen=True, slots=True)
class Window:
    """The simulated days, numbered from 0 to days - 1; `month_ends` and `month_starts` are such numbers, rising."""

    start: date
    days: int
    month_starts: list[int]
    month_ends: list[int]
    shares: list[float]
    bonds: list[float]

    def on(self, day: int) -> date:
        """The calendar date of a day's number."""
        return self.start + timedelta(days=day)

    def monthly(self, day_of_month: int, first: int, stop: int) -> list[int]:
        """The days with this day of the month (at most 28), from `first` to before `stop`."""
        begin = max(0, bisect_left(self.month_starts, first) - 1)
        days = (start + day_of_month - 1 for start in self.month_starts[begin:])
        return [day for day in days if first <= day < min(stop, self.days)]

    def quarterly(self, first: int, stop: int) -> list[int]:
        """The last days of quarters in that span."""
        return [day for day in self.month_ends if first <= day < stop and self.on(day).month % 3 == 0]

    def value(self, day: int, equity: float) -> float:
        """What one unit put into this mix on day 0 is worth on that day (bought once and held)."""
        return equity * self.shares[day] + (1.0 - equity) * self.bonds[day]


def window(seed: int, years: int, end: date) -> Window:
    """The calendar of the `years` before `end` (that day itself is not simulated), with its market."""
    days = round(365.25 * years)
    start = end - timedelta(days=days)
    calendar = [start + timedelta(days=day) for day in range(days + 1)]
    starts = [day for day in range(days) if calendar[day].day == 1]
    if start.day != 1:  # the month that the window cuts
        starts.insert(0, 1 - start.day)
    ends = [day for day in range(days) if calendar[day + 1].day == 1]
    bonds = [math.exp(BOND_RATE * day / 365.25) for day in range(days)]
    return Window(start, days, starts, ends, _shares(seed, days), bonds)


def _shares(seed: int, days: int) -> list[float]:
    draws = Draws(seed, 0, MARKET_STREAM)
    weeks = days // 7 + 2
    crash = int(weeks * CRASH_AT)
    level, levels = 0.0, [0.0]
    for week in range(weeks):
        level += draws.normal((DRIFT - VOLATILITY**2 / 2) / 52, VOLATILITY / math.sqrt(52))
        if crash <= week < crash + CRASH_WEEKS:
            level += CRASH_LOG / CRASH_WEEKS
        elif crash + CRASH_WEEKS <= week < crash + CRASH_WEEKS + REBOUND_WEEKS:
            level -= CRASH_LOG / REBOUND_WEEKS
        levels.append(level)
    return [
        math.exp(levels[day // 7] + (levels[day // 7 + 1] - levels[day // 7]) * (day % 7) / 7) for day in range(days)
    ]
