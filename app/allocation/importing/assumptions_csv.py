"""An assumption document from two tables: the asset classes, and their correlations."""

import copy
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from app.allocation.engine.assumptions import MOST_CLASSES, CorrelationRepair, parse_assumptions
from app.allocation.engine.problems import InvalidDocument
from app.allocation.importing.tables import Table, TooManyProblems, check_lengths, check_names, number, read_table

CLASSES, CORRELATION = "/csv", "/correlation_csv"
_NUMBERS = ("expected_return", "volatility", "annual_cost", "market_weight")
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_FOLLOWING = ("missing", "weights_sum", "wrong_length")
# Column of the table -> place in an entry of the document.
COLUMNS: dict[str, tuple[str, ...]] = {
    "code": ("code",),
    "name_en": ("names", "en"),
    "name_zh": ("names", "zh"),
    "risk_level": ("risk_level",),
    "liquid": ("liquid",),
    "growth": ("growth",),
    "expected_return": ("expected_return",),
    "return_measure": ("return_measure",),
    "volatility": ("volatility",),
    "annual_cost": ("annual_cost",),
    "market_weight": ("market_weight",),
    "source": ("source",),
}


@dataclass
class Draft:
    """A document as far as it could be read, with every problem: the field it came in, and line and column of the CSV
    (from 1) where these are known. `repair` says how a correlation matrix would be mended."""

    document: dict[str, Any]
    problems: list[dict[str, Any]] = field(default_factory=list)
    repair: CorrelationRepair | None = None


def draft_from(csv: str, correlation_csv: str | None, head: Mapping[str, Any], base: Mapping[str, Any] | None) -> Draft:
    """The assumption document in a table of classes and a matrix, `head` giving its other fields.

    What `head`, a column or the matrix does not say is taken from `base`, class by class.

    Raises:
        InvalidDocument: if a text is no such table at all.
    """
    classes = read_table(csv, CLASSES, len(COLUMNS))
    before = {entry["code"]: entry for entry in base["asset_classes"]} if base else {}
    lines: list[int] = []
    entries: list[dict[str, Any]] = []
    with suppress(TooManyProblems):
        _check_header(classes, before)
        check_lengths(classes)
        for line, cells in classes.rows[: MOST_CLASSES + 1]:
            entries.append(_entry(classes, line, cells, before))
            lines.append(line)
    codes = [entry.get("code", "") for entry in entries]
    matrix = read_table(correlation_csv, CORRELATION, MOST_CLASSES + 1) if correlation_csv is not None else None
    document = {**_top(base), **head, "asset_classes": entries}
    draft = Draft(document)
    if matrix is not None:
        document.pop("correlation_source", None)
        with suppress(TooManyProblems):
            document["correlation"] = _matrix(matrix, codes)
        _note(draft, CORRELATION, matrix)
    elif base is not None:
        document["correlation"] = _part(draft, base, codes)
    else:
        draft.problems.append(_problem(CORRELATION, None, None, "missing", "the classes need correlations"))
    _note(draft, CLASSES, classes)
    _check(draft, lines, classes, matrix)
    return draft


def _top(base: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        key: copy.deepcopy(value) for key, value in (base or {}).items() if key not in ("asset_classes", "correlation")
    }


def _check_header(table: Table, before: Mapping[str, Any]) -> None:
    check_names(table, table.header)
    for column, name in enumerate(table.header, 1):
        if name not in COLUMNS:
            table.add(table.line, column, "unknown_column", f"must be one of {', '.join(COLUMNS)}")
    for name in COLUMNS:
        if name not in table.header and (name == "code" or not before):
            table.add(table.line, None, "missing", f"the column {name} is missing")


