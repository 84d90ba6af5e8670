"""What became of the Berka bank, as tables. Everything is read back from the database, beside the figures of the files."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from app.db import Database
from app.demo.berka import SOURCE, ZONE, Berka
from app.demo.loading import Fed
from app.demo.receiver import Receiver
from app.lifecycle.core.signals import ACTS
from app.lifecycle.core.stages import STAGES

AGE_BANDS = (30, 45, 60, 75)
KINDS = ("message", "survey", "task")
"""Kinds of actions that get a column of their own."""

_STORED = """
SELECT (SELECT count(*) FROM customers) AS clients,
       count(*) FILTER (WHERE type = 'account_opened') AS accounts,
       count(*) FILTER (WHERE payload ->> 'product_type' = 'standing_order') AS orders,
       count(*) FILTER (WHERE payload ->> 'product_type' = 'loan') AS loans,
       count(*) FILTER (WHERE payload ->> 'product_type' = 'card') AS cards,
       count(*) FILTER (WHERE type IN ('deposit', 'withdrawal')) AS postings,
       count(*) FILTER (WHERE payload ->> 'system' = 'true') AS system_postings
FROM signals WHERE source = :source
"""
_ACTIVITY = """
WITH acts AS (
    SELECT customer_id, (occurred_at AT TIME ZONE :zone)::date AS day, type, payload,
           coalesce(payload ->> 'system' = 'true', false) AS system FROM signals
), days AS (
    SELECT customer_id, day, bool_and(system) AS only_system FROM acts
    WHERE type IN ('deposit', 'withdrawal') OR type = ANY(:acts) GROUP BY customer_id, day
)
SELECT (SELECT count(*) FROM days WHERE only_system) AS system_days,
       (SELECT count(*) FROM days JOIN customer_day d USING (customer_id, day) WHERE only_system) AS counted_days,
       (SELECT sum(activity) FROM customer_day)
           - (SELECT count(*) FROM acts WHERE type = ANY(:acts) AND NOT system) AS acts_too_many,
       (SELECT sum(inflow) / 10000.0 FROM customer_day) - (SELECT sum((payload ->> 'amount')::numeric) FROM acts
           WHERE type = 'deposit' AND NOT system) AS inflow_too_much,
       (SELECT sum(outflow) / 10000.0 FROM customer_day) - (SELECT sum((payload ->> 'amount')::numeric) FROM acts
           WHERE type = 'withdrawal' AND NOT system) AS outflow_too_much
"""
_STAGES = """
SELECT stage, count(*) FROM stage_intervals
WHERE entered_at < :at AND (exited_at IS NULL OR exited_at >= :at) GROUP BY stage
"""
_RULES = """
SELECT coalesce(rule_id, kind) AS rule, from_stage, to_stage, count(*) AS n, count(DISTINCT customer_id) AS customers
FROM transitions GROUP BY 1, 2, 3 ORDER BY n DESC, 1
"""
_OUTCOMES = "SELECT status, reason, kind, count(*) FROM actions GROUP BY 1, 2, 3"
_PORTFOLIOS = """
SELECT width_bucket(extract(year FROM age(CAST(:today AS date), c.birth_on))::int, CAST(:bands AS int[])) AS band,
       r.weights, r.basis FROM recommendation_current k
