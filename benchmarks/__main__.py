"""Runs the benchmarks one after the other: `python -m benchmarks [NAME ...]`.

Prints a table and writes `latest.json` beside this file. Ends with 1 if a promise was broken, a benchmark failed, or nothing was measured.
"""

import json
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import benchmarks
from benchmarks import Result

LATEST = Path(__file__).with_name("latest.json")
Run = Callable[[], Result | list[Result]]


def available() -> list[str]:
    """Names of the modules here that may be benchmarks, in order."""
    return sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def chosen(names: Iterable[str]) -> list[str]:
    """The names to run; all that are available if none is given. SystemExit if one does not exist."""
    known = available()
    wanted = list(names) or known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise SystemExit(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(known)}")
    return wanted


def measure(name: str) -> list[Result]:
    """The results of one module, checked for shape; nothing for a module without `run()`."""
    run = cast("Run | None", getattr(import_module(f"benchmarks.{name}"), "run", None))
    if run is None:
        return []
    found = run()
    results = found if isinstance(found, list) else [found]
    for result in results:
        if set(result) != set(Result.__annotations__):
            raise TypeError(f"benchmarks/{name}.py: a result has the keys {', '.join(Result.__annotations__)}")
    return results


def table_of(results: Iterable[Result]) -> Table:
    """The results for people."""
    table = Table("benchmark", "ratio", "promise", "holds", "detail", title="Promises of speed")
    table.columns[1].justify = "right"
    for result in results:
        verdict = "[green]yes" if result["holds"] else "[red]no"
        table.add_row(
            escape(result["name"]),
            f"{result['ratio']:.2f}",
            escape(result["promise"]),
            verdict,
            escape(result["detail"]),
        )
    return table


def main(names: list[str]) -> int:
    """Run, print, write; the exit status."""
    console = Console()
    results: list[Result] = []
    failed: list[str] = []
    for name in chosen(names):
        console.print(f"[dim]{name} …")
        try:
            results += measure(name)
        except Exception:  # noqa: BLE001 - one broken benchmark must not hide the others; its stack is shown
            traceback.print_exc()
            failed.append(name)
    LATEST.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(table_of(results))
    if failed:
        console.print(f"[red]failed: {', '.join(failed)}")
    return int(bool(failed) or not results or not all(result["holds"] for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
