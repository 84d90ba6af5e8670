"""What a source of sample data hands to the loader: customers, signals and, where it is known, the truth.

Both sources, the simulated institution and the Berka bank, produce these shapes and nothing else, so that one loader
takes either through the front doors of the service.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, TypedDict

Kind = Literal["individual", "business"]
Segment = Literal["mass", "affluent", "high_net_worth", "small_business"]
Tier = Literal["A", "B", "C"]
KycStatus = Literal["none", "pending", "passed"]
Stage = Literal["prospect", "trial", "growth", "mature", "decline"]
Leaver = Literal["gradual", "sudden", "dormant", "trial"]


class DemoConsent(TypedDict):
    """One answer of a customer: may this channel be used for this purpose?"""

    channel: Literal["email", "in_app", "phone"]
    purpose: Literal["marketing", "service", "survey"]
    granted: bool


@dataclass(slots=True)
class DemoCustomer:
    """A customer as known on `created_on`; what changes later arrives as signals."""

    external_id: str
    kind: Kind
    full_name: str
    email: str | None
    phone: str | None
    birth_on: date | None
    segment: Segment
    tier: Tier
    country: str
    language: str
    time_zone: str
    owner: str | None
    tags: list[str]
    consents: list[DemoConsent]
    kyc_status: KycStatus
    created_on: date
    answers: dict[str, Any] | None = None
    holdings: dict[str, Any] | None = None


@dataclass(slots=True)
class DemoSignal:
    """Something a customer did or that happened to them; `occurred_at` is aware, in UTC."""

    source: str
    source_event_id: str
    type: str
    external_id: str
    occurred_at: datetime
    payload: dict[str, Any]


@dataclass(slots=True)
class Departure:
    """One true movement away: when it began, when the customer was gone, when they came back (each may be unknown yet).

    `kind`: `gradual` (weeks of fading), `sudden` (one transfer out), `dormant` (silence, the money stays; such a
    customer is never gone, `left_on` stays None), `trial` (closed before becoming a customer in earnest).
    """

    kind: Leaver
    started_on: date
    left_on: date | None = None
    returned_on: date | None = None


@dataclass(slots=True)
class Truth:
    """What really happened to one customer: the yardstick for rules and scores. Never loaded into the service."""

    external_id: str
    stages: list[tuple[date, Stage]]
    departures: list[Departure] = field(default_factory=list)
    holidays: list[tuple[date, date]] = field(default_factory=list)

    @property
    def stage_at_end(self) -> Stage:
        """The stage after the last change."""
        return self.stages[-1][1]

    @property
    def decline_started_on(self) -> date | None:
        """When the latest departure began; None for those who never thought of leaving."""
        return self.departures[-1].started_on if self.departures else None

    @property
    def left_on(self) -> date | None:
        """When the customer was gone at the latest departure; None if never, or not yet."""
        return self.departures[-1].left_on if self.departures else None

    @property
    def leaver(self) -> Leaver | None:
        """The kind of the latest departure."""
        return self.departures[-1].kind if self.departures else None

    @property
    def won_back_on(self) -> date | None:
        """When the customer returned from the latest departure."""
        return self.departures[-1].returned_on if self.departures else None
