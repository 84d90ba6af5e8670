"""What an event is, and `publish()`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from app.clock import new_id


class HasInfo(Protocol):
    """A session, as far as this module needs one."""

    @property
    def info(self) -> dict[Any, Any]: ...


@dataclass(frozen=True, slots=True)
class PublicEvent:
    """A fact that leaves the system.

    `data` is thin: ids, stages, rule, kind; never amounts or free text. `full` is added for endpoints that ask for the
    full payload. `customer_id` is None for facts about the service itself.
    """

    type: str
    customer_id: UUID | None
    occurred_at: datetime
    data: dict[str, Any]
    full: dict[str, Any] = field(default_factory=dict)
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events. `at` is the `now` of the transaction."""

    at: datetime

    def public(self) -> list[PublicEvent]:
        """What of this event leaves the system; nothing unless the event says so."""
        return []


def publish(session: HasInfo, event: Event) -> None:
    """Put `event` to the unit of work of `session`; it is handled before the commit, in order of publication."""
    session.info.setdefault("published", []).append(event)


def take_published(session: HasInfo) -> list[Event]:
    """Remove and return what was published since the last call."""
    taken: list[Event] = session.info.pop("published", [])
    return taken


def public_events(events: Iterable[Event]) -> list[PublicEvent]:
    """What of `events` leaves the system, in order."""
    return [public for event in events for public in event.public()]
