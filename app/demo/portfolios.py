"""What simulated customers ask of their portfolios, and what they hold: made up, the same for ever for the same customer."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.holdings.service import Told, store_holdings, units_of
from app.allocation.restrictions.service import Restrictions, Withdrawal, state_restrictions
from app.clock import utc_now
from app.db import settle
from app.demo.shapes import DemoSignal

_RECENT = timedelta(days=70)
"""Holdings are told at month-ends; those further back would only be replaced."""
_WISHES = (("gold",), ("emerging_equity",), ("emerging_equity", "gold"))
_STRAYS = 0.12
"""By how much, as a standard deviation of logarithms, a class has moved since the portfolio was bought."""

_ACCEPTED = text(
    "SELECT e.external_id, r.customer_id, r.weights FROM recommendations r"
    " JOIN customer_external_ids e ON e.customer_id = r.customer_id"
    " WHERE e.external_id = ANY(:names) AND r.state = 'accepted' ORDER BY r.customer_id"
).columns(weights=JSONB)


async def state_wishes(session: AsyncSession, names: Mapping[UUID, str], now: datetime) -> None:
    """Let some of these locked customers (id -> external id) ask for something, as they answered the questionnaire."""
    wishes = {customer_id: wish for customer_id, name in names.items() if (wish := wish_of(name, now)) is not None}
    if wishes:
        await state_restrictions(session, wishes, now, "demo")
        await settle(session)


def wish_of(name: str, now: datetime) -> Restrictions | None:
    """What one customer in eight asks for: classes to leave out, cash to keep, or money to have back on a day."""
    draws = Random(f"wishes of {name}")
    kind = draws.random()
    if kind < 0.05:
        return Restrictions(excluded=draws.choice(_WISHES))
    if kind < 0.09:
        return Restrictions(minimum_cash=Decimal(draws.choice(("0.05", "0.10", "0.20"))))
    if kind < 0.125:
        by = (now + timedelta(days=draws.randint(60, 900))).date()
        return Restrictions(withdrawal=Withdrawal(by, share=Decimal(draws.choice(("0.10", "0.25", "0.50")))))
    return None


async def tell_holdings(session: AsyncSession, signals: Sequence[DemoSignal], now: datetime) -> None:
    """Tell what locked customers with an accepted portfolio hold at a month-end of late, some of it out of its bands."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    if now > utc_now() - _RECENT:
        for signal in signals:
            if signal.type == "balance":
                totals[signal.external_id] += Decimal(signal.payload["balance"])
    if not totals:
        return
    rows = await session.execute(_ACCEPTED, {"names": list(totals)})
    told = [
        Told(row.customer_id, now, held_of(row.external_id, row.weights, totals[row.external_id]), "demo")
        for row in rows
    ]
    if told:
        await store_holdings(session, told, now)
        await settle(session)


def held_of(name: str, weights: Mapping[str, str], total: Decimal) -> dict[str, int]:
    """Amounts by asset class, in the units of the service, that sum to the total."""
    draws = Random(f"holdings of {name}")
    moved = {code: float(weight) * draws.lognormvariate(0, _STRAYS) for code, weight in sorted(weights.items())}
    whole, units = sum(moved.values()), units_of(f"{max(total, Decimal(0)):.2f}")
    held = {code: int(units * part / whole) for code, part in moved.items()}
    held[max(moved, key=lambda code: moved[code])] += units - sum(held.values())
    return held
