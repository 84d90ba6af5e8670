"""How a life in the institution begins, how its profile is noted, and what is left of it."""

from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.events import (
    CustomersCreated,
    CustomersErased,
    CustomersUpdated,
    NewCustomer,
    RecommendationsAccepted,
    RiskProfilesCompleted,
    StageChange,
    StagesChanged,
    publish,
)
from app.lifecycle.core.policy import Policy
from app.lifecycle.models import LifecycleState, ParkedSignal, Signal, StageInterval
from app.lifecycle.policies import current_policy
from app.lifecycle.service import record_internal
from app.lifecycle.unparking import replay


async def start(session: AsyncSession, event: CustomersCreated, zone: ZoneInfo) -> None:
    """Begin the lives of new customers: first interval, state, profile as signals, parked signals replayed."""
    policy = await current_policy(session)
    changes = [_beginning(customer, policy, event.at) for customer in event.customers]
    await session.execute(
        insert(StageInterval),
        [
            {"id": c.interval_id, "customer_id": c.customer_id, "stage": c.to_stage, "cycle": 1, "entered_at": event.at}
            for c in changes
        ],
    )
    await session.execute(
        insert(LifecycleState),
        [
            {
                "customer_id": c.customer_id,
                "interval_id": c.interval_id,
                "scope_id": c.interval_id,
                "changed_at": event.at,
                "policy_version": policy.version,
            }
            for c in changes
        ],
    )
    publish(session, StagesChanged(event.at, tuple(changes)))
    facts = {c.customer_id: ("profile_changed", dict(c.facts)) for c in event.customers}
    await record_internal(session, facts, event.at, zone)
    await replay(session, [external for c in event.customers for external in c.external_ids], event.at, zone)


def _beginning(customer: NewCustomer, policy: Policy, now: datetime) -> StageChange:
    interval_id = new_id()
    return StageChange(
        customer_id=customer.customer_id,
        transition_id=None,
        interval_id=interval_id,
        scope_id=interval_id,
        sequence=0,
        from_stage=None,
        to_stage=customer.stage,
        kind="created",
        rule_id=None,
        policy_version=policy.version,
        reason=None,
        actor="created",
        facts={},
        effective_at=now,
        evaluated_at=now,
        playbook_mode=customer.playbook_mode,
    )


async def note_profiles(session: AsyncSession, event: CustomersUpdated, zone: ZoneInfo) -> None:
    """Record profile edits that rules may read as dated signals, so that every input of a decision has its time."""
    facts = {c.customer_id: ("profile_changed", dict(c.facts)) for c in event.changes if c.facts}
    await record_internal(session, facts, event.at, zone)


async def note_suitability(session: AsyncSession, event: RiskProfilesCompleted, zone: ZoneInfo) -> None:
    """Record completed risk questionnaires: suitability is valid until the time that the event names."""
    payload = {"valid_until": event.valid_until.isoformat()}
    facts = dict.fromkeys(event.customer_ids, ("risk_profile_completed", payload))
    await record_internal(session, facts, event.at, zone)


async def note_acceptance(session: AsyncSession, event: RecommendationsAccepted, zone: ZoneInfo) -> None:
    """Record accepted portfolios, which rules may ask for."""
    facts: dict[UUID, tuple[str, dict[str, Any]]] = {
        customer_id: ("portfolio_accepted", {}) for customer_id, _ in event.accepted
    }
    await record_internal(session, facts, event.at, zone)


async def forget(session: AsyncSession, event: CustomersErased) -> None:
    """Delete the signals of erased customers, and those kept under their external ids; the rest went with the customers."""
    await session.execute(delete(Signal).where(Signal.customer_id.in_(event.customer_ids)))
    await session.execute(delete(ParkedSignal).where(ParkedSignal.external_id.in_(event.external_ids)))
