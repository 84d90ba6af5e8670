"""Every event as a frozen dataclass, and `publish()`.

An event tells of a set of customers, happened inside the running transaction, and imports nothing of the domains.
`app.reactions` says what follows. What leaves the system is `PublicEvent`: each event renders its own, so that this
file is also the catalogue of webhooks (`PUBLIC_TYPES`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from app.clock import new_id

PUBLIC_TYPES: Mapping[str, str] = {
    "customer.created": "A customer was created or imported.",
    "customer.updated": "Fields of a customer's profile changed; `fields` names them.",
    "customer.erased": "A customer was deleted; nothing personal is left.",
    "lifecycle.stage_changed": "A customer moved from one stage to another.",
    "action.due": "An action is due that the institution's own provider performs.",
    "action.done": "An action was carried out.",
    "action.skipped": "An action was not carried out; `reason` says why.",
    "recommendation.created": "A customer has a new recommended portfolio, because its weights changed.",
    "recommendation.accepted": "A customer accepted the recommended portfolio.",
    "endpoint.disabled": "A webhook endpoint was switched off; `reason` says why.",
    "endpoint.test": "A test event, asked for by the owner of the endpoint; sent to that endpoint alone.",
}


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


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A customer as created: where the life in the institution begins."""

    customer_id: UUID
    external_ids: tuple[str, ...]
    stage: str
    playbook_mode: str
    facts: Mapping[str, Any]
    silent: bool = False


@dataclass(frozen=True, slots=True)
class CustomersCreated(Event):
    """Customers exist now. `facts` of each are what rules may read of a profile (see lifecycle/facts.py)."""

    customers: tuple[NewCustomer, ...]

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent("customer.created", c.customer_id, self.at, {"stage": c.stage})
            for c in self.customers
            if not c.silent
        ]


@dataclass(frozen=True, slots=True)
class CustomerChange:
    """What changed in one profile: the names of the fields, and those that rules may read, with their values."""

    customer_id: UUID
    fields: tuple[str, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CustomersUpdated(Event):
    """Profiles changed. `source` is stagefolio for changes that came from signals, which need no new signal."""

    changes: tuple[CustomerChange, ...]

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent("customer.updated", c.customer_id, self.at, {"fields": sorted(c.fields)}) for c in self.changes
        ]


@dataclass(frozen=True, slots=True)
class CustomersErased(Event):
    """Customers were deleted, with everything that named them."""

    customer_ids: tuple[UUID, ...]

    def public(self) -> list[PublicEvent]:
        return [PublicEvent("customer.erased", customer_id, self.at, {}) for customer_id in self.customer_ids]


@dataclass(frozen=True, slots=True)
class StageChange:
    """One customer's step from one stage to the next, or, with `from_stage` None, the beginning in `to_stage`."""

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
    playbook_mode: str = "full"
    left_interval_id: UUID | None = None


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
                },
                {"facts": dict(c.facts), "reason": c.reason},
            )
            for c in self.changes
            if c.from_stage is not None
        ]


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


@dataclass(frozen=True, slots=True)
class RiskProfilesCompleted(Event):
    """Customers answered the risk questionnaire; their suitability is valid until `valid_until`."""

    customer_ids: tuple[UUID, ...]
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class NewRecommendation:
    """A recommendation whose weights differ from the one before."""

    customer_id: UUID
    recommendation_id: UUID
    basis: str
    risk_class: str | None
    risk_level: str | None


@dataclass(frozen=True, slots=True)
class RecommendationsCreated(Event):
    """Customers have new recommended portfolios."""

    items: tuple[NewRecommendation, ...]

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent(
                "recommendation.created",
                i.customer_id,
                self.at,
                {
                    "recommendation_id": str(i.recommendation_id),
                    "basis": i.basis,
                    "risk_class": i.risk_class,
                    "risk_level": i.risk_level,
                },
            )
            for i in self.items
        ]


@dataclass(frozen=True, slots=True)
class RecommendationsAccepted(Event):
    """Customers accepted their recommended portfolio."""

    accepted: tuple[tuple[UUID, UUID], ...]  # (customer_id, recommendation_id)

    def public(self) -> list[PublicEvent]:
        return [
            PublicEvent("recommendation.accepted", customer, self.at, {"recommendation_id": str(recommendation)})
            for customer, recommendation in self.accepted
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


def public_events(events: Iterable[Event]) -> list[PublicEvent]:
    """What of `events` leaves the system, in order."""
    return [public for event in events for public in event.public()]
