"""What customers hold by asset class, as the institution tells it, and how far that is from their target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.engine.drift import MONEY_UNITS, measure
from app.allocation.engine.rounding import UNITS
from app.allocation.models import Holding
from app.allocation.records import share
from app.allocation.versions.store import Executor, InForce, in_force
from app.events import HoldingsChanged, RecommendationsAccepted, RecommendationsCreated, publish

AHEAD = timedelta(minutes=5)
"""How far the clock of who tells holdings may be ahead of ours."""

_KNOWN = text(
    """SELECT c.id, c.language, h.as_of, h.amounts, h.source, h.drift, h.breached, h.against, h.version, h.received_at,
        a.id AS accepted_id, a.weights AS accepted_weights, a.basis AS accepted_basis,
        l.id AS latest_id, l.weights AS latest_weights, l.basis AS latest_basis, l.state AS latest_state,
        l.status AS latest_status
    FROM customers c
    LEFT JOIN holdings h ON h.customer_id = c.id
    LEFT JOIN recommendations a ON a.customer_id = c.id AND a.state = 'accepted'
    LEFT JOIN recommendation_current n ON n.customer_id = c.id
    LEFT JOIN recommendations l ON l.id = n.recommendation_id
    WHERE c.id = ANY(:ids) AND c.merged_into IS NULL ORDER BY c.id"""
).columns(amounts=JSONB, accepted_weights=JSONB, latest_weights=JSONB)
_SAVE = text(
    """INSERT INTO holdings AS held
        (customer_id, as_of, amounts, total, source, drift, breached, against, received_at)
    SELECT customer_id, as_of, CAST(amounts AS jsonb), CAST(total AS numeric), source, CAST(drift AS numeric),
        string_to_array(breached, ','), against, :now
    FROM unnest(CAST(:customers AS uuid[]), CAST(:times AS timestamptz[]), CAST(:amounts AS text[]),
        CAST(:totals AS text[]), CAST(:sources AS text[]), CAST(:drifts AS text[]), CAST(:breached AS text[]),
        CAST(:against AS uuid[]))
        AS v(customer_id, as_of, amounts, total, source, drift, breached, against)
    ON CONFLICT (customer_id) DO UPDATE SET as_of = EXCLUDED.as_of, amounts = EXCLUDED.amounts,
        total = EXCLUDED.total, source = EXCLUDED.source, drift = EXCLUDED.drift, breached = EXCLUDED.breached,
        against = EXCLUDED.against, version = held.version + 1, received_at = EXCLUDED.received_at"""
)
_MEASURE = text(
    """UPDATE holdings h SET drift = CAST(v.drift AS numeric), breached = string_to_array(v.breached, ','),
        against = v.against, version = h.version + 1
    FROM unnest(CAST(:customers AS uuid[]), CAST(:drifts AS text[]), CAST(:breached AS text[]),
        CAST(:against AS uuid[])) AS v(customer_id, drift, breached, against)
    WHERE h.customer_id = v.customer_id"""
)


class Told(NamedTuple):
    """What a customer holds at a time: whole units of money by asset class, see `MONEY_UNITS`."""

    customer_id: UUID
    as_of: datetime
    amounts: Mapping[str, int]
    source: str


class Target(NamedTuple):
    """A recommended portfolio to measure against: weights in thousandths by asset class."""

    id: UUID
    state: str
    basis: str
    weights: Mapping[str, int]


class Measured(NamedTuple):
    """How far holdings are from their target; None and empty without money or target."""

    drift: str | None = None
    breached: tuple[str, ...] = ()
    against: UUID | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One customer's holdings, and the portfolios they may be measured against, as stored."""

    customer_id: UUID
    language: str
    told: Told | None
    accepted: Target | None
    latest: Target | None
    measured: Measured
    version: int
    received_at: datetime

    @property
    def target(self) -> Target | None:
        """The accepted portfolio, else the proposed one."""
        proposed = self.latest if self.latest is not None and self.latest.state == "proposed" else None
        return self.accepted or proposed


