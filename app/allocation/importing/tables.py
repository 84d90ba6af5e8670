"""CSV as it comes from spreadsheets, read strictly, with every problem by line and column."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.allocation.engine.document import CODE
from app.allocation.engine.problems import InvalidDocument, Problem

LARGEST = 5_000_000  # characters
_MOST_PROBLEMS = 100
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class Finding(NamedTuple):
    """One thing wrong in a table. Line and column count from 1; None is the whole of it."""

    line: int | None
    column: int | None
    code: str
    detail: str


class TooManyProblems(Exception):
    """Reading on would only say more of the same."""


@dataclass
class Table:
    """A header and the rows below it, each with its line; `findings` collects what is wrong with them."""

    line: int
    header: list[str]
    rows: list[tuple[int, list[str]]]
    findings: list[Finding] = field(default_factory=list)

    def add(self, line: int | None, column: int | None, code: str, detail: str) -> None:
        """Note a problem.

        Raises:
            TooManyProblems: when a hundred are noted.
        """
        self.findings.append(Finding(line, column, code, detail))
        if len(self.findings) >= _MOST_PROBLEMS:
            raise TooManyProblems

    def place(self, finding: Finding) -> str:
        """Where it is, in words: "line 3, column 2 (bonds)". Names only what can be a code of ours."""
        if finding.line is None and finding.column is None:
            return ""
        parts = [] if finding.line is None else [f"line {finding.line}"]
        if finding.column is not None:
            name = self.header[finding.column - 1] if finding.column <= len(self.header) else ""
            parts.append(f"column {finding.column}" + (f" ({name})" if CODE.fullmatch(name) else ""))
        return ", ".join(parts)

    def refused(self, pointer: str) -> InvalidDocument:
        """All findings as the error that names them."""
        found = []
        for finding in self.findings:
            place = self.place(finding)
            found.append(Problem(pointer, finding.code, f"{place}: {finding.detail}" if place else finding.detail))
        return InvalidDocument(found)


def read_table(text: str, pointer: str, most_columns: int) -> Table:
    """The table in a CSV text: commas, a header, UTF-8 with or without a byte order mark, any line ends. Cells come
    without surrounding blanks; blank lines count but are left out.

    Raises:
        InvalidDocument: if this is no such table; `pointer` names the field it came in.
    """
    if len(text) > LARGEST:
        raise InvalidDocument([Problem(pointer, "too_long", f"at most {LARGEST:,} characters")])
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        detail = f"line {reader.line_num}: not CSV ({error})"
        raise InvalidDocument([Problem(pointer, "bad_csv", detail)]) from error
    if not lines:
        raise InvalidDocument([Problem(pointer, "missing", "there is no header line")])
    (line, header), *rows = lines
    other = next((sign for sign in (";", "\t", "|") if len(header) == 1 and sign in header[0]), None)
    if other is not None:
        name = {";": "semicolons", "\t": "tabs"}.get(other, "bars")
        detail = f"columns are separated by {name} here: separate them by commas, with decimals such as 0.012"
        raise InvalidDocument([Problem(pointer, "wrong_separator", f"line {line}: {detail}")])
    if len(header) > most_columns:
        detail = f"line {line}: at most {most_columns} columns, not {len(header)}"
        raise InvalidDocument([Problem(pointer, "wrong_length", detail)])
    return Table(line, header, rows)


def number(table: Table, line: int, column: int, cell: str, unit: str) -> float | None:
    """A decimal number; what else it is becomes a finding. `unit` is an example in words, "0.012 for 1.2 %"."""
    if not cell:
        table.add(line, column, "missing", "a number is missing")
    elif _NUMBER.fullmatch(cell):
        return float(cell)
    elif "%" in cell:
        table.add(line, column, "bad_number", f"write a share without the sign: {unit}")
    elif "," in cell:
        table.add(line, column, "bad_number", f"write decimals with a point, and no separator of thousands: {unit}")
    else:
        table.add(line, column, "bad_number", f"must be a number, {unit}")
    return None


def check_lengths(table: Table) -> None:
    """Note rows that are shorter or longer than the header, and leave them out."""
    kept = []
    for line, cells in table.rows:
        if len(cells) == len(table.header):
            kept.append((line, cells))
        else:
            table.add(line, None, "wrong_length", f"has {len(cells)} cells, the header has {len(table.header)}")
    table.rows = kept


def check_names(table: Table, names: Sequence[str]) -> None:
    """Note column names that appear twice."""
    for column, name in enumerate(names, 1):
        if name and name in names[: column - 1]:
            table.add(table.line, column, "duplicate", "this column appears twice")
