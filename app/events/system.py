"""Events of the service itself."""

from dataclasses import dataclass
from uuid import UUID

from app.events.base import Event, PublicEvent


@dataclass(frozen=True, slots=True)
class OperationsFinished(Event):
    """Long-running pieces of work succeeded, failed or were cancelled."""

    items: tuple[tuple[UUID, str, str], ...]  # (operation_id, kind, status)

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent("operation.finished", None, self.at, {"operation_id": str(one), "kind": kind, "status": status})
            for one, kind, status in self.items
        ]


@dataclass(frozen=True, slots=True)
class EndpointDisabled(Event):
    """A webhook endpoint was switched off."""

    endpoint_id: UUID
    reason: str

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent(
                "endpoint.disabled", None, self.at, {"endpoint_id": str(self.endpoint_id), "reason": self.reason}
            )
        ]
