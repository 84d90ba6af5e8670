"""What limits a customer's portfolio beside the risk profile: wishes, planned withdrawals, an announced closure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.allocation.models import Circumstances, Holding
from app.allocation.service import recommend
from app.allocation.versions.store import in_force
from app.customers.models import Customer
from app.customers.reading import refuse_missing
from app.errors import FieldProblem, Problem, not_found
from app.events import ClosuresTold, HoldingsChanged, StagesChanged

UNSTATED = 0
"""Version of the restrictions of somebody who never stated any."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Money that leaves until the day `by`: a `share` of it all, or an `amount` in the institution's currency."""

    by: date
    share: Decimal | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What a customer asked for. `minimum_cash` is a share of the money."""

    excluded: tuple[str, ...] = ()
    minimum_cash: Decimal = Decimal(0)
    withdrawal: Withdrawal | None = None


_SAVE = text(
    """INSERT INTO allocation_circumstances AS held (customer_id, excluded, minimum_cash, withdrawal_share,
        withdrawal_amount, withdrawal_by, version, updated_at, updated_by)
    SELECT customer_id, string_to_array(excluded, ','), minimum_cash, share, amount, by, 1, :now, :actor
    FROM unnest(CAST(:customers AS uuid[]), CAST(:excluded AS text[]), CAST(:cash AS numeric[]),
        CAST(:shares AS numeric[]), CAST(:amounts AS numeric[]), CAST(:days AS date[]))
        AS v(customer_id, excluded, minimum_cash, share, amount, by)
    ON CONFLICT (customer_id) DO UPDATE SET excluded = EXCLUDED.excluded, minimum_cash = EXCLUDED.minimum_cash,
        withdrawal_share = EXCLUDED.withdrawal_share, withdrawal_amount = EXCLUDED.withdrawal_amount,
        withdrawal_by = EXCLUDED.withdrawal_by, version = held.version + 1, updated_at = EXCLUDED.updated_at,
        updated_by = EXCLUDED.updated_by"""
)
_CLOSE = text(
    """INSERT INTO allocation_circumstances AS held (customer_id, closure_announced_at, version, updated_at, updated_by)
    SELECT customer_id, announced_at, 0, :now, 'stagefolio'
    FROM unnest(CAST(:customers AS uuid[]), CAST(:moments AS timestamptz[])) AS v(customer_id, announced_at)
    ON CONFLICT (customer_id) DO UPDATE SET closure_announced_at = EXCLUDED.closure_announced_at
    WHERE held.closure_announced_at IS DISTINCT FROM EXCLUDED.closure_announced_at
    RETURNING customer_id"""
)
_RETURN = text(
    """UPDATE allocation_circumstances SET closure_announced_at = NULL
    WHERE customer_id = ANY(:ids) AND closure_announced_at IS NOT NULL"""
)


async def state_restrictions(
    session: AsyncSession, stated: Mapping[UUID, Restrictions], now: datetime, actor: str
) -> None:
    """Put the restrictions of locked customers in the place of those before, and let their portfolios follow.

    422 that names the field for an asset class that is not in force, a withdrawal in the past, or an amount where
    nothing is known of the customer's holdings.
    """
    rules = await in_force(session)
    measured = select(Holding.customer_id).where(Holding.customer_id.in_(stated), Holding.total > 0)
    held = set(await session.scalars(measured))
    today = now.astimezone(UTC).date()
    problems = [p for i, wish in stated.items() for p in _problems(wish, rules.assumptions.codes, i in held, today)]
    if problems:
        raise Problem("invalid", errors=problems[:100])
    wishes = list(stated.values())
    planned = [wish.withdrawal for wish in wishes]
    await session.execute(
        _SAVE,
        {
            "now": now,
            "actor": actor,
            "customers": list(stated),
            "excluded": [",".join(sorted(set(wish.excluded))) for wish in wishes],
            "cash": [wish.minimum_cash for wish in wishes],
            "shares": [plan and plan.share for plan in planned],
            "amounts": [plan and plan.amount for plan in planned],
            "days": [plan and plan.by for plan in planned],
        },
    )
    await recommend(session, list(stated), now)


def _problems(wish: Restrictions, codes: tuple[str, ...], measured: bool, today: date) -> list[FieldProblem]:
    listed = ", ".join(codes)
    found = [
        FieldProblem(pointer=f"/excluded/{i}", code="unknown_asset_class", detail=f"must be one of {listed}")
        for i, code in enumerate(wish.excluded)
        if code not in codes
    ]
    plan = wish.withdrawal
    if plan is not None and plan.by < today:
        found.append(FieldProblem(pointer="/withdrawal/by", code="in_the_past", detail="must not lie in the past"))
    if plan is not None and plan.amount is not None and not measured:
        detail = "nothing is known of the customer's holdings that it could be a share of; give a share instead"
        found.append(FieldProblem(pointer="/withdrawal/amount", code="no_holdings", detail=detail))
    return found


async def read_restrictions(executor: AsyncSession | AsyncConnection, customer_id: UUID) -> dict[str, Any]:
    """The restrictions of a customer as the API shows them, with their `version`; 404 or 410 as for customers."""
    table = Circumstances.__table__
    found = await executor.execute(
        select(table, Customer.merged_into)
        .select_from(Customer)
        .outerjoin(Circumstances, Circumstances.customer_id == Customer.id)
        .where(Customer.id == customer_id)
    )
    row = next((dict(row) for row in found.mappings()), None)
    if row is None or row["merged_into"] is not None:
        connection = executor if isinstance(executor, AsyncConnection) else await executor.connection()
        await refuse_missing(connection, customer_id)
        raise not_found("customer")
    if row["customer_id"] is None:
        row |= {"excluded": [], "minimum_cash": Decimal(0), "version": UNSTATED}
    withdrawal = None
    if row["withdrawal_by"] is not None:
        amounts = {"share": row["withdrawal_share"], "amount": row["withdrawal_amount"]}
        withdrawal = {"by": row["withdrawal_by"], **{k: v if v is None else f"{v:f}" for k, v in amounts.items()}}
    return {
        "customer_id": customer_id,
        "excluded": row["excluded"],
        "minimum_cash": f"{row['minimum_cash']:.4f}",
        "withdrawal": withdrawal,
        "closure_announced_at": row["closure_announced_at"],
        "version": row["version"],
        "updated_at": row["updated_at"] if row["version"] else None,
        "updated_by": row["updated_by"] if row["version"] else None,
    }


async def follow_closures(session: AsyncSession, event: ClosuresTold) -> None:
    """Reaction: who asked to close is advised to hold the money in cash; who takes it back is not."""
    announced = {"customers": list(event.announced), "moments": list(event.announced.values())}
    changed = list(await session.scalars(_CLOSE, {"now": event.at, **announced}))
    await recommend(session, changed, event.at)


async def follow_holdings(session: AsyncSession, event: HoldingsChanged) -> None:
    """Reaction: the amount of a planned withdrawal is another share of what is held now."""
    table = Circumstances.__table__
    planned = (table.c.customer_id.in_(event.customer_ids), table.c.withdrawal_amount.is_not(None))
    await recommend(session, list(await session.scalars(select(table.c.customer_id).where(*planned))), event.at)


async def forget_closures(session: AsyncSession, event: StagesChanged) -> None:
    """Reaction: who comes out of decline stays, whatever was asked before. The portfolio follows with the stage."""
    back = [change.customer_id for change in event.changes if change.from_stage == "decline"]
    if back:
        await session.execute(_RETURN, {"ids": back})
