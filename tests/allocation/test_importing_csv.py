"""CSV of returns and assumptions: everything wrong by line and column, and what is understood all the same."""

import numpy as np
import pytest

from app.allocation.engine.problems import InvalidDocument
from app.allocation.importing.assumptions_csv import COLUMNS, draft_from
from app.allocation.importing.returns_csv import parse_returns
from app.allocation.importing.tables import LARGEST
from tests.allocation.return_panels import CODES
from tests.allocation.written_tables import MONTHS, class_rows, matrix_rows, written

HEAD = {"currency": "EUR", "horizon": "10 years", "source": "our desk", "as_of": "2026-01-31"}


def refused(text, **asked):
    with pytest.raises(InvalidDocument) as error:
        parse_returns(text, **asked)
    return error.value.problems


def changed(line, column, cell):
    """The returns with one cell changed; lines and columns from 1."""
    rows = [row.split(",") for row in MONTHS.splitlines()]
    rows[line - 1][column - 1] = cell
    return "\n".join(",".join(row) for row in rows)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (changed(3, 3, ""), "missing", "line 3, column 3 (bonds): a number is missing"),
        (changed(3, 3, "n/a"), "bad_number", "line 3, column 3 (bonds): must be a number"),
        (changed(3, 3, "NaN"), "bad_number", "line 3, column 3 (bonds)"),
        (changed(3, 3, "1_0"), "bad_number", "line 3, column 3 (bonds)"),
        (changed(3, 3, "١"), "bad_number", "line 3, column 3 (bonds)"),
        (changed(3, 3, "1.2%"), "bad_number", "without the sign: 0.012 for 1.2 %"),
        (changed(3, 3, '"0,012"'), "bad_number", "decimals with a point"),
        (changed(3, 3, "-1.5"), "out_of_range", "line 3, column 3 (bonds): a return lies above -1"),
        (changed(3, 3, "7"), "out_of_range", "0.012 is 1.2 %"),
        (changed(3, 3, "1e999"), "out_of_range", "line 3, column 3 (bonds)"),
        (changed(4, 1, "2000-02-29"), "duplicate", "line 4, column 1 (date): the same date"),
        (changed(4, 1, "1999-02-28"), "wrong_order", "line 4, column 1 (date): earlier"),
        (changed(4, 1, "31.03.2000"), "bad_date", "line 4, column 1 (date)"),
        (changed(4, 1, "2000-02-30"), "bad_date", "line 4, column 1 (date)"),
        (changed(1, 1, "Datum"), "missing", "line 1, column 1: the first column must be named date"),
        (changed(1, 3, "Bonds EUR"), "bad_code", "line 1, column 3: must be the code"),
        (changed(1, 3, "cash"), "duplicate", "line 1, column 4 (cash): this column appears twice"),
        (MONTHS.replace("\n2000-05-31,", "\n2000-05-31,,"), "wrong_length", "line 6: has 5 cells, the header has 4"),
        ("\n".join(MONTHS.splitlines()[:9]), "too_few_rows", "needs 12 rows of returns at least, has 8"),
        ("\n".join([*MONTHS.splitlines()[:5], *MONTHS.splitlines()[6:]]), "gap", "line 6, column 1 (date): 61 days"),
        (changed(3, 1, "2000-02-02"), "irregular", "line 3, column 1 (date): 2 days"),
        (MONTHS.replace(",", ";").replace(".", ","), "wrong_separator", "semicolons here: separate them by commas"),
        (MONTHS.replace(",", "\t"), "wrong_separator", "tabs here"),
        ('date,a,b\n"2000-01-31"x,1,2\n', "bad_csv", "line 2: not CSV"),
        ("\n \n", "missing", "there is no header line"),
        ("date,a\n2000-01-31,0.1\n", "wrong_length", "needs 2 asset classes"),
        (",".join(["date", *(f"c{i}" for i in range(41))]), "wrong_length", "at most 41 columns, not 42"),
    ],
)
def test_what_is_wrong_with_returns_is_named_by_line_and_column(text, code, words):
    problems = refused(text)
    assert all(problem.pointer == "/csv" for problem in problems)
    assert any(problem.code == code and words in problem.detail for problem in problems), problems


def test_everything_wrong_is_named_together_up_to_a_hundred():
    text = changed(3, 3, "x").replace("2001-01-31", "soon")
    assert [problem.code for problem in refused(text)] == ["bad_number", "bad_date"]
    assert len(refused("date,a,b,c,d\n" + "2000-01-31,x,x,x,x\n" * 50)) == 100


def test_a_text_that_is_too_large_is_refused_unread():
    [problem] = refused("date,a,b\n" + " " * LARGEST)
    assert problem.code == "too_long"


def test_a_class_that_is_not_known_is_refused_with_those_that_are():
    [problem] = refused(MONTHS, known=("domestic_equity", "cash", "gold"))
    assert problem.code == "unknown_asset_class"
    assert problem.detail == "line 1, column 3 (bonds): the assumption set has only domestic_equity, cash, gold"


