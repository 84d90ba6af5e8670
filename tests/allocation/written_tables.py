"""CSV as institutions send it: some returns, and the shipped assumptions as tables."""

import csv
import io

from app.allocation.engine.defaults import default_document
from app.allocation.importing.assumptions_csv import COLUMNS
from tests.allocation.return_panels import CODES, csv_of, market

MONTHS = csv_of(market(1, 36).of(("domestic_equity", "bonds", "cash")))


def written(rows):
    """Rows as CSV."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def class_rows():
    """The shipped asset classes as a table."""
    rows = [list(COLUMNS)]
    for entry in default_document("assumptions")["asset_classes"]:
        values = {**entry, "name_en": entry["names"]["en"], "name_zh": entry["names"]["zh"]}
        rows.append([str(values[name]).lower() if isinstance(values[name], bool) else values[name] for name in COLUMNS])
    return rows


def matrix_rows(*, half=False):
    """The shipped correlations as a table, or one half of them."""
    rows = [["", *CODES]]
    for place, code in enumerate(CODES):
        entries = default_document("assumptions")["correlation"][place]
        rows.append([code, *(entry if not half or at <= place else "" for at, entry in enumerate(entries))])
    return rows