class Outcome(NamedTuple):
    """What became of holdings that were told: stored, unchanged, outdated or rejected, with code, field and reason."""

    status: str
    measured: Measured
    code: str | None = None
    pointer: str | None = None
    detail: str | None = None


def units_of(amount: str) -> int:
    """Whole units of an amount with at most four decimals."""
    return int(Decimal(amount) * MONEY_UNITS)


def money(units: int) -> str:
    """An amount with two decimals, or as many as it needs."""
    whole, part = divmod(abs(units), MONEY_UNITS)
    decimals = f"{part:04d}".rstrip("0").ljust(2, "0")
    return f"{'-' if units < 0 else ''}{whole}.{decimals}"


async def standings(executor: Executor, customer_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """What is stored of customers, merged duplicates left out. One statement."""
    rows = await executor.execute(_KNOWN, {"ids": list(set(customer_ids))})
    return {row.id: _standing(row) for row in rows}


def _standing(row: Row[Any]) -> Standing:
    told = accepted = latest = None
    if row.as_of is not None:
        told = Told(row.id, row.as_of, {code: units_of(amount) for code, amount in row.amounts.items()}, row.source)
    if row.accepted_id is not None:
        accepted = Target(row.accepted_id, "accepted", row.accepted_basis, _thousandths(row.accepted_weights))
    if row.latest_status == "ok":
        latest = Target(row.latest_id, row.latest_state, row.latest_basis, _thousandths(row.latest_weights))
    drift = None if row.drift is None else f"{row.drift:.6f}"
    measured = Measured(drift, tuple(row.breached or ()), row.against)
    return Standing(row.id, row.language, told, accepted, latest, measured, row.version, row.received_at)


def _thousandths(weights: Mapping[str, str]) -> dict[str, int]:
    return {code: round(Decimal(weight) * UNITS) for code, weight in weights.items()}


def columns(
    pairs: Sequence[tuple[Mapping[str, int], Mapping[str, int]]], codes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Amounts and target weights (n, k) in the order of `codes`."""
    held, weights = ([[part.get(code, 0) for code in codes] for part in side] for side in zip(*pairs, strict=True))
    return np.array(held, dtype=np.int64), np.array(weights, dtype=np.int64)


def ordered(codes: set[str], rules: InForce) -> list[str]:
    """Asset classes in the order of the assumptions in force, then those that these no longer know."""
    known = [code for code in rules.published.codes if code in codes]
    return [*known, *sorted(codes - set(known))]


def measured_all(pairs: Sequence[tuple[Told, Target | None]], rules: InForce) -> list[Measured]:
    """How far holdings are from their targets, in order."""
    found = [Measured() for _ in pairs]
    rows = [i for i, (_, target) in enumerate(pairs) if target is not None]
    sides = [(told.amounts, target.weights) for told, target in pairs if target is not None]
    if not sides:
        return found
    codes = ordered({code for side in sides for part in side for code in part}, rules)
    drift = measure(*columns(sides, codes), rules.policy.upkeep)
    for place, row in enumerate(rows):
        target = pairs[row][1]
        breached = tuple(codes[i] for i in np.flatnonzero(drift.breached[place]).tolist())
        found[row] = Measured(share(float(drift.drift[place])), breached, None if target is None else target.id)
    return found


async def store_holdings(session: AsyncSession, items: Sequence[Told], now: datetime) -> list[Outcome]:
    """Store what locked customers hold, measure it, and tell of it; one outcome per item, in order.

    What is older than what is known is outdated, what equals it changes nothing; of the same time, the last one told
    counts. Rejected: a class that the assumptions in force lack, a time in the future, somebody unknown.
    """
    rules = await in_force(session)
    known = await standings(session, [item.customer_id for item in items])
    present = {i: standing.told for i, standing in known.items() if standing.told is not None}
    outcomes, new = [], {}
    for item in items:
        outcome = _judge(item, known, present.get(item.customer_id), rules.published.codes, now)
        if outcome.status == "stored":
            present[item.customer_id] = new[item.customer_id] = item._replace(amounts=_some(item.amounts))
        outcomes.append(outcome)
    found = measured_all([(told, known[i].target) for i, told in new.items()], rules)
    measured = dict(zip(new, found, strict=True))
    if new:
        await session.execute(_SAVE, {"now": now, **_told_columns(new), **_measured_columns(measured)})
        publish(session, HoldingsChanged(now, tuple(new), tuple(i for i in new if measured[i].breached)))
    return [
        outcome if outcome.status == "rejected" else outcome._replace(measured=_present(item, measured, known))
        for item, outcome in zip(items, outcomes, strict=True)
    ]


def _present(item: Told, measured: Mapping[UUID, Measured], known: Mapping[UUID, Standing]) -> Measured:
    return measured.get(item.customer_id) or known[item.customer_id].measured


def _judge(
    item: Told, known: Mapping[UUID, Standing], present: Told | None, codes: Sequence[str], now: datetime
) -> Outcome:
    if item.customer_id not in known:
        return Outcome("rejected", Measured(), "unknown_customer", "/customer", "there is no such customer")
    lacking = sorted(set(item.amounts) - set(codes))
    if lacking:
        detail = f"must be one of {', '.join(codes)}"
        return Outcome("rejected", Measured(), "unknown_asset_class", f"/positions/{lacking[0]}", detail)
    if item.as_of > now + AHEAD:
        return Outcome("rejected", Measured(), "in_the_future", "/as_of", "must not lie in the future")
    if present is None or item.as_of > present.as_of:
        return Outcome("stored", Measured())
    if item.as_of < present.as_of:
        return Outcome("outdated", Measured(), "outdated", "/as_of", "holdings of a later time are known")
    same = (_some(item.amounts), item.source) == (present.amounts, present.source)
    return Outcome("unchanged" if same else "stored", Measured())


def _some(amounts: Mapping[str, int]) -> dict[str, int]:
    """Without what is told as nothing."""
    return {code: amount for code, amount in amounts.items() if amount}


def _told_columns(new: Mapping[UUID, Told]) -> dict[str, list[Any]]:
    held = [told.amounts for told in new.values()]
    return {
        "customers": list(new),
        "times": [told.as_of for told in new.values()],
        "amounts": [orjson.dumps({code: money(amount) for code, amount in one.items()}).decode() for one in held],
        "totals": [money(sum(one.values())) for one in held],
        "sources": [told.source for told in new.values()],
    }


def _measured_columns(measured: Mapping[UUID, Measured]) -> dict[str, list[Any]]:
    return {
        "drifts": [one.drift for one in measured.values()],
        "breached": [",".join(one.breached) for one in measured.values()],
        "against": [one.against for one in measured.values()],
    }


async def measure_drift(session: AsyncSession, customer_ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Measure what locked customers hold again: their target, or the bands, may be others. Tells of those that changed.

    Returns whose drift, breaches or target changed.
    """
    held = await session.scalars(select(Holding.customer_id).where(Holding.customer_id.in_(set(customer_ids))))
    ids = list(held)
    if not ids:
        return []
    rules = await in_force(session)
    known = [one for one in (await standings(session, ids)).values() if one.told is not None]
    pairs = [(one.told, one.target) for one in known if one.told is not None]
    found = zip(known, measured_all(pairs, rules), strict=True)
    changed = {one.customer_id: measured for one, measured in found if measured != one.measured}
    if changed:
        await session.execute(_MEASURE, {"customers": list(changed), **_measured_columns(changed)})
        publish(session, HoldingsChanged(now, tuple(changed), tuple(i for i in changed if changed[i].breached)))
    return list(changed)


async def measure_again(session: AsyncSession, event: RecommendationsCreated | RecommendationsAccepted) -> None:
    """Reaction: the portfolio that holdings are measured against is another."""
    if isinstance(event, RecommendationsCreated):
        ids = [item.customer_id for item in event.items]
    else:
        ids = [customer_id for customer_id, _ in event.accepted]
    await measure_drift(session, ids, event.at)
