"""A backtest on the command line: a table, a small chart, and the paths as CSV. Needs no database."""

import csv
import math
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from app.allocation.backtesting.running import Asked, Found, person_of, run, score_of
from app.allocation.engine.backtest import HUNDRED_MINUS_AGE, SIXTY_FORTY
from app.allocation.engine.correlation import Array
from app.allocation.engine.defaults import default_document
from app.allocation.engine.performance import Performance
from app.allocation.engine.policy import RISK_CLASSES
from app.allocation.engine.problems import InvalidDocument
from app.allocation.profiles import refused
from app.allocation.versions.store import parse
from app.deps import parse_json
from app.errors import invalid

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60
_TITLES = {SIXTY_FORTY: "60/40", HUNDRED_MINUS_AGE: "100 minus age"}


def backtest(
    returns: bytes,
    documents: dict[str, bytes | None],
    chosen: Sequence[str],
    person: dict[str, Any],
    asked: dict[str, Any],
    console: Console,
    series: IO[str] | None,
) -> Found:
    """Run it for a person of each of the classes chosen and print what came of it.

    `documents` are the JSON of policy and assumptions, None for what is shipped; `person` holds kind, segment, stage and
    age; `asked` the fields of `Asked`, with `columns` as texts such as em_equity=emerging_equity; `series` takes the paths
    as CSV.

    Raises:
        Problem: that names what cannot be used.
    """
    names = tuple(chosen) or RISK_CLASSES
    people = [person_of(**person, score=score_of(name)) for name in names]
    try:
        policy, assumptions = (
            parse(kind, parse_json(document) if document is not None else default_document(kind))
            for kind, document in documents.items()
        )
        found = run(
            policy, assumptions, _text(returns), people, Asked(**{**asked, "columns": _columns(asked["columns"])})
        )
    except InvalidDocument as error:
        raise refused(error) from error
    titles = [f"policy {name}" for name in names]
    titles += [_TITLES[name] for name in found.backtest.strategies[len(names) :]]
    _show(console, found, titles)
    if series is not None:
        _write(series, found, titles)
    return found


def _text(returns: bytes) -> str:
    try:
        return returns.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid("/csv", "bad_encoding", "must be UTF-8") from error


def _columns(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if not all(name and sign and code for name, sign, code in pairs):
        raise invalid("--column", "bad_column", "must look like em_equity=emerging_equity")
    return {name: code for name, _, code in pairs}


def _show(console: Console, found: Found, titles: Sequence[str]) -> None:
    result, plan = found.backtest, found.plan
    label = {"past_only": "past only", "in_sample": "in-sample: chosen with knowledge of what came later"}[plan.label]
    console.print(
        f"{result.dates[0]} to {result.dates[-1]}, {len(result.rebalancings)} portfolios, after costs;"
        f" expected returns: {plan.estimates} ([bold]{label}[/bold])"
    )
    if found.left_out:
        console.print(f"Without returns, and so left out: {', '.join(found.left_out)}")
    columns = ("return", "volatility", "Sharpe", "deepest fall", "from, to", "again", "worst year", "turnover")
    table = Table("", *columns)
    for title, figures in zip(titles, result.performances, strict=True):
        table.add_row(title, *_row(figures))
    console.print(table)
    lowest, highest = np.log(result.wealth.min()), np.log(result.wealth.max())
    for title, path in zip(titles, result.wealth.T, strict=True):
        console.print(f"{title:>14} {_line(np.log(path), lowest, highest)} {path[-1]:.2f}", highlight=False)
    console.print("What became of 1, on a logarithmic scale that is the same for all.")


def _row(figures: Performance) -> tuple[str, ...]:
    fall, year = figures.drawdown, figures.worst_year
    return (
        f"{figures.annualised_return:.1%}",
        f"{figures.volatility:.1%}",
        "" if math.isnan(figures.sharpe) else f"{figures.sharpe:.2f}",
        f"{-fall.depth:.1%}" if fall else "none",
        f"{fall.peak:%Y-%m}, {fall.trough:%Y-%m}" if fall else "",
        f"{fall.recovered:%Y-%m}" if fall and fall.recovered else "not yet" if fall else "",
        f"{year.growth:.1%}" if year else "",
        f"{figures.turnover:.1%}",
    )


def _line(path: Array, lowest: float, highest: float) -> str:
    points = path[np.linspace(0, len(path) - 1, min(_WIDTH, len(path))).round().astype(int)]
    share = (points - lowest) / max(highest - lowest, 1e-12)
    return "".join(_BARS[place] for place in np.minimum(share * len(_BARS), len(_BARS) - 1).astype(int).tolist())


def _write(series: IO[str], found: Found, titles: Sequence[str]) -> None:
    writer = csv.writer(series, lineterminator="\n")
    writer.writerow(["date", *titles])
    for day, row in zip(found.backtest.dates, found.backtest.wealth.tolist(), strict=True):
        writer.writerow([day.isoformat(), *(f"{value:.6f}" for value in row)])
