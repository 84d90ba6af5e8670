"""Takes back the last step of customers whose cause a late or retracted signal has removed."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.events import StageChange
from app.lifecycle.core.corrections import taken_back
from app.lifecycle.core.signals import RETRACTION
from app.lifecycle.core.standing import Former, Stride, freed
from app.lifecycle.inputs import signals_of
from app.lifecycle.loading import Loaded, formers_of
from app.lifecycle.policies import policies_of
from app.lifecycle.saving import Step, save_steps

ACTOR = "stagefolio:correction"


def in_doubt(one: Loaded, earliest: datetime | None, *, unsettled: bool, zone: ZoneInfo) -> bool:
    """Whether the cause of the last step may be gone. `earliest`: when the first of what came occurred, if anything came.

    Not while the stage is pinned or held, or the rules are switched off; what came meanwhile is looked at when that ends.
    """
    decided = one.row.former_at
    if decided is None or one.subject.bound:
        return False
    late = earliest is not None and earliest <= decided
    return unsettled or late or freed(one.standing, one.at, zone)


async def correct(session: AsyncSession, doubted: Sequence[Loaded], now: datetime, zone: ZoneInfo) -> list[StageChange]:
    """Compensate the last steps of these customers where they would not have been taken; returns the corrections."""
    ids = [one.row.id for one in doubted]
    formers = await formers_of(session, ids)
    signals = await signals_of(session, ids, retracted=True)
    policies = await policies_of(session)

    def judge() -> list[Step]:
        steps = []
        for one in doubted:
            former = formers[one.row.id]
            facts = taken_back(former, signals[one.row.id], policies[former.policy_version], zone)
            if facts is not None:
                known_since = (s for s in signals[one.row.id] if s.position > former.position)
                retracted = any(s.type == RETRACTION for s in known_since)
                steps.append(_step(one, former, facts, retracted=retracted))
        return steps

    # Whole lives are added up here: in a thread, so that nobody else's request waits for it.
    return await save_steps(session, await asyncio.to_thread(judge), now, zone)


def _step(one: Loaded, former: Former, facts: Mapping[str, object], *, retracted: bool) -> Step:
    return Step(
        loaded=one,
        stride=Stride(former.standing.stage, "correction", None, one.at, one.at, {}),
        reason="retracted_signal" if retracted else "late_signal",
        actor=ACTOR,
        facts=facts,
        policy_version=former.policy_version,
    )
