"""Reading customers with Core selects: the columns of the API's shape, and its pages."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Select, bindparam, case, func, literal, literal_column, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.customers.models import Customer, ErasedCustomer, ExternalId
from app.customers.schemas import CustomerQuery
from app.errors import Problem, not_found
from app.pagination import decode_cursor, encode_cursor

_EXTERNAL_IDS = (
    select(func.coalesce(func.array_agg(ExternalId.external_id), literal_column("'{}'::text[]")))
    .where(ExternalId.customer_id == Customer.id)
    .correlate(Customer)
    .scalar_subquery()
    .label("external_ids")
)
_HIDDEN = ("search_text", "suitability_until")
_COLUMNS = (*(c for c in Customer.__table__.c if c.name not in _HIDDEN), _EXTERNAL_IDS)
_DUE = timedelta(days=30)
"""A risk profile is announced as due this long before it ends."""


# The statements are built once: building them anew costs more than running them.
_NOW = bindparam("now", type_=DateTime(timezone=True))
_UNTIL = Customer.suitability_until
_SUITABILITY = case(
    (_UNTIL.is_(None), "none"),
    (_UNTIL < _NOW, "expired"),
    (_NOW + literal(_DUE) > _UNTIL, "due"),
    else_="valid",
).label("suitability")
"""Suitability depends on the time, so it is not stored."""
_SELECT = select(*_COLUMNS, _SUITABILITY)
_ONE = _SELECT.where(Customer.id == bindparam("customer_id"))


async def read_customer(connection: AsyncConnection, customer_id: UUID, now: datetime) -> dict[str, Any]:
    """One customer in the API's shape; 404 if unknown, 410 if erased, or merged into another."""
    row = (await connection.execute(_ONE, {"customer_id": customer_id, "now": now})).mappings().first()
    if row is not None and row["merged_into"] is None:
        return dict(row)
    await refuse_missing(connection, customer_id)
    raise not_found("customer")


async def refuse_missing(connection: AsyncConnection, customer_id: UUID) -> None:
    """410 if the customer was erased or merged into another, 404 if it never was; nothing if it is there."""
    found = await connection.execute(
        select(
            select(Customer.id).where(Customer.id == customer_id).exists(),
            select(ErasedCustomer.customer_id).where(ErasedCustomer.customer_id == customer_id).exists(),
            select(Customer.merged_into).where(Customer.id == customer_id).scalar_subquery(),
        )
    )
    present, erased, into = found.one()
    if erased:
        raise Problem("erased", "Nothing personal is left of this customer.")
    if not present:
        raise not_found("customer")
    if into is not None:
        blockers: list[dict[str, object]] = [{"code": "merged", "into": str(into)}]
        location = {"Location": f"/v1/customers/{into}"}
        raise Problem(
            "merged", "See blockers for the customer that it belongs to.", headers=location, blockers=blockers
        )


def _filtered(query: CustomerQuery) -> Select[Any]:
    found = _SELECT.where(Customer.merged_into.is_(None))
    for name in ("stage", "segment", "tier"):
        wanted: Sequence[str] = getattr(query, name)
        if wanted:
            found = found.where(getattr(Customer, name).in_(wanted))
    for name in ("kind", "owner", "kyc_status", "relationship"):
        if getattr(query, name) is not None:
            found = found.where(getattr(Customer, name) == getattr(query, name))
    if query.tag is not None:
        found = found.where(Customer.tags.contains([query.tag]))
    return _searched(_in_periods(found, query), query)


def _in_periods(found: Select[Any], query: CustomerQuery) -> Select[Any]:
    for column, start, end in (
        (Customer.created_at, query.created_from, query.created_before),
        (Customer.stage_entered_at, query.stage_entered_from, query.stage_entered_before),
    ):
        found = found if start is None else found.where(column >= start)
        found = found if end is None else found.where(column < end)
    return found


def _searched(found: Select[Any], query: CustomerQuery) -> Select[Any]:
    if query.external_id is not None:
        found = found.where(Customer.id.in_(_owner_of(query.external_id)))
    if query.q is not None:
        pattern = query.q.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        found = found.where(or_(Customer.search_text.like(f"%{pattern}%"), Customer.id.in_(_owner_of(query.q))))
    return found


def _owner_of(external_id: str) -> Select[Any]:
    return select(ExternalId.customer_id).where(ExternalId.external_id == external_id)


async def list_page(
    connection: AsyncConnection, query: CustomerQuery, now: datetime
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of customers and the cursor of the next, by keyset."""
    descending = query.sort.startswith("-")
    column = getattr(Customer, query.sort.removeprefix("-"))
    kind = str if query.sort.endswith("full_name") else datetime
    key = tuple_(column, Customer.id)
    found = _filtered(query)
    fingerprint = query.fingerprint("customers")
    if query.cursor is not None:
        after = tuple_(*decode_cursor(fingerprint, query.cursor, (kind, UUID)))
        found = found.where(key < after if descending else key > after)
    order = (column.desc(), Customer.id.desc()) if descending else (column, Customer.id)
    rows = (await connection.execute(found.order_by(*order).limit(query.limit + 1), {"now": now})).mappings().all()
    items = [dict(row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return items, None
    last = items[-1]
    return items, encode_cursor(fingerprint, last[column.key], last["id"])
