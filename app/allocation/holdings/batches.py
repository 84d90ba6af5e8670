"""Holdings of many customers at once, by customer id or by external id."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.holdings.service import Measured, Outcome, Told, store_holdings
from app.customers.models import ErasedCustomer, ExternalId
from app.customers.service import lock_with_merges


class Offered(NamedTuple):
    """Holdings as they were sent: of a customer by id or by external id; amounts as in `Told`."""

    customer_id: UUID | None
    external_id: str | None
    as_of: datetime
    amounts: Mapping[str, int]
    source: str


async def store_offered(
    session: AsyncSession, offered: Sequence[Offered], now: datetime
) -> list[tuple[UUID | None, Outcome]]:
    """Lock the customers and store what they hold; whose it is and what became of it, in order.

    Rejected, beside what `store_holdings` rejects: customers that are unknown, erased, or merged into another. What is
    sent for the external id of a merged duplicate belongs to the customer it was merged into.
    """
    externals = sorted({item.external_id for item in offered if item.external_id is not None})
    owners = await _owners(session, externals)
    wanted = {item.customer_id for item in offered if item.customer_id is not None} | set(owners.values())
    there = await lock_with_merges(session, sorted(wanted)) if wanted else {}
    # An external id may have gone to somebody else before the lock; from now on it stays.
    owners = {key: owner for key, owner in owners.items() if owner in there}
    moved = {key for key, owner in (await _owners(session, externals)).items() if owners.get(key) != owner}
    absent = [i for i in wanted if i not in there]
    gone = select(ErasedCustomer.customer_id).where(ErasedCustomer.customer_id.in_(absent))
    erased = set(await session.scalars(gone)) if absent else set()
    results: list[tuple[UUID | None, Outcome] | None] = []
    told = []
    for item in offered:
        owner = item.customer_id or owners.get(item.external_id or "")
        refused = _refuse(item, owner, there, moved, erased)
        results.append(None if refused is None else (None, refused))
        if refused is None and owner is not None:
            told.append(Told(owner, item.as_of, item.amounts, item.source))
    outcomes = zip(told, await store_holdings(session, told, now) if told else [], strict=True)
    stored = ((one.customer_id, outcome) for one, outcome in outcomes)
    return [next(stored) if result is None else result for result in results]


def _refuse(
    item: Offered,
    owner: UUID | None,
    there: Mapping[UUID, UUID | None],
    moved: set[str],
    erased: set[UUID],
) -> Outcome | None:
    at = "/customer/id" if item.external_id is None else "/customer/external_id"
    if item.external_id in moved:
        return Outcome("rejected", Measured(), "conflict", at, "went to another customer meanwhile; send it again")
    if owner in erased:
        return Outcome("rejected", Measured(), "erased", at, "the customer was erased")
    if owner is None or owner not in there:
        return Outcome("rejected", Measured(), "unknown_customer", at, "there is no such customer")
    if there[owner] is not None:
        return Outcome(
            "rejected", Measured(), "merged", at, "the customer was merged into another; send it for that one"
        )
    return None


async def _owners(session: AsyncSession, externals: Sequence[str]) -> dict[str, UUID]:
    if not externals:
        return {}
    found = await session.execute(
        select(ExternalId.external_id, ExternalId.customer_id).where(ExternalId.external_id.in_(externals))
    )
    return {row.external_id: row.customer_id for row in found}
