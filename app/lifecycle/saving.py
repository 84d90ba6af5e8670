"""Writes what was decided: states, transitions, intervals, the stage itself. Set-based, with locked customers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.customers.models import Customer
from app.events import StageChange, StagesChanged, publish
from app.lifecycle.ledger import State
from app.lifecycle.loading import Loaded
from app.lifecycle.models import LifecycleState, StageInterval, Transition
from app.lifecycle.stages import Stage

PIN_BY_HAND = timedelta(days=30)
"""How long a stage chosen by hand is protected from the rules."""


@dataclass(frozen=True, slots=True)
class Step:
    """One transition to write. `effective_at` is when its cause happened, `entry` what to note for the next stage."""

    loaded: Loaded
    to: str
    kind: str
    rule_id: str | None
    reason: str | None
    actor: str
    facts: Mapping[str, Any]
    entry: Mapping[str, float]
    effective_at: datetime
    new_cycle: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of one customer after an evaluation that moved nobody."""

    customer_id: UUID
    score: int
    reasons: Sequence[str]
    confirming: Mapping[str, float]
    next_evaluation_at: datetime


async def save_verdicts(session: AsyncSession, verdicts: Sequence[Verdict], now: datetime) -> None:
    """Write scores, confirm windows and the next evaluation of many customers in one statement."""
    if not verdicts:
        return
    await session.execute(
        text(
            "UPDATE lifecycle_state s SET attrition_score = v.score, score_reasons = string_to_array(v.reasons, ','),"
            " confirming = v.confirming::jsonb, next_evaluation_at = v.next_at, evaluated_at = :now"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:scores AS int[]), CAST(:reasons AS text[]),"
            " CAST(:confirming AS text[]), CAST(:next_at AS timestamptz[]))"
            " AS v(id, score, reasons, confirming, next_at) WHERE s.customer_id = v.id"
        ),
        {
            "now": now,
            "ids": [v.customer_id for v in verdicts],
            "scores": [v.score for v in verdicts],
            "reasons": [",".join(v.reasons) for v in verdicts],
            "confirming": [orjson.dumps(v.confirming).decode() for v in verdicts],
            "next_at": [v.next_evaluation_at for v in verdicts],
        },
    )


async def save_steps(
    session: AsyncSession, steps: Sequence[Step], policy_version: int, now: datetime, *, pin: bool = False
) -> list[StageChange]:
    """Write transitions: close and open intervals, note them in the states, move the customers, publish.

    The next evaluation of everybody who moved is due at once, in the new stage. With `pin` (by hand) the stage is
    protected for PIN_BY_HAND.
    """
    if not steps:
        return []
    changes = [_change(step, policy_version) for step in steps]
    await session.execute(
        text(
            "UPDATE stage_intervals i SET exited_at = v.at FROM unnest(CAST(:ids AS uuid[]),"
            " CAST(:at AS timestamptz[])) AS v(id, at) WHERE i.id = v.id"
        ),
        {"ids": [c.left_interval_id for c in changes], "at": [c.effective_at for c in changes]},
    )
    cycles = [step.loaded.row.cycle + int(step.new_cycle) for step in steps]
    await session.execute(
        insert(StageInterval),
        [
            {
                "id": c.interval_id,
                "customer_id": c.customer_id,
                "stage": c.to_stage,
                "cycle": n,
                "entered_at": c.effective_at,
            }
            for c, n in zip(changes, cycles, strict=True)
        ],
    )
    await session.execute(insert(Transition), [transition_row(c, now) for c in changes])
    await session.execute(update(LifecycleState), [_state(s, c, now) for s, c in zip(steps, changes, strict=True)])
    await session.execute(
        update(Customer), [_customer(s, c, n, now, pin) for s, c, n in zip(steps, changes, cycles, strict=True)]
    )
    publish(session, StagesChanged(now, tuple(changes)))
    return changes


def _change(step: Step, policy_version: int) -> StageChange:
    row = step.loaded.row
    return StageChange(
        customer_id=row.id,
        transition_id=new_id(),
        interval_id=new_id(),
        sequence=row.transition_sequence + 1,
        from_stage=row.stage,
        to_stage=step.to,
        kind=step.kind,
        rule_id=step.rule_id,
        policy_version=policy_version,
        reason=step.reason,
        actor=step.actor,
        facts=step.facts,
        effective_at=max(step.effective_at, row.stage_entered_at),
        left_interval_id=row.interval_id,
    )


def transition_row(change: StageChange, now: datetime) -> dict[str, Any]:
    """A transition as it is stored, which is also how the API shows it."""
    return {
        "id": change.transition_id,
        "customer_id": change.customer_id,
        "sequence": change.sequence,
        "from_stage": change.from_stage,
        "to_stage": change.to_stage,
        "kind": change.kind,
        "rule_id": change.rule_id,
        "policy_version": change.policy_version,
        "reason": change.reason,
        "actor": change.actor,
        "facts": dict(change.facts),
        "effective_at": change.effective_at,
        "decided_at": now,
    }


def _state(step: Step, change: StageChange, now: datetime) -> dict[str, Any]:
    known = step.loaded.subject.known
    # A return is a step back to the stage just left, within 60 days; three of them freeze the rules.
    stay = known.today - known.state.entered_day
    returned = change.to_stage == known.state.stage_before and stay < 60
    recent = [r for r in known.state.recent if known.today - r[0] <= 60]
    return {
        "customer_id": change.customer_id,
        "interval_id": change.interval_id,
        "transition_sequence": change.sequence,
        "policy_version": change.policy_version,
        "stage_before": change.from_stage,
        "entered_by": change.rule_id,
        "last_trial_ended_at": change.effective_at
        if change.from_stage == Stage.TRIAL
        else step.loaded.row.last_trial_ended_at,
        "last_automatic_at": step.loaded.at if change.kind == "automatic" else step.loaded.row.last_automatic_at,
        "entry": {**step.entry, **_decline_ended(known.state, change)},
        "recent": [*recent, [known.today, change.to_stage]] if returned else recent,
        "confirming": {},
        "evaluated_at": now,
        "next_evaluation_at": step.loaded.at,
    }


def _decline_ended(state: State, change: StageChange) -> dict[str, float]:
    """When the customer last came out of decline, epoch seconds: noted at the step, and carried on through later ones."""
    if change.from_stage == Stage.DECLINE:
        return {"decline_ended": change.effective_at.timestamp()}
    return {"decline_ended": state.entry["decline_ended"]} if "decline_ended" in state.entry else {}


def _customer(step: Step, change: StageChange, cycle: int, now: datetime, pin: bool) -> dict[str, Any]:
    row = step.loaded.row
    pinned = (
        {"until": (now + PIN_BY_HAND).astimezone(UTC).isoformat().replace("+00:00", "Z"), "reason": step.reason}
        if pin
        else None
    )
    kept = orjson.loads(row.pin) if row.pin else None
    if kept is not None and datetime.fromisoformat(kept["until"]) <= now:
        kept = None
    return {
        "id": change.customer_id,
        "stage": change.to_stage,
        "stage_entered_at": change.effective_at,
        "cycle": cycle,
        "pin": pinned or kept,
        "updated_at": now,
        "version": row.version + 1,
    }
