"""The simulated institution under variants of the shipped policy: its lives, replayed in memory.

A day counts in UTC, the zone of the simulation. What a customer did on a day arrives in one batch at its end, as the
loader of the demonstration sends it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from app.customers.service import _row, _said, profile_facts
from app.demo.loading import _item
from app.demo.shapes import DemoCustomer, DemoSignal
from app.demo.simulate import Institution, simulate
from app.lifecycle.core.book import Noted
from app.lifecycle.core.policy import Policy, parse_policy
from app.lifecycle.core.replay import Input, Life, replay
from app.lifecycle.core.signals import OWN_SOURCE
from app.lifecycle.policies import shipped_document
from tests.demo.detection import Figures, measure

ZONE = ZoneInfo("UTC")
VERSION = 1
TOGETHER = 200
"""Lives replayed side by side."""
_MOMENT = timedelta(microseconds=1)


def without(*rules: str, score: bool = True, threshold: int = 60) -> Policy:
    """The shipped policy `wealth` without some rules, without points, or with another threshold to decline."""
    document = deepcopy(shipped_document("wealth"))
    document["rules"] = [rule for rule in document["rules"] if rule["id"] not in rules]
    if not score:
        document["score"] = []
    for rule in document["rules"]:
        if rule["id"] == "at_risk":
            rule["when"]["value"] = threshold
    return parse_policy(document, VERSION)


SHIPPED, SILENT, POINTED = "shipped: points from 60, silence", "silence alone", "points alone"
EAGER, SLOW = "points from 50, silence", "points from 70, silence"
VARIANTS: Mapping[str, Policy] = {
    SHIPPED: without(),
    SILENT: without("at_risk", score=False),
    POINTED: without("dormant_growth", "dormant_mature"),
    EAGER: without(threshold=50),
    SLOW: without(threshold=70),
}
"""In each of them customers who say that they leave, or take most of their money, decline at once by `leaving`."""


def run(variant: str, seed: int, customers: int, end: date) -> Figures:
    """Simulate an institution, let its customers live under one of the variants, and measure."""
    institution = simulate(seed=seed, customers=customers, end=end)
    lives, figures = lives_of(institution), Figures()
    for at in range(0, customers, TOGETHER):
        part = slice(at, at + TOGETHER)
        courses = replay(lives[part], {VERSION: VARIANTS[variant]}, ZONE, _midnight(end) - _MOMENT)
        steps = [(course.moves, course.standing.stage) for course in courses]
        figures.add(measure(steps, institution.truth[part], end))
    return figures


def lives_of(institution: Institution) -> list[Life]:
    """The lives as the service receives them day by day, in the order of the customers."""
    signals: dict[str, list[DemoSignal]] = defaultdict(list)
    for signal in institution.signals:
        signals[signal.external_id].append(signal)
    return [_life(customer, signals[customer.external_id]) for customer in institution.customers]


def _life(customer: DemoCustomer, signals: Sequence[DemoSignal]) -> Life:
    created_at = _midnight(customer.created_on)
    facts = _said(profile_facts(_row(_item(customer, {}), created_at, ZONE.key)))
    inputs = [_own(1, created_at, "profile_changed", facts)]
    days: dict[date, list[DemoSignal]] = defaultdict(list)
    for signal in signals:
        days[signal.occurred_at.date()].append(signal)
    for day, batch in sorted(days.items()):
        at, position = _midnight(day + timedelta(days=1)) - _MOMENT, len(inputs) + 1
        noted = (Noted(position, at, s.source, s.source_event_id, s.type, s.occurred_at, s.payload) for s in batch)
        inputs.append(Input(position, at, "signals", tuple(noted)))
        if any(signal.type == "risk_profile_completed" for signal in batch):
            until = {"valid_until": (at + timedelta(days=365)).isoformat()}
            inputs.append(_own(position + 1, at, "risk_profile_completed", until))
    return Life(uuid5(NAMESPACE_URL, customer.external_id), "prospect", created_at, VERSION, tuple(inputs))


def _own(position: int, at: datetime, kind: str, facts: Mapping[str, Any]) -> Input:
    """What the service itself notes."""
    return Input(position, at, "signals", (Noted(position, at, OWN_SOURCE, str(position), kind, at, facts),))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
