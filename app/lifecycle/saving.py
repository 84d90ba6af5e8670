"""Writes what was decided: states, transitions, intervals, the stage itself. Set-based, with locked customers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.customers.models import Customer
from app.events import StageChange, StagesChanged, publish
from app.lifecycle.core.standing import Former, Standing, Stride, former_document, remembered, stepped
from app.lifecycle.flapping import publish_freezes
from app.lifecycle.loading import Loaded, formers_of
from app.lifecycle.models import LifecycleState, StageInterval, Transition


@dataclass(frozen=True, slots=True)
class Step:
    """One transition to write. `stride` says where to and when its cause happened; `back`: it leads to the stage before,
    whose actions go on."""

    loaded: Loaded
    stride: Stride
    reason: str | None
    actor: str
    facts: Mapping[str, Any]
    policy_version: int
    back: bool = False
    playbook_mode: str = "full"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of one customer after an evaluation that moved nobody."""

    customer_id: UUID
    score: int
    reasons: Sequence[str]
    confirming: Mapping[str, float]
    next_evaluation_at: datetime
    evaluated_at: datetime


async def save_verdicts(session: AsyncSession, verdicts: Sequence[Verdict]) -> None:
    """Write scores, confirm windows and the next evaluation of many customers in one statement."""
    if not verdicts:
        return
    await session.execute(
        text(
            "UPDATE lifecycle_state s SET attrition_score = v.score, score_reasons = string_to_array(v.reasons, ','),"
            " confirming = v.confirming::jsonb, next_evaluation_at = v.next_at, evaluated_at = v.at"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:scores AS int[]), CAST(:reasons AS text[]),"
            " CAST(:confirming AS text[]), CAST(:next_at AS timestamptz[]), CAST(:at AS timestamptz[]))"
            " AS v(id, score, reasons, confirming, next_at, at) WHERE s.customer_id = v.id"
        ),
        {
            "at": [v.evaluated_at for v in verdicts],
            "ids": [v.customer_id for v in verdicts],
            "scores": [v.score for v in verdicts],
            "reasons": [",".join(v.reasons) for v in verdicts],
            "confirming": [orjson.dumps(v.confirming).decode() for v in verdicts],
            "next_at": [v.next_evaluation_at for v in verdicts],
        },
    )


async def save_steps(session: AsyncSession, steps: Sequence[Step], now: datetime, zone: ZoneInfo) -> list[StageChange]:
    """Write transitions: close and open intervals, note them in the states, move the customers, publish.

    The next evaluation of everybody who moved is due at once, in the new stage. A step by hand pins the stage.
    """
    if not steps:
        return []
    positions = await session.execute(
        text("SELECT nextval('lifecycle_positions') FROM generate_series(1, :n)"), {"n": len(steps)}
    )
    formers = await formers_of(session, [s.loaded.row.id for s in steps if s.loaded.row.former_at is not None])
    behind = [formers.get(step.loaded.row.id) for step in steps]
    changes = [_change(*given) for given in zip(steps, behind, positions.scalars(), strict=True)]
    standings = [_standing(*given, zone) for given in zip(steps, behind, changes, strict=True)]
    await session.execute(
        text(
            "UPDATE stage_intervals i SET exited_at = v.at FROM unnest(CAST(:ids AS uuid[]),"
            " CAST(:at AS timestamptz[])) AS v(id, at) WHERE i.id = v.id"
        ),
        {"ids": [c.left_interval_id for c in changes], "at": [c.effective_at for c in changes]},
    )
    pairs = list(zip(changes, standings, strict=True))
    await session.execute(insert(StageInterval), [_interval(c, standing) for c, standing in pairs])
    await session.execute(insert(Transition), [transition_row(c, now) | {"position": c.position} for c in changes])
    await session.execute(update(LifecycleState), [_state(c, standing) for c, standing in pairs])
    rows = [_customer(s, c, standing, now) for s, (c, standing) in zip(steps, pairs, strict=True)]
    await session.execute(update(Customer), rows)
    publish(session, StagesChanged(now, tuple(changes)))
    befores = (step.loaded.standing for step in steps)
    publish_freezes(session, [(b, after, c) for b, (c, after) in zip(befores, pairs, strict=True)], now, zone)
    return changes


