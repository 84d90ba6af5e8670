"""Events of actions."""

from dataclasses import dataclass
from uuid import UUID

from app.events.base import Event, PublicEvent


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """How one action ended."""

    customer_id: UUID
    action_id: UUID
    key: str
    kind: str
    outcome: str  # due | done | skipped
    reason: str | None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class ActionsFinished(Event):
    """Actions became due for an outside provider, were done, or were skipped."""

    outcomes: tuple[ActionOutcome, ...]

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent(
                f"action.{o.outcome}",
                o.customer_id,
                self.at,
                {"action_id": str(o.action_id), "key": o.key, "kind": o.kind, "reason": o.reason, "channel": o.channel},
            )
            for o in self.outcomes
        ]
