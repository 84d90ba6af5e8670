"""A simulation on the command line: a progress bar, then tables."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.config import Settings
from app.db import Database
from app.deps import parse_json
from app.errors import FieldProblem, Problem
from app.lifecycle.core.stages import STAGES
from app.simulations.asking import checked, wanted_of
from app.simulations.comparing import Tally, difference, differs
from app.simulations.running import chunks, population
from app.simulations.schemas import SimulationCreate

_BUSIEST = 10
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def asked_for(draft: bytes | None, version: int | None, options: Mapping[str, Any], zone: ZoneInfo) -> SimulationCreate:
    """What a command line asks for, as a request would; a `Problem` that names the field where it cannot be read.

    A day without a time means the midnight with which it begins in the institution's zone.
    """
    chosen: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in options.items()
    }
    policy: dict[str, Any] = {"version": version} if version is not None else {}
    if draft is not None:
        policy["document"] = parse_json(draft)
    request = {
        "policy": policy or None,
        "from": _moment(chosen.pop("begin"), zone),
        "to": _moment(chosen.pop("end"), zone),
        "knowledge": chosen.pop("knowledge"),
        "filter": chosen,
    }
    try:
        return SimulationCreate.model_validate(request)
    except ValidationError as error:
        problems = [
            FieldProblem(pointer="/" + "/".join(map(str, e["loc"])), code=e["type"], detail=e["msg"])
            for e in error.errors()
        ]
        raise Problem("invalid", errors=problems) from error


def _moment(given: str | None, zone: ZoneInfo) -> str | None:
    if given is None or not _DAY.fullmatch(given):
        return given
    with suppress(ValueError):
        return datetime.fromisoformat(given).replace(tzinfo=zone).isoformat()
    return given


async def simulate(
    database: Database, settings: Settings, asked: SimulationCreate, now: Any, console: Console, *, listed: int
) -> dict[str, Any]:
    """Run a simulation and print what would have been different; returns the result as the API shows it.

    `listed`: how many of the customers who differ to print one by one. Raises `Problem` if it cannot be run.
    """
    async with database.read() as connection:
        params, state = await checked(connection, asked, now)
    wanted = wanted_of(params, state["document"], settings.tz)
    counts = await population(database, wanted)
    tally, apart = Tally(), list[tuple[Any, dict[str, Any]]]()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("Replaying customers", total=counts["customers"])
        async for _, chunk in chunks(database, wanted, now):
            tally.add(chunk.pairs, wanted.period)
            for side in (0, 1):
                tally.add_load(side, chunk.due[side])
            for pair in chunk.pairs:
                if len(apart) < listed and differs(pair, wanted.period):
                    apart.append((pair.live.customer_id, difference(pair, wanted.period)))
            bars.update(bar, completed=tally.customers)
    left_out = {"erased": counts["erased"], "merged": counts["merged"]}
    result = {**params, **tally.result(), "listed": len(apart), "left_out": left_out}
    _show(console, result, apart)
    return result


def _show(console: Console, result: Mapping[str, Any], apart: Sequence[tuple[Any, Mapping[str, Any]]]) -> None:
    tried = result["policy_name"] or "the policies that applied"
    version = f" (version {result['policy_version']})" if result["policy_version"] else ""
    console.print(
        f"[bold]{tried}{version}[/bold], {result['from']:%Y-%m-%d} to {result['to']:%Y-%m-%d}, {result['knowledge']}"
    )
    left_out = result["left_out"]
    console.print(
        f"Customers: {result['customers']:,}, of whom {result['differing']:,} differ;"
        f" left out: {left_out['erased']:,} erased, {left_out['merged']:,} merged"
    )
    console.print(_matrix(result["matrix"]))
    console.print(_figures(result))
    console.print(_rules(result["rules"]))
    if result["load"]:
        console.print(_load(result["load"]))
    for customer_id, found in apart:
        _print_difference(console, customer_id, found)


def _matrix(cells: Sequence[Mapping[str, Any]]) -> Table:
    counts = {(cell["live"], cell["simulated"]): cell["customers"] for cell in cells}
    table = Table("live, down; simulated, across", *STAGES, title="Stage at the end")
    for live in STAGES:
        row = [counts.get((live, simulated), 0) for simulated in STAGES]
        table.add_row(live, *(f"{n:,}" if n else "·" for n in row))
    return table


def _figures(result: Mapping[str, Any]) -> Table:
    table = Table("", "live", "simulated", "live per 1,000", "simulated per 1,000")
    for name in ("transitions", "returns"):
        sides = result[name]
        table.add_row(
            name,
            f"{sides['live']:,}",
            f"{sides['simulated']:,}",
            f"{sides['live_per_1000']:,}",
            f"{sides['simulated_per_1000']:,}",
        )
    return table


def _rules(rules: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("rule or kind", "from", "to", "live", "simulated", "difference", title="Transitions")
    for rule in rules:
        change = rule["simulated"] - rule["live"]
        row = (rule["cause"], rule["from_stage"], rule["to_stage"], f"{rule['live']:,}", f"{rule['simulated']:,}")
        table.add_row(*row, f"{change:+,}" if change else "·")
    return table


def _load(days: Sequence[Mapping[str, Any]]) -> Table:
    """All days together, and those with the most to do."""
    names = ("messages_live", "messages_simulated", "tasks_live", "tasks_simulated")
    total = {"day": "all days", **{name: sum(day[name] for day in days) for name in names}}
    busiest = sorted(days, key=lambda d: -(d["messages_simulated"] + d["tasks_simulated"]))[:_BUSIEST]
    table = Table("day", *(name.replace("_", ", ") for name in names), title="Planned actions; the busiest days")
    for day in (total, *sorted(busiest, key=lambda d: str(d["day"]))):
        table.add_row(day["day"], *(f"{day[name]:,}" for name in names))
    return table


def _print_difference(console: Console, customer_id: Any, found: Mapping[str, Any]) -> None:
    console.print(f"\n[bold]{customer_id}[/bold]: {found['live_stage']} live, {found['simulated_stage']} simulated")
    for side in ("live", "simulated"):
        step = found[f"first_{side}"]
        if step is None:
            console.print(f"  {side}: no further step")
            continue
        facts = ", ".join(f"{name} {value}" for name, value in step["facts"].items())
        cause = step["rule_id"] or step["kind"]
        way = f"{step['from_stage']} to {step['to_stage']}"
        console.print(f"  {side}: {way} on {step['effective_at']:%Y-%m-%d} by {cause}: {facts}")
