"""How facts are computed from a `Ledger`: what the registry in facts.py is made of.

A formula returns a matrix (n, T) or (n, 1): float (NaN: not computed, and every comparison with it is false), bool, or
text. A ratio whose base is missing or below its floor is not computed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.lifecycle.core.ledger import BALANCE_PAST, MONEY, Bools, Floats, Ints, Ledger, _column

Array = NDArray[Any]
Formula = Callable[[Ledger], Array]

LEAST_ASSETS = 1000 * MONEY
"""Assets below this are no base for a share: half of next to nothing is nothing."""
LEAST_NOTED = 100.0
LEAST_LOGINS = 4.0

_EPOCH = np.datetime64("2000-01-01", "D")


def money(amount: Ints) -> Floats:
    """In the institution's currency."""
    return amount / MONEY


def ratio(part: Ints | Floats, base: Ints | Floats, floor: float) -> Floats:
    """part / base where the base reaches its floor, else NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(base >= floor, part / base, np.nan)


def net(ledger: Ledger, days: int) -> Ints:
    """Paid in less paid out, in ten-thousandths."""
    return ledger.window("inflow", days) - ledger.window("outflow", days)


def net_total(ledger: Ledger) -> Floats:
    """Paid in less paid out over the whole life."""
    return _column([(k.totals.inflow - k.totals.outflow) / MONEY for k in ledger.known])


def entry_figures(ledger: Ledger, row: int) -> dict[str, float]:
    """What is noted when a stage is entered: sums of the life so far, outflow of 90 days, and the assets before that."""
    outflow = max(-net(ledger, 90)[row, 0].item() / MONEY, 0.0)
    assets = max(ledger.balance(90)[row, 0].item() / MONEY, ledger.balance(0)[row, 0].item() / MONEY + outflow)
    totals = ledger.known[row].totals
    return {
        "net_total": (totals.inflow - totals.outflow) / MONEY,
        "outflow_total": totals.outflow / MONEY,
        "outflow": outflow,
        "aum_before": assets,
    }


def active_months(name: str, months: int) -> Formula:
    """Number of the last `months` months of 30 days in which a column of `customer_day` is not zero."""

    def formula(ledger: Ledger) -> Array:
        blocks = np.array([ledger.window(name, 30, ending=30 * k) > 0 for k in range(months)])
        return np.asarray(blocks.sum(axis=0), dtype=np.float64)

    return formula


def count(name: str, days: int) -> Formula:
    """Sum of a counting column over the last `days` days."""

    def formula(ledger: Ledger) -> Array:
        return ledger.window(name, days).astype(np.float64)

    return formula


def login_drop(ledger: Ledger) -> Floats:
    """How far the logins of 30 days lie below the monthly mean of the 60 days before."""
    recent = ledger.window("logins", 30)
    usual = (ledger.window("logins", 90) - recent) / 2
    return 1 - ratio(recent, usual, LEAST_LOGINS)


def zero_balance_days(ledger: Ledger) -> Floats:
    """Days that assets have been zero without a break, at most BALANCE_PAST."""
    empty = ledger.balances <= 0
    trailing = np.where(empty.all(axis=1), empty.shape[1], np.argmin(empty[:, ::-1], axis=1))[:, None]
    return np.where(trailing > 0, np.minimum(trailing - 1 + ledger.ahead, BALANCE_PAST), 0.0)


def income_stopped(ledger: Ledger) -> Bools:
    """Nothing came in for 45 days, though something had in each of the two months before."""
    before = (ledger.window("deposits", 30, ending=45) > 0) & (ledger.window("deposits", 30, ending=75) > 0)
    return np.asarray(before & (ledger.window("deposits", 45) == 0))


def salary_stopped(ledger: Ledger) -> Bools:
    """The last salary came more than 45 days ago, though less than 135."""
    return np.asarray(ledger.within("salary", 135) & ~ledger.within("salary", 45))


def suitability(ledger: Ledger) -> Array:
    """none, valid, due (30 days before it ends) or expired."""
    left = until(ledger, "suitability_until") - (ledger.today + ledger.ahead)
    # Places first, texts once: texts are slow to choose between.
    place = np.where(np.isnan(left), 0, np.where(left < 0, 3, np.where(left <= 30, 2, 1)))
    return np.array(["none", "valid", "due", "expired"])[place]


def _date(ledger: Ledger, name: str) -> NDArray[np.datetime64]:
    """The day of an ISO date or time that a mark holds: (n, 1), NaT for none."""
    values = ledger.mark_values(name)
    return np.array([v[:10] if v else "NaT" for v in values], dtype="datetime64[D]")[:, None]


def until(ledger: Ledger, name: str) -> Floats:
    """The same as a day number, NaN for none."""
    days = _date(ledger, name)
    numbers: Floats = (days - _EPOCH).astype(np.float64)
    return np.where(np.isnat(days), np.nan, numbers)


def age(ledger: Ledger) -> Floats:
    """Completed years of life."""
    birth = _date(ledger, "birth_on")
    day = _EPOCH + (ledger.today + ledger.ahead).astype(np.int64).astype("timedelta64[D]")
    months = (day.astype("datetime64[M]") - birth.astype("datetime64[M]")).astype(np.float64)
    short = (day - day.astype("datetime64[M]")) < (birth - birth.astype("datetime64[M]"))
    return np.where(np.isnat(birth), np.nan, np.floor((months - short) / 12))


def _open(ledger: Ledger, prefix: str) -> list[list[tuple[int, Any]]]:
    """(day, value) of the marks below `prefix` that are set and not closed, per customer."""
    return [
        [(m[0], m[2]) for name, m in k.marks.items() if name.startswith(prefix) and m[2] not in (None, False)]
        for k in ledger.known
    ]


def held(prefix: str) -> Formula:
    """Number of marks below a prefix that are set."""

    def formula(ledger: Ledger) -> Array:
        return _column([len(found) for found in _open(ledger, prefix)])

    return formula


def complaint_days(ledger: Ledger) -> Floats:
    """Days since the oldest open complaint was opened."""
    first = _column([min((day for day, _ in found), default=None) for found in _open(ledger, "complaint:")])
    return ledger.days_since(first)


def worst_complaint(ledger: Ledger) -> Array:
    """Severity of the worst open complaint, or none."""
    order = {"low": 1, "medium": 2, "severe": 3}
    return texts([max((v for _, v in o), key=order.__getitem__, default=None) for o in _open(ledger, "complaint:")])


def reviews_missed(ledger: Ledger) -> Floats:
    """Reviews missed within a year and since the last meeting."""
    met = np.nan_to_num(ledger.mark_day("meeting_held"), nan=-np.inf)
    missed = _padded([[day for day, _ in found] for found in _open(ledger, "review:")])
    elapsed = (ledger.today + ledger.ahead)[:, :, None] - missed
    counted = (elapsed >= 0) & (elapsed <= 365) & (missed > met[:, :, None])
    return np.asarray(counted.sum(axis=2), dtype=np.float64)


def returns(ledger: Ledger) -> Floats:
    """Returns, in the last 60 days, to a stage that had been left less than 60 days before."""
    days = _padded([[r[0] for r in k.state.recent] for k in ledger.known])
    return np.asarray(((ledger.today + ledger.ahead)[:, :, None] - days <= 60).sum(axis=2), dtype=np.float64)


def _padded(days: Sequence[Sequence[int]]) -> Floats:
    """(n, 1, k) with NaN behind the shorter lists."""
    width = max((len(d) for d in days), default=0)
    rows = [[*d, *[np.nan] * (width - len(d))] for d in days]
    return np.array(rows, dtype=np.float64).reshape(len(days), 1, width)


def recent_score(name: str, days: int) -> Formula:
    """The last answer to a survey, if it is not older than `days` days."""

    def formula(ledger: Ledger) -> Array:
        return np.where(ledger.within(name, days), _column(ledger.mark_values(name)), np.nan)

    return formula


def last_active(ledger: Ledger) -> Floats:
    """Days since the last act; for somebody who never acted, since the stage began."""
    last = [
        k.totals.last_active_day if k.totals.last_active_day is not None else k.state.entered_day for k in ledger.known
    ]
    return np.maximum(ledger.days_since(_column(last)), 0)


def texts(values: Sequence[str | None], missing: str = "none") -> Array:
    """(n, 1)."""
    return np.array([v or missing for v in values])[:, None]


def flag(name: str) -> Formula:
    """Whether the last value of a mark is anything but false, empty or nothing."""

    def formula(ledger: Ledger) -> Array:
        return np.array([bool(v) for v in ledger.mark_values(name)])[:, None]

    return formula


def within(name: str, days: int) -> Formula:
    """Whether a mark was set in the last `days` days."""

    def formula(ledger: Ledger) -> Array:
        return ledger.within(name, days)

    return formula


def here(name: str) -> Formula:
    """Whether a mark was set in the present stage."""

    def formula(ledger: Ledger) -> Array:
        return ledger.new_here(name)

    return formula


def since_decline(name: str) -> Formula:
    """Whether a mark was set since the customer last came out of decline."""

    def formula(ledger: Ledger) -> Array:
        return ledger.since_decline(name)

    return formula
