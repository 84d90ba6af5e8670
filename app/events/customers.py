"""Events of customers: created, changed, erased, merged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.events.base import Event, PublicEvent


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
    """Customers exist now. `facts` of each are what rules may read of a profile (see lifecycle/core/facts.py)."""

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
    external_ids: tuple[str, ...] = ()

    def public(self) -> list[PublicEvent]:
        return [PublicEvent("customer.erased", customer_id, self.at, {}) for customer_id in self.customer_ids]


@dataclass(frozen=True, slots=True)
class MergesAhead(Event):
    """Locked customers are about to be merged or parted: what time has made due for them comes first."""

    customer_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Merge:
    """A duplicate, and the customer that it belongs to."""

    merge_id: UUID
    customer_id: UUID
    duplicate_id: UUID

    def told(self, kind: str, at: datetime) -> list[PublicEvent]:
        """One event of each of both: a receiver may know either of them only."""
        data = {"merge_id": str(self.merge_id), "into": str(self.customer_id), "duplicate_id": str(self.duplicate_id)}
        return [PublicEvent(kind, who, at, data) for who in (self.customer_id, self.duplicate_id)]


@dataclass(frozen=True, slots=True)
class CustomersMerged(Event):
    """Duplicates belong to other customers from now on, with their external ids and signals."""

    merges: tuple[Merge, ...]

    def public(self) -> list[PublicEvent]:
        return [public for merge in self.merges for public in merge.told("customer.merged", self.at)]


@dataclass(frozen=True, slots=True)
class CustomersUnmerged(Event):
    """Merged duplicates are customers of their own again."""

    merges: tuple[Merge, ...]

    def public(self) -> list[PublicEvent]:
        return [public for merge in self.merges for public in merge.told("customer.merge_undone", self.at)]
