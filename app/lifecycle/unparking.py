"""Records signals that waited for their customer."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.events import StageChange
from app.lifecycle.parking import Offered, parked_for, refuse_parked
from app.lifecycle.service import Outcome, record_signals


class Replayed(NamedTuple):
    """Parked signals that were tried again, what became of each, and who moved by them."""

    signals: list[Offered]
    outcomes: list[Outcome]
    changes: list[StageChange]


async def replay(
    session: AsyncSession,
    external_ids: Sequence[str],
    now: datetime,
    zone: ZoneInfo,
    *,
    ended: bool = False,
    limit: int | None = None,
) -> Replayed:
    """Record what is parked for those external ids that somebody has; with `ended`, also what expired or was refused.

    What is recorded is parked no more; what is refused stays, with the reason. Two replays at the same moment record
    nothing twice: the second finds duplicates.
    """
    signals = await parked_for(session, external_ids, now, ended=ended, limit=limit) if external_ids else []
    if not signals:
        return Replayed([], [], [])
    outcomes, changes = await record_signals(session, signals, now, zone)
    refusals = {
        (s.source, s.source_event_id): (o.code, o.detail)
        for s, o in zip(signals, outcomes, strict=True)
        if o.status == "rejected" and o.code != "unknown_customer"  # erased this moment: nobody has the external id
    }
    await refuse_parked(session, refusals)
    return Replayed(signals, outcomes, changes)
