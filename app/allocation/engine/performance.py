"""What came of a strategy, from the path of its wealth."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.allocation.engine.correlation import Array


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall from a former height: `depth` as a positive share, the days of the height, of the low, and when
    the height was reached again (None: not yet)."""

    depth: float
    peak: dt.date
    trough: dt.date
    recovered: dt.date | None


@dataclass(frozen=True)
class WorstYear:
    """The lowest return over a year's number of consecutive periods, wherever in the calendar these begin."""

    growth: float
    begin: dt.date
    end: dt.date


@dataclass(frozen=True)
class Performance:
    """Figures of one year. `annualised_return` is geometric; `sharpe` the mean return beyond cash over its standard
    deviation, NaN where that is 0; `turnover` half of what was bought and sold, as a share, each year; `drawdown` None
    if it never fell, `worst_year` None if less than a year passed."""

    annualised_return: float
    volatility: float
    sharpe: float
    turnover: float
    drawdown: Drawdown | None
    worst_year: WorstYear | None


def performance(
    wealth: Array, dates: Sequence[dt.date], cash_returns: Array, periods_per_year: float, turnover: float
) -> Performance:
    """Figures of a path of wealth (m + 1,), positive, at `dates`, against cash returns (m,); `turnover` in all.

    Raises:
        ValueError: with fewer than two periods.
    """
    periods = len(wealth) - 1
    if periods < 2 or len(dates) != periods + 1 or len(cash_returns) != periods:
        raise ValueError("two periods at least, with as many cash returns and one more date")
    returns = wealth[1:] / wealth[:-1] - 1
    beyond = returns - cash_returns
    risk = float(beyond.std(ddof=1))
    year = round(periods_per_year)
    return Performance(
        annualised_return=float((wealth[-1] / wealth[0]) ** (periods_per_year / periods) - 1),
        volatility=float(returns.std(ddof=1) * np.sqrt(periods_per_year)),
        sharpe=float(beyond.mean() / risk * np.sqrt(periods_per_year)) if risk > 1e-12 else float("nan"),
        turnover=turnover * periods_per_year / periods,
        drawdown=_drawdown(wealth, dates),
        worst_year=_worst_year(wealth, dates, year) if periods >= year else None,
    )


def _drawdown(wealth: Array, dates: Sequence[dt.date]) -> Drawdown | None:
    heights = np.maximum.accumulate(wealth)
    fallen = 1 - wealth / heights
    trough = int(fallen.argmax())
    if fallen[trough] <= 0:
        return None
    peak = int((wealth[: trough + 1] >= heights[trough]).nonzero()[0][-1])
    again = (wealth[trough:] >= heights[trough]).nonzero()[0]
    recovered = dates[trough + int(again[0])] if len(again) else None
    return Drawdown(float(fallen[trough]), dates[peak], dates[trough], recovered)


def _worst_year(wealth: Array, dates: Sequence[dt.date], year: int) -> WorstYear:
    growth = wealth[year:] / wealth[:-year] - 1
    begin = int(growth.argmin())
    return WorstYear(float(growth[begin]), dates[begin], dates[begin + year])