@pytest.mark.parametrize(("step", "found"), [(1, 252), (7, 52), (91, 4)])
def test_the_frequency_is_found_from_the_dates(step, found):
    days = np.datetime64("2001-01-01") + np.arange(20) * step
    text = "date,a,b\n" + "".join(f"{day},0.0{i % 7},0.0{i % 5}\n" for i, day in enumerate(days))
    assert parse_returns(text).periods_per_year == found
    assert parse_returns(text, periods_per_year=100).periods_per_year == 100
    assert parse_returns(MONTHS).periods_per_year == 12


def test_a_frequency_that_is_none_of_the_usual_must_be_told():
    days = np.datetime64("2001-01-01") + np.arange(20) * 50
    text = "date,a,b\n" + "".join(f"{day},0.01,0.0{i % 5}\n" for i, day in enumerate(days))
    [problem] = refused(text)
    assert problem.code == "unknown_frequency"
    assert parse_returns(text, periods_per_year=7).periods_per_year == 7


def test_daily_returns_may_pause_for_holidays_but_not_for_a_month():
    days = [f"2001-01-{day:02}" for day in range(1, 20)]
    text = "date,a,b\n" + "".join(f"{day},0.01,0.02\n" for day in (*days, "2001-01-31"))
    assert len(parse_returns(text)) == 20
    [problem] = refused(text + "2001-02-28,0.01,0.02\n")
    assert problem.code == "gap"


def at(line, column, cell, rows):
    rows = [list(row) for row in rows]
    rows[line - 1][column - 1] = cell
    return written(rows)


RETURN, LEVEL, LIQUID = (list(COLUMNS).index(name) + 1 for name in ("expected_return", "risk_level", "liquid"))


@pytest.mark.parametrize(
    ("classes", "matrix", "problem"),
    [
        (at(3, RETURN, "7 %", class_rows()), None, ("/csv", 3, RETURN, "bad_number")),
        (at(3, RETURN, "", class_rows()), None, ("/csv", 3, RETURN, "missing")),
        (at(3, RETURN, "7", class_rows()), None, ("/csv", 3, RETURN, "out_of_range")),
        (at(3, LEVEL, "R9", class_rows()), None, ("/csv", 3, LEVEL, "unknown_value")),
        (at(3, LIQUID, "maybe", class_rows()), None, ("/csv", 3, LIQUID, "wrong_type")),
        (at(3, 2, "", class_rows()), None, ("/csv", 3, 2, "missing")),
        (at(3, 1, "cash", class_rows()), None, ("/csv", 9, 1, "duplicate")),
        (at(3, 1, "Équité", class_rows()), None, ("/csv", 3, 1, "bad_code")),
        (at(1, 2, "colour", class_rows()), None, ("/csv", 1, 2, "unknown_column")),
        (at(1, 2, "colour", class_rows()), None, ("/csv", 1, None, "missing")),
        (written([*class_rows(), ["too", "short"]]), None, ("/csv", 10, None, "wrong_length")),
        (None, at(3, 4, "1.5", matrix_rows()), ("/correlation_csv", 3, 4, "out_of_range")),
        (None, at(3, 4, "0.7", matrix_rows()), ("/correlation_csv", 3, 4, "not_symmetric")),
        (None, at(3, 3, "0.9", matrix_rows()), ("/correlation_csv", 3, 3, "bad_diagonal")),
        (None, at(3, 4, "much", matrix_rows()), ("/correlation_csv", 3, 4, "bad_number")),
        (None, at(3, 1, "stamps", matrix_rows()), ("/correlation_csv", 3, 1, "unknown_asset_class")),
        (None, at(1, 3, "stamps", matrix_rows()), ("/correlation_csv", 1, 3, "unknown_asset_class")),
        (None, at(3, 1, "cash", matrix_rows()), ("/correlation_csv", 9, 1, "duplicate")),
        (None, written(matrix_rows()[:-1]), ("/correlation_csv", None, 9, "missing")),
    ],
)
def test_what_is_wrong_with_tables_is_named_by_line_and_column(classes, matrix, problem):
    draft = draft_from(classes or written(class_rows()), matrix or written(matrix_rows()), HEAD, None)
    found = [(p["pointer"], p["line"], p["column"], p["code"]) for p in draft.problems]
    assert problem in found
    assert len(found) == len(set(found))


def test_a_matrix_that_is_none_of_correlations_is_repaired_or_refused():
    rows = class_rows()[:4]
    rows[1][10], rows[2][10], rows[3][10] = 0.4, 0.3, 0.3
    codes = CODES[:3]
    for third, told in ((0.60, True), (-0.9, False)):
        matrix = [["", *codes], [codes[0], 1, 0.9, third], [codes[1], "", 1, 0.9], [codes[2], "", "", 1]]
        draft = draft_from(written(rows), written(matrix), HEAD, None)
        assert (draft.repair is not None) == told
        assert [p["code"] for p in draft.problems] == ([] if told else ["not_positive_semidefinite"])