def _change(step: Step, behind: Former | None, position: int) -> StageChange:
    row, stride = step.loaded.row, step.stride
    interval_id = new_id()
    former = behind if step.back or stride.kind == "correction" else None
    return StageChange(
        customer_id=row.id,
        transition_id=new_id(),
        interval_id=interval_id,
        sequence=row.transition_sequence + 1,
        from_stage=row.stage,
        to_stage=stride.to,
        kind=stride.kind,
        rule_id=stride.rule_id,
        policy_version=step.policy_version,
        reason=step.reason,
        actor=step.actor,
        facts=step.facts,
        effective_at=max(stride.effective_at, step.loaded.standing.changed_at),
        evaluated_at=stride.evaluated_at,
        position=position,
        scope_id=interval_id if former is None else UUID(former.scope),
        left_interval_id=row.interval_id,
        left_scope_id=row.scope_id,
        playbook_mode=step.playbook_mode,
        corrects_sequence=former.sequence if former is not None and stride.kind == "correction" else None,
    )


def _standing(step: Step, behind: Former | None, change: StageChange, zone: ZoneInfo) -> Standing:
    """Where the customer stands after the step; an automatic one can be taken back."""
    before = replace(step.loaded.standing, former=behind)
    if change.kind == "correction":
        return stepped(before, step.stride, zone)
    after = stepped(before, step.stride, zone)
    if change.kind != "automatic" or change.rule_id is None:
        return after
    former = Former(
        rule_id=change.rule_id,
        policy_version=change.policy_version,
        sequence=change.sequence,
        evaluated_at=change.evaluated_at,
        position=change.position,
        scope=str(change.left_scope_id),
        standing=remembered(before),
    )
    return replace(after, former=former)


def _interval(change: StageChange, standing: Standing) -> dict[str, Any]:
    return {
        "id": change.interval_id,
        "customer_id": change.customer_id,
        "stage": change.to_stage,
        "cycle": standing.cycle,
        "entered_at": change.effective_at,
    }


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
        "evaluated_at": change.evaluated_at,
        "decided_at": now,
        "corrects_sequence": change.corrects_sequence,
    }


def _state(change: StageChange, standing: Standing) -> dict[str, Any]:
    return {
        "customer_id": change.customer_id,
        "interval_id": change.interval_id,
        "scope_id": change.scope_id,
        "changed_at": standing.changed_at,
        "transition_sequence": change.sequence,
        "stage_before": standing.stage_before,
        "entered_by": standing.entered_by,
        "last_trial_ended_at": standing.last_trial_ended_at,
        "last_automatic_at": standing.last_automatic_at,
        "entry": dict(standing.entry),
        "recent": standing.recent,
        "confirming": dict(standing.confirming),
        "former": None if standing.former is None else former_document(standing.former),
        "former_at": None if standing.former is None else standing.former.evaluated_at,
        "evaluated_at": change.evaluated_at,
        "next_evaluation_at": change.evaluated_at,
    }


def _customer(step: Step, change: StageChange, standing: Standing, now: datetime) -> dict[str, Any]:
    row = step.loaded.row
    pin = orjson.loads(row.pin) if row.pin else None
    if pin is not None and datetime.fromisoformat(pin["until"]) <= change.evaluated_at:
        pin = None
    if change.kind == "manual":
        assert standing.pinned_until is not None
        until = standing.pinned_until.astimezone(UTC).isoformat().replace("+00:00", "Z")
        pin = {"until": until, "reason": step.reason}
    return {
        "id": change.customer_id,
        "stage": change.to_stage,
        "stage_entered_at": standing.entered_at,
        "cycle": standing.cycle,
        "pin": pin,
        "updated_at": now,
        "version": row.version + 1,
    }
