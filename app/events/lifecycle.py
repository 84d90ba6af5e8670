"""Events of the lifecycle: steps from stage to stage, rules switched off."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.events.base import Event, PublicEvent


@dataclass(frozen=True, slots=True)
class StageChange:
    """One customer's step from one stage to the next, or, with `from_stage` None, the beginning in `to_stage`.

    `scope_id`: the interval whose actions go on in the stage entered: its own, or the former one's where a correction or
    a false alarm resumes that; `left_scope_id`: the one whose actions end. `position` and `evaluated_at`: see
    lifecycle.models.
    """

    customer_id: UUID
    transition_id: UUID | None
    interval_id: UUID
    sequence: int
    from_stage: str | None
    to_stage: str
    kind: str
    rule_id: str | None
    policy_version: int
    reason: str | None
    actor: str
    facts: Mapping[str, Any]
    effective_at: datetime
    scope_id: UUID
    evaluated_at: datetime
    playbook_mode: str = "full"
    left_interval_id: UUID | None = None
    left_scope_id: UUID | None = None
    position: int = 0
    corrects_sequence: int | None = None

    @property
    def resumes(self) -> bool:
        """Whether an earlier stay goes on, so that nothing may happen to the customer twice."""
        return self.scope_id != self.interval_id


@dataclass(frozen=True, slots=True)
class StagesChanged(Event):
    """Customers entered a stage."""

    changes: tuple[StageChange, ...]

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent(
                "lifecycle.stage_changed",
                c.customer_id,
                c.effective_at,
                {
                    "transition_id": str(c.transition_id),
                    "transition_sequence": c.sequence,
                    "from": c.from_stage,
                    "to": c.to_stage,
                    "kind": c.kind,
                    "rule_id": c.rule_id,
                    "policy_version": c.policy_version,
                    "corrects_sequence": c.corrects_sequence,
                },
                {"facts": dict(c.facts), "reason": c.reason},
            )
            for c in self.changes
            if c.from_stage is not None
        ]


@dataclass(frozen=True, slots=True)
class RulesFrozen(Event):
    """Customers returned to a stage just left for the third time within 60 days: until a moment only rules that are
    marked `always` move them. Once for every such freeze."""

    items: tuple[tuple[UUID, UUID, datetime], ...]  # (customer_id, transition_id of the third return, until)

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent(
                "lifecycle.rules_frozen",
                customer,
                self.at,
                {"transition_id": str(transition), "until": until},
            )
            for customer, transition, until in self.items
        ]


@dataclass(frozen=True, slots=True)
class ClosuresTold(Event):
    """What is known now of customers of whom a closure was asked or taken back: since when they want to close, or None.

    A request from before the customer last came out of decline is past.
    """

    announced: Mapping[UUID, datetime | None]


@dataclass(frozen=True, slots=True)
class LifeEvent:
    """Something that may change what suits a customer, such as a marriage or an inheritance; `kind` as it was told."""

    customer_id: UUID
    kind: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class LifeEventsTold(Event):
    """Life events became known."""

    items: tuple[LifeEvent, ...]
