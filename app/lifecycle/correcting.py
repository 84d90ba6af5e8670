"""Takes back the last step of customers whose cause a late or retracted signal has removed."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.events import StageChange
from app.lifecycle.core.corrections import taken_back
from app.lifecycle.core.standing import Former, Stride
from app.lifecycle.inputs import signals_of
from app.lifecycle.loading import Loaded, formers_of
from app.lifecycle.policies import policies_of
from app.lifecycle.saving import Step, save_steps

ACTOR = "stagefolio:correction"


def in_doubt(one: Loaded, earliest: datetime, *, retracted: bool) -> bool:
    """Whether what came may have removed the cause of the last step. `earliest`: when the first of it occurred.

    Not of a stage that is pinned or held, nor of somebody whose rules are switched off.
    """
    decided = one.row.former_at
    return decided is not None and not one.subject.bound and (retracted or earliest <= decided)


async def correct(
    session: AsyncSession, doubted: Sequence[Loaded], retracting: Collection[UUID], now: datetime, zone: ZoneInfo
) -> list[StageChange]:
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
                steps.append(_step(one, former, facts, retracted=one.row.id in retracting))
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