JOIN recommendations r ON r.id = k.recommendation_id JOIN customers c ON c.id = k.customer_id
WHERE c.birth_on IS NOT NULL AND r.status = 'ok'
"""
_SENT = "SELECT outcome, count(*) FROM delivery_attempts GROUP BY outcome"


async def show_summary(
    console: Console,
    database: Database,
    berka: Berka,
    until: date,
    added: Fed,
    planned: int,
    receiver: Receiver,
    seconds: float,
) -> None:
    """Print all tables; `planned` is the number of actions that were planned in this run."""
    async with database.read() as connection:

        async def rows(query: str, **values: Any) -> list[dict[str, Any]]:
            return [dict(row) for row in (await connection.execute(text(query), values)).mappings()]

        [stored] = await rows(_STORED, source=SOURCE)
        console.print(_counts(berka.counts, stored))
        [checks] = await rows(_ACTIVITY, zone=str(ZONE), acts=list(ACTS))
        console.print(_activity(checks))
        moments = [(day, _midnight(day + timedelta(days=1))) for day in _quarter_ends(berka, until)]
        console.print(_stages({day: _pairs(await rows(_STAGES, at=at)) for day, at in moments}))
        console.print(_rules(await rows(_RULES)))
        console.print(_actions(await rows(_OUTCOMES)))
        console.print(_portfolios(await rows(_PORTFOLIOS, today=until, bands=list(AGE_BANDS))))
        console.print(_webhooks(receiver, _pairs(await rows(_SENT))))
    console.print(
        f"Added in this run: {added.customers:,} customers, {added.signals:,} signals, {added.transitions:,} transitions,"
        f" {planned:,} actions planned, {added.actions:,} due, {sum(receiver.verified.values()):,} webhooks."
        f" It took {seconds:.0f} s."
    )


def _pairs(rows: list[dict[str, Any]]) -> dict[str, int]:
    """First column -> second."""
    return dict(tuple(row.values()) for row in rows)


def _quarter_ends(berka: Berka, until: date) -> list[date]:
    """The last days of the quarters that are over, and the last day of all."""
    first = min(customer.created_on for customer in berka.clients)
    ends = [
        date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        for year in range(first.year, until.year + 1)
        for month in (3, 6, 9, 12)
    ]
    last = until - timedelta(days=1)
    return sorted({day for day in ends if first <= day <= last} | {last})


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZONE).astimezone(UTC)


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < left else "right")
    return table


def _counts(files: Mapping[str, int], stored: Mapping[str, int]) -> Table:
    table = _table("The files and the service", "", "in the files", "until the last posting", "stored", "equal")
    for name in ("clients", "accounts", "orders", "loans", "cards", "postings", "system_postings"):
        expected = files.get(f"{name}_until", files[name])
        table.add_row(
            name.replace("_", " "),
            f"{files[name]:,}",
            f"{expected:,}",
            f"{stored[name]:,}",
            "yes" if stored[name] == expected else "NO",
        )
    return table


def _activity(checks: Mapping[str, Any]) -> Table:
    table = _table("System postings (interest, fees) are no activity", "", "")
    table.add_row("days of a customer with nothing but system postings", f"{checks['system_days']:,}")
    table.add_row("… of these counted as days with activity or flows", f"{checks['counted_days']:,}")
    table.add_row("acts counted beyond those that customers made", f"{checks['acts_too_many']:,}")
    table.add_row("inflow counted beyond what customers paid in", f"{checks['inflow_too_much']:,.2f}")
    table.add_row("outflow counted beyond what customers paid out", f"{checks['outflow_too_much']:,.2f}")
    return table


def _stages(by_day: Mapping[date, Mapping[str, int]]) -> Table:
    table = _table("Customers per stage", "stage", *(day.isoformat() for day in by_day))
    for stage in STAGES:
        table.add_row(stage, *(f"{counts.get(stage, 0):,}" for counts in by_day.values()))
    table.add_row("all", *(f"{sum(counts.values()):,}" for counts in by_day.values()), style="bold")
    return table


def _rules(rows: list[dict[str, Any]]) -> Table:
    table = _table("Transitions by rule", "rule", "from", "to", "transitions", "customers", left=3)
    for row in rows:
        table.add_row(row["rule"], row["from_stage"], row["to_stage"], f"{row['n']:,}", f"{row['customers']:,}")
    return table


def _actions(rows: list[dict[str, Any]]) -> Table:
    """A row for each way in which actions ended, a column for each kind that is frequent."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row["status"], row["reason"] or ""][row["kind"] if row["kind"] in KINDS else "other"] += row["count"]
    table = _table("Actions", "state", "reason", "all", *KINDS, "other", left=2)
    for (status, reason), by_kind in sorted(counts.items(), key=lambda item: -item[1].total()):
        table.add_row(status, reason, *(f"{n:,}" for n in (by_kind.total(), *(by_kind[k] for k in (*KINDS, "other")))))
    total = sum(counts.values(), Counter[str]())
    table.add_row("all", "", *(f"{n:,}" for n in (total.total(), *(total[k] for k in (*KINDS, "other")))), style="bold")
    return table


def _portfolios(rows: list[dict[str, Any]]) -> Table:
    """Mean weights in percent by age band, over everybody who has a recommended portfolio."""
    classes = sorted({name for row in rows for name in row["weights"]})
    table = _table("Mean recommended portfolio by age, in percent", "age", "customers", *classes)
    edges = ("", *AGE_BANDS, "")
    for band in range(len(AGE_BANDS) + 1):
        held = [row["weights"] for row in rows if row["band"] == band]
        if held:
            means = (100 * sum(float(weights.get(name, 0)) for weights in held) / len(held) for name in classes)
            label = f"{edges[band]}-{edges[band + 1]}" if 0 < band < len(AGE_BANDS) else None
            label = label or (f"under {edges[1]}" if band == 0 else f"{edges[band]} and over")
            table.add_row(label, f"{len(held):,}", *(f"{mean:.1f}" for mean in means))
    advised = sum(row["basis"] == "advised" for row in rows)
    table.caption = (
        f"Advised after a risk questionnaire: {advised:,}. Indications, which caution caps: {len(rows) - advised:,}."
    )
    return table


def _webhooks(receiver: Receiver, sent: Mapping[str, int]) -> Table:
    table = _table("Webhooks received in this run, each with a verified signature", "event", "")
    for name, count in receiver.verified.most_common():
        table.add_row(name, f"{count:,}")
    table.add_row("refused, for a signature that was wrong", f"{receiver.refused:,}")
    table.add_row("repeated", f"{receiver.repeated:,}")
    table.add_row("delivered in all runs", f"{sent.get('delivered', 0):,}")
    return table
