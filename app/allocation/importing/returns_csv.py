"""Return series from CSV: a column `date`, and one for each asset class."""

import datetime as dt
import itertools
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import median

from app.allocation.engine.assumptions import FEWEST_CLASSES, MOST_CLASSES
from app.allocation.engine.correlation import read_only
from app.allocation.engine.document import CODE
from app.allocation.engine.estimation import ReturnPanel
from app.allocation.engine.problems import InvalidDocument, Problem
from app.allocation.importing.tables import Table, TooManyProblems, check_lengths, check_names, number, read_table

FEWEST_ROWS = 12
_HIGHEST = 1.0  # more than doubling within a period is a percentage that lost its sign
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# (periods a year, shortest and longest usual distance in days, longest that is no gap)
_FREQUENCIES = ((252, 1, 4, 15), (52, 5, 9, 11), (12, 26, 35, 49), (4, 80, 100, 140))


def parse_returns(
    text: str,
    *,
    pointer: str = "/csv",
    columns: Mapping[str, str] | None = None,
    known: Sequence[str] | None = None,
    periods_per_year: float | None = None,
    fewest: int = FEWEST_ROWS,
) -> ReturnPanel:
    """The panel in a CSV text: ISO dates rising, returns as shares (0.012 is 1.2 %).

    `columns` gives asset classes for column names that differ from them; `known` are the classes that may appear;
    `periods_per_year` is found from the dates if None.

    Raises:
        InvalidDocument: with one problem for each thing that is wrong, named by line and column.
    """
    table = read_table(text, pointer, MOST_CLASSES + 1)
    days: list[dt.date] = []
    values: list[list[float]] = []
    codes: list[str] = []
    with suppress(TooManyProblems):
        codes = _codes(table, columns or {}, known)
        check_lengths(table)
        for line, cells in table.rows:
            day = _date(table, line, cells[0], days)
            if day is not None:
                days.append(day)
            values.append([_return(table, line, column, cell) for column, cell in enumerate(cells[1:], 2)])
        if len(table.rows) < fewest:
            table.add(None, None, "too_few_rows", f"needs {fewest} rows of returns at least, has {len(table.rows)}")
        elif periods_per_year is None and not table.findings:
            periods_per_year = _frequency(table, days)
    if table.findings or periods_per_year is None:
        raise table.refused(pointer)
    _check_columns(columns or {}, table)
    return ReturnPanel(tuple(days), tuple(codes), read_only(values), periods_per_year)


def _codes(table: Table, columns: Mapping[str, str], known: Sequence[str] | None) -> list[str]:
    if table.header[0].lower() != "date":
        table.add(table.line, 1, "missing", "the first column must be named date")
    codes = [columns.get(name, name) for name in table.header[1:]]
    if len(codes) < FEWEST_CLASSES:
        table.add(table.line, None, "wrong_length", f"needs {FEWEST_CLASSES} asset classes at least, a column for each")
    for column, code in enumerate(codes, 2):
        if not CODE.fullmatch(code):
            detail = "must be the code of an asset class: lower-case letters, digits and underscores, a letter first"
            table.add(table.line, column, "bad_code", detail)
        elif known is not None and code not in known:
            table.add(table.line, column, "unknown_asset_class", f"the assumption set has only {', '.join(known)}")
    check_names(table, ["date", *codes])
    return codes


def _check_columns(columns: Mapping[str, str], table: Table) -> None:
    unused = [name for name in columns if name not in table.header[1:]]
    if unused:
        pointers = ["/columns/" + name.replace("~", "~0").replace("/", "~1") for name in unused]
        raise InvalidDocument([Problem(p, "unknown_column", "the table has no such column") for p in pointers])


def _date(table: Table, line: int, cell: str, before: list[dt.date]) -> dt.date | None:
    day = None
    if _DAY.fullmatch(cell):
        with suppress(ValueError):
            day = dt.date.fromisoformat(cell)
    if day is None:
        table.add(line, 1, "bad_date", "must be a date such as 2025-01-31")
    elif before and day == before[-1]:
        table.add(line, 1, "duplicate", "the same date as in the row before")
    elif before and day < before[-1]:
        table.add(line, 1, "wrong_order", "earlier than the row before: dates must rise")
    else:
        return day
    return None


def _return(table: Table, line: int, column: int, cell: str) -> float:
    value = number(table, line, column, cell, "0.012 for 1.2 %")
    if value is not None and not -1 < value <= _HIGHEST:
        detail = "a return lies above -1 (everything lost) and at most at 1 (doubled): 0.012 is 1.2 %"
        table.add(line, column, "out_of_range", detail)
    return 0.0 if value is None else value


def _frequency(table: Table, days: list[dt.date]) -> float | None:
    """Periods a year by the usual distance of the dates; rows that do not fit it are findings."""
    distances = [(later - earlier).days for earlier, later in itertools.pairwise(days)]
    usual = median(distances)
    found = next((row for row in _FREQUENCIES if row[1] <= usual <= row[2]), None)
    if found is None:
        detail = "neither daily, weekly, monthly nor quarterly by its dates: say periods_per_year"
        table.add(None, None, "unknown_frequency", detail)
        return None
    periods, shortest, _, longest = found
    for (line, _), distance in zip(table.rows[1:], distances, strict=True):
        if distance > longest:
            table.add(line, 1, "gap", f"{distance} days after the row before: a period is missing")
        elif distance < shortest / 1.5:
            table.add(line, 1, "irregular", f"{distance} days after the row before: one period has two rows")
    return float(periods)