def _entry(table: Table, line: int, cells: list[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """One class: what the base says of it, and the cells over that; what cannot be read is left out."""
    given = dict(zip(table.header, cells, strict=True))
    entry: dict[str, Any] = copy.deepcopy(before.get(given.get("code", ""), {}))
    for column, name in enumerate(table.header, 1):
        *parents, last = COLUMNS.get(name, ("",))
        place = entry
        for parent in parents:
            place = place.setdefault(parent, {})
        value = _value(table, line, column, name, cells[column - 1])
        place.pop(last, None)
        if value is not None and name in COLUMNS:
            place[last] = value
    return entry


def _value(table: Table, line: int, column: int, name: str, cell: str) -> Any:
    if name in _NUMBERS:
        return number(table, line, column, cell, "0.067 for 6.7 %")
    if name in ("liquid", "growth"):
        if cell.lower() not in _FLAGS:
            table.add(line, column, "wrong_type", "must be true or false")
        return _FLAGS.get(cell.lower())
    if not cell:
        table.add(line, column, "missing", "a text is missing")
    return cell or None


def _matrix(table: Table, codes: list[str]) -> list[list[float | None]]:
    """The matrix in the order of `codes`; an empty cell takes the value of the one opposite."""
    names = table.header[1:]
    check_names(table, ["", *names])
    check_lengths(table)
    for column, name in enumerate(names, 2):
        if name not in codes:
            table.add(table.line, column, "unknown_asset_class", "the table of classes has no such class")
    cells: dict[tuple[str, str], float | None] = {}
    rows: dict[str, int] = {}
    for line, row in table.rows:
        if row[0] not in codes or row[0] in rows:
            detail = "one row for each class of the table of classes, begun by its code"
            table.add(line, 1, "duplicate" if row[0] in rows else "unknown_asset_class", detail)
            continue
        rows[row[0]] = line
        for column, (name, cell) in enumerate(zip(names, row[1:], strict=True), 2):
            if cell:
                cells[row[0], name] = number(table, line, column, cell, "0.76")
    for first in codes:
        for second in codes:
            if (first, second) not in cells and (second, first) not in cells:
                place = names.index(second) + 2 if second in names else None
                table.add(rows.get(first), place, "missing", f"no correlation of {first} and {second}")
    return [[cells.get((a, b), cells.get((b, a))) for b in codes] for a in codes]


def _part(draft: Draft, base: Mapping[str, Any], codes: list[str]) -> list[list[float]]:
    """The correlations of these classes in the base; a class that it lacks needs a matrix."""
    known = [entry["code"] for entry in base["asset_classes"]]
    if not set(codes) <= set(known):
        detail = "a class that the set lacks needs correlations"
        draft.problems.append(_problem(CORRELATION, None, None, "missing", detail))
        return []
    places = [known.index(code) for code in codes]
    return [[base["correlation"][i][j] for j in places] for i in places]


def _note(draft: Draft, pointer: str, table: Table) -> None:
    draft.problems += [_problem(pointer, f.line, f.column, f.code, f.detail) for f in table.findings]


def _check(draft: Draft, lines: list[int], classes: Table, matrix: Table | None) -> None:
    """What is wrong with the document itself, by line and column; nothing twice."""
    said = {(p["pointer"], p["line"], p["column"]) for p in draft.problems}
    unread = {p["pointer"] for p in draft.problems}
    codes = [entry.get("code", "") for entry in draft.document["asset_classes"]]
    try:
        draft.repair = parse_assumptions(draft.document).repair
    except InvalidDocument as error:
        for found in error.problems:
            place = _located(found.pointer, lines, codes, classes, matrix)
            # What is lacking because a table could not be read has been said by what could not be read.
            follows = bool(unread) and found.code in _FOLLOWING and place[0] in (CLASSES, CORRELATION)
            if place not in said and not follows:
                draft.problems.append(_problem(*place, found.code, found.detail))


def _located(
    pointer: str, lines: list[int], codes: list[str], classes: Table, matrix: Table | None
) -> tuple[str, int | None, int | None]:
    """Where a place of the document comes from: the field, and line and column of its CSV."""
    parts = pointer.split("/")[1:]
    if parts[0] == "asset_classes":
        if len(parts) == 1:
            return CLASSES, None, None
        name = next((name for name, path in COLUMNS.items() if list(path) == parts[2:]), "")
        return CLASSES, lines[int(parts[1])], classes.header.index(name) + 1 if name in classes.header else None
    if parts[0] == "correlation":
        names = [codes[int(part)] for part in parts[1:] if int(part) < len(codes)]
        if matrix is None or not names:
            return CORRELATION, None, None
        line = next((line for line, row in matrix.rows if row[0] == names[0]), None)
        column = matrix.header.index(names[1]) + 1 if len(names) > 1 and names[1] in matrix.header[1:] else None
        return CORRELATION, line, column
    return pointer, None, None


def _problem(pointer: str, line: int | None, column: int | None, code: str, detail: str) -> dict[str, Any]:
    return {"pointer": pointer, "line": line, "column": column, "code": code, "detail": detail}
