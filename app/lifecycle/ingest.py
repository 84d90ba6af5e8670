"""Stores signals and what they add to the tables that facts are computed from. Bulk statements, locked customers."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.lifecycle.core.book import day_columns, local_value
from app.lifecycle.core.signals import OWN_SOURCE, Effects, effects


class Incoming(NamedTuple):
    """An accepted signal of a known customer; `origin_id` if it was sent for a duplicate merged into that customer."""

    customer_id: UUID
    source: str
    source_event_id: str
    type: str
    occurred_at: datetime
    payload: dict[str, Any]
    origin_id: UUID | None = None


async def store_new(
    session: AsyncSession, signals: Sequence[Incoming], now: datetime, zone: ZoneInfo
) -> tuple[list[tuple[Incoming, Effects]], set[tuple[UUID, str, str, str]]]:
    """Store the signals whose key is new, and add up what they mean; returns those, in the order given.

    With them, which facts they set: (customer, name, source, source event id). A signal that came late sets nothing.

    Keys are inserted in sorted order, so that two batches that share keys wait for each other and never deadlock.
    """
    ordered = sorted(signals, key=lambda s: (s.source, s.source_event_id))
    inserted = await session.execute(
        text(
            "INSERT INTO signal_keys (source, source_event_id, received_at)"
            " SELECT s, e, :now FROM unnest(CAST(:sources AS text[]), CAST(:events AS text[])) AS k(s, e)"
            " ON CONFLICT DO NOTHING RETURNING source, source_event_id"
        ),
        {"now": now, "sources": [s.source for s in ordered], "events": [s.source_event_id for s in ordered]},
    )
    # A key that stands twice in the batch is inserted once; `pop` lets only its first signal through.
    fresh = {(row[0], row[1]) for row in inserted}
    new = []
    for signal in signals:
        key = (signal.source, signal.source_event_id)
        if key in fresh:
            fresh.remove(key)
            new.append((signal, effects(signal.type, signal.payload, signal.occurred_at)))
    if new:
        days = {s.occurred_at: s.occurred_at.astimezone(zone).date() for s, _ in new}
        await _insert_signals(session, [s for s, _ in new], now)
        await _add_days(session, new, days)
        await _add_totals(session, new, days)
        await _set_balances(session, new, days)
        return new, await _set_facts(session, new, days, zone)
    return new, set()


async def _insert_signals(session: AsyncSession, signals: Sequence[Incoming], now: datetime) -> None:
    # One position for the batch, drawn while its customers are locked.
    await session.execute(
        text(
            "INSERT INTO signals"
            " (id, received_at, customer_id, source, source_event_id, type, occurred_at, payload, origin_id, position)"
            " SELECT i, :now, c, s, e, t, o, p::jsonb, r, (SELECT nextval('lifecycle_positions'))"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:customers AS uuid[]),"
            " CAST(:sources AS text[]), CAST(:events AS text[]), CAST(:types AS text[]),"
            " CAST(:times AS timestamptz[]), CAST(:payloads AS text[]), CAST(:origins AS uuid[]))"
            " AS v(i, c, s, e, t, o, p, r)"
        ),
        {
            "now": now,
            "ids": [new_id() for _ in signals],
            "customers": [s.customer_id for s in signals],
            "sources": [s.source for s in signals],
            "events": [s.source_event_id for s in signals],
            "types": [s.type for s in signals],
            "times": [s.occurred_at for s in signals],
            "payloads": [orjson.dumps(s.payload).decode() for s in signals],
            "origins": [s.origin_id for s in signals],
        },
    )


New = Sequence[tuple[Incoming, Effects]]
Days = dict[datetime, date]


async def _add_days(session: AsyncSession, new: New, days: Days) -> None:
    sums: dict[tuple[UUID, date], list[Any]] = {}
    for signal, effect in new:
        added = day_columns(effect)
        if added is not None:
            row = sums.setdefault((signal.customer_id, days[signal.occurred_at]), [0, 0, 0, 0, 0, 0])
            for i, value in enumerate(added):
                row[i] += value
    if not sums:
        return
    names = ("inflow", "outflow", "deposits", "trades", "logins", "activity")
    added_up = ", ".join(f"{name} = d.{name} + excluded.{name}" for name in names)
    await session.execute(
        text(
            "INSERT INTO customer_day AS d (customer_id, day, inflow, outflow, deposits, trades, logins, activity)"
            " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:days AS date[]), CAST(:inflow AS bigint[]),"
            " CAST(:outflow AS bigint[]), CAST(:deposits AS int[]), CAST(:trades AS int[]), CAST(:logins AS int[]),"
            f" CAST(:activity AS int[])) ON CONFLICT (customer_id, day) DO UPDATE SET {added_up}"
        ),
        {
            "ids": [key[0] for key in sums],
            "days": [key[1] for key in sums],
            **{name: [row[i] for row in sums.values()] for i, name in enumerate(names)},
        },
    )


async def _add_totals(session: AsyncSession, new: New, days: Days) -> None:
    sums: dict[UUID, list[Any]] = {}
    for signal, effect in new:
        day = days[signal.occurred_at]
        row = sums.setdefault(signal.customer_id, [0, 0, 0, None, None, None])
        row[0] += effect.inflow
        row[1] += effect.outflow
        row[2] += effect.trades
        if effect.inflow and (row[3] is None or day < row[3]):
            row[3] = day
        if effect.activity and (row[4] is None or day > row[4]):
            row[4] = day
        if effect.since and (row[5] is None or day < row[5]):
            row[5] = day
    names = ("inflow", "outflow", "trades", "funded", "active", "since")
    await session.execute(
        text(
            "INSERT INTO customer_totals AS t"
            " (customer_id, inflow, outflow, trades, first_funded_on, last_active_on, since_on)"
            " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:inflow AS bigint[]), CAST(:outflow AS bigint[]),"
            " CAST(:trades AS bigint[]), CAST(:funded AS date[]), CAST(:active AS date[]), CAST(:since AS date[]))"
            " ON CONFLICT (customer_id) DO UPDATE SET inflow = t.inflow + excluded.inflow,"
            " outflow = t.outflow + excluded.outflow, trades = t.trades + excluded.trades,"
            " first_funded_on = least(t.first_funded_on, excluded.first_funded_on),"
            " last_active_on = greatest(t.last_active_on, excluded.last_active_on),"
            " since_on = least(t.since_on, excluded.since_on)"
        ),
        {"ids": list(sums), **{name: [row[i] for row in sums.values()] for i, name in enumerate(names)}},
    )


def _writer(signal: Incoming) -> tuple[datetime, str, str]:
    """What decides between two writers of the same value: the later wins, whatever arrives first."""
    return signal.occurred_at, signal.source, signal.source_event_id


_LATER = (
    "(excluded.occurred_at, excluded.source, excluded.source_event_id)"
    " > (held.occurred_at, held.source, held.source_event_id)"
)


async def _set_balances(session: AsyncSession, new: New, days: Days) -> None:
    last: dict[tuple[UUID, str, date], tuple[Incoming, int]] = {}
    for signal, effect in new:
        if effect.account is None or effect.balance is None:
            continue
        key = (signal.customer_id, effect.account, days[signal.occurred_at])
        if key not in last or _writer(signal) > _writer(last[key][0]):
            last[key] = (signal, effect.balance)
    if not last:
        return
    accounts = sorted({key[:2] for key in last})
    await session.execute(
        text(
            "INSERT INTO customer_accounts SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:accounts AS text[]))"
            " ON CONFLICT DO NOTHING"
        ),
        {"ids": [a[0] for a in accounts], "accounts": [a[1] for a in accounts]},
    )
    await session.execute(
        text(
            "INSERT INTO account_day AS held"
            " (customer_id, account, day, balance, occurred_at, source, source_event_id)"
            " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:accounts AS text[]), CAST(:days AS date[]),"
            " CAST(:balances AS bigint[]), CAST(:times AS timestamptz[]), CAST(:sources AS text[]),"
            " CAST(:events AS text[])) ON CONFLICT (customer_id, account, day) DO UPDATE SET"
            " balance = excluded.balance, occurred_at = excluded.occurred_at, source = excluded.source,"
            f" source_event_id = excluded.source_event_id WHERE {_LATER}"
        ),
        {
            "ids": [key[0] for key in last],
            "accounts": [key[1] for key in last],
            "days": [key[2] for key in last],
            "balances": [balance for _, balance in last.values()],
            **_writers([signal for signal, _ in last.values()]),
        },
    )


def _writers(signals: Sequence[Incoming]) -> dict[str, list[Any]]:
    return {
        "times": [s.occurred_at for s in signals],
        "sources": [s.source for s in signals],
        "events": [s.source_event_id for s in signals],
    }


# What the service itself records is an edit of now: among these the last to arrive wins, whatever the clocks of two
# hosts say.
async def _set_facts(session: AsyncSession, new: New, days: Days, zone: ZoneInfo) -> set[tuple[UUID, str, str, str]]:
    last: dict[tuple[UUID, str], tuple[Incoming, Any]] = {}
    for signal, effect in new:
        for name, value in effect.marks.items():
            key = (signal.customer_id, name)
            if key not in last or _writer(signal) > _writer(last[key][0]):
                last[key] = (signal, local_value(name, value, zone))
    if not last:
        return set()
    stored = await session.execute(
        text(
            "INSERT INTO customer_fact AS held"
            " (customer_id, name, value, day, occurred_at, source, source_event_id)"
            " SELECT i, n, v::jsonb, d, t, s, e FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]),"
            " CAST(:values AS text[]), CAST(:days AS date[]), CAST(:times AS timestamptz[]),"
            " CAST(:sources AS text[]), CAST(:events AS text[])) AS u(i, n, v, d, t, s, e)"
            " ON CONFLICT (customer_id, name) DO UPDATE SET value = excluded.value, day = excluded.day,"
            " occurred_at = excluded.occurred_at, source = excluded.source,"
            f" source_event_id = excluded.source_event_id WHERE excluded.source = '{OWN_SOURCE}' OR {_LATER}"
            " RETURNING customer_id, name, source, source_event_id"
        ),
        {
            "ids": [key[0] for key in last],
            "names": [key[1] for key in last],
            "values": [orjson.dumps(value).decode() for _, value in last.values()],
            "days": [days[signal.occurred_at] for signal, _ in last.values()],
            **_writers([signal for signal, _ in last.values()]),
        },
    )
    return {(row[0], row[1], row[2], row[3]) for row in stored}
