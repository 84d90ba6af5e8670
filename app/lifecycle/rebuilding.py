"""Computes the tables of facts of some customers anew from their signals: after a retraction, a merge, and its undoing."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.lifecycle.core.book import Book, Noted, book_of
from app.lifecycle.core.ledger import DAY_COLUMNS
from app.lifecycle.core.stages import EPOCH_ORDINAL
from app.lifecycle.inputs import signals_of
from app.lifecycle.models import AccountDay, CustomerAccount, CustomerDay, CustomerFact, CustomerTotals

_TABLES = (CustomerDay, CustomerTotals, CustomerAccount, AccountDay, CustomerFact)


async def rebuild(session: AsyncSession, customer_ids: Sequence[UUID], zone: ZoneInfo) -> dict[UUID, list[Noted]]:
    """Replace what is known of locked customers by what their remaining signals add up to; returns those signals."""
    if not customer_ids:
        return {}
    signals = await signals_of(session, customer_ids)
    books = {customer_id: book_of(found, zone) for customer_id, found in signals.items()}
    for table in _TABLES:
        await session.execute(delete(table).where(table.customer_id.in_(customer_ids)))
    for table, rows in (
        (CustomerDay, [row for i, book in books.items() for row in _days(i, book)]),
        (CustomerTotals, [_totals(i, book) for i, book in books.items()]),
        (CustomerAccount, [{"customer_id": i, "account": a} for i, book in books.items() for a in book.accounts]),
        (AccountDay, [row for i, book in books.items() for row in _balances(i, book)]),
        (CustomerFact, [row for i, book in books.items() for row in _facts(i, book)]),
    ):
        if rows:
            # With nulls rendered, rows with and without some value go in one statement.
            await session.execute(insert(table), rows, execution_options={"render_nulls": True})
    return signals


def _date(day: int | None) -> date | None:
    return None if day is None else date.fromordinal(day + EPOCH_ORDINAL)


def _days(customer_id: UUID, book: Book) -> list[dict[str, Any]]:
    return [
        {"customer_id": customer_id, "day": _date(day), **dict(zip(DAY_COLUMNS, row, strict=True))}
        for day, row in book.days.items()
    ]


def _totals(customer_id: UUID, book: Book) -> dict[str, Any]:
    found = book.totals()
    return {
        "customer_id": customer_id,
        "inflow": found.inflow,
        "outflow": found.outflow,
        "trades": found.trades,
        "first_funded_on": _date(found.first_funded_day),
        "last_active_on": _date(found.last_active_day),
        "since_on": _date(found.since_day),
    }


def _writer(writer: tuple[Any, str, str]) -> Mapping[str, Any]:
    return dict(zip(("occurred_at", "source", "source_event_id"), writer, strict=True))


def _balances(customer_id: UUID, book: Book) -> list[dict[str, Any]]:
    return [
        {"customer_id": customer_id, "account": account, "day": _date(day), "balance": balance, **_writer(writer)}
        for account, days in book.accounts.items()
        for day, (balance, writer) in days.items()
    ]


def _facts(customer_id: UUID, book: Book) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": customer_id,
            "name": name,
            "value": orjson.loads(orjson.dumps(value)),
            "day": _date(day),
            **_writer(writer),
        }
        for name, (day, _, value, writer) in book.marks.items()
    ]
