"""Takes back the last step of customers whose cause a late or retracted signal has removed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import StageChange
from app.lifecycle.corrections import taken_back
from app.lifecycle.ingest import Incoming
from app.lifecycle.inputs import signals_of
from app.lifecycle.loading import Loaded, load
from app.lifecycle.models import LifecycleState
from app.lifecycle.policies import policies_of
from app.lifecycle.saving import Step, save_steps
from app.lifecycle.signals import RETRACTION
from app.lifecycle.standing import Stride

ACTOR = "stagefolio:correction"


async def correct(
    session: AsyncSession,
    earliest: Mapping[UUID, datetime],
    new: Sequence[Incoming],
    moments: Mapping[UUID, datetime],
    now: datetime,
    zone: ZoneInfo,
) -> list[StageChange]:
    """Compensate last steps that would not have been taken; returns the corrections.

    `earliest`: when the first new signal of each customer occurred. A stage that is pinned or held, and the stage of
    somebody whose rules are switched off, stays.
    """
    retracting = {s.customer_id for s in new if s.type == RETRACTION}
    rows = await session.execute(
        select(LifecycleState.customer_id, LifecycleState.former["evaluated_at"].astext.label("at")).where(
            LifecycleState.customer_id.in_(earliest), LifecycleState.former.is_not(None)
        )
    )
    touched = [
        row.customer_id
        for row in rows
        if row.customer_id in retracting or earliest[row.customer_id] <= datetime.fromisoformat(row.at)
    ]
    if not touched:
        return []
    loaded = [one for one in await load(session, touched, moments, zone) if not one.subject.bound]
    signals = await signals_of(session, [one.row.id for one in loaded])
    policies = await policies_of(session)
    steps = []
    for one in loaded:
        former = one.former
        assert former is not None
        facts = taken_back(former, signals[one.row.id], str(one.row.id), policies[former.policy_version], zone)
        if facts is not None:
            steps.append(_step(one, facts, retracted=one.row.id in retracting))
    return await save_steps(session, steps, now, zone)


def _step(one: Loaded, facts: Mapping[str, object], *, retracted: bool) -> Step:
    former = one.former
    assert former is not None
    return Step(
        loaded=one,
        stride=Stride(former.standing.stage, "correction", None, one.at, one.at, {}),
        reason="retracted_signal" if retracted else "late_signal",
        actor=ACTOR,
        facts=facts,
        policy_version=former.policy_version,
    )
