"""What makes portfolios be computed again: reactions to events, each for a set of customers."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.service import recommend
from app.events import (
    CustomersCreated,
    CustomersMerged,
    CustomersUnmerged,
    CustomersUpdated,
    RiskProfilesCompleted,
    StagesChanged,
)

INPUT_FIELDS = frozenset({"birth_on", "segment", "kind", "tier"})
"""Fields of a customer that the portfolio, or the time of its review, follows from."""


async def recommend_to_new(session: AsyncSession, event: CustomersCreated) -> None:
    """Every customer has a recommendation from the beginning. Silent customers get theirs in silence."""
    for silent in (False, True):
        ids = [customer.customer_id for customer in event.customers if customer.silent is silent]
        await recommend(session, ids, event.at, silent=silent)


async def recommend_after_stage(session: AsyncSession, event: StagesChanged) -> None:
    """A stage may permit other asset classes. The beginning of a life is `recommend_to_new`'s."""
    await recommend(session, [change.customer_id for change in event.changes if change.from_stage], event.at)


async def recommend_after_edit(session: AsyncSession, event: CustomersUpdated) -> None:
    """Age, segment and kind shape a portfolio, other fields do not."""
    ids = [change.customer_id for change in event.changes if not INPUT_FIELDS.isdisjoint(change.fields)]
    await recommend(session, ids, event.at)


async def recommend_after_profile(session: AsyncSession, event: RiskProfilesCompleted) -> None:
    """An indication becomes advice."""
    await recommend(session, event.customer_ids, event.at)


async def recommend_after_merge(session: AsyncSession, event: CustomersMerged) -> None:
    """The latest risk profile, or a wish, may be one that a duplicate brought."""
    await recommend(session, [merge.customer_id for merge in event.merges], event.at)


async def recommend_after_parting(session: AsyncSession, event: CustomersUnmerged) -> None:
    """Each of both has its own risk profiles and wishes again."""
    await recommend(session, [i for merge in event.merges for i in (merge.customer_id, merge.duplicate_id)], event.at)
