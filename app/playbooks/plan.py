"""Which actions follow from stage changes, and when. Pure: no clock, no database.

What is planned is unique on (customer, scope, key, occurrence). The scope is the interval, or the customer for actions
of any stage; the key carries no version. An interval that a correction or a false alarm resumes an earlier one with has
that one's scope: nothing begins anew, and what had been called off goes on. A series (`every`) has one planned
occurrence at a time: the next is planned when the one before is finished, and what lies in the past is stepped over, so
that a pause never ends in a flood.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.events import StageChange
from app.playbooks.definition import Definition, Playbook, condition_holds

CORRECTION = "correction"
CUSTOMER_SCOPE = "customer"
FROZEN = "returns"
"""The cause of what follows when the rules are switched off for a customer."""


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """What planning needs to know of a customer."""

    name: str
    kind: str
    segment: str
    tier: str
    owner: str | None


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """One occurrence of a definition for one customer.

    `interval_id` names the scope as an interval, None for the scope of the customer. `cause` is the rule, or the kind of
    the transition, behind it; `FROZEN` for what a freeze starts.
    """

    customer_id: UUID
    stage: str
    scope: str
    interval_id: UUID | None
    transition_id: UUID | None
    cause: str | None
    key: str
    occurrence: str
    kind: str
    action_class: str
    measure: str
    channel: str | None
    owner: str | None
    due_at: datetime
    expires_at: datetime
    survives_exit: bool
    playbook_version: int


def owner_of(definition: Definition, customer_owner: str | None) -> str | None:
    """Who does a task: the customer's own adviser, or the role that the playbook names. Other kinds have no owner."""
    if definition.kind != "task":
        return None
    return (customer_owner if definition.owner == "adviser" else None) or definition.owner


def plan(
    playbook: Playbook,
    pinned: Mapping[UUID, Playbook],
    changes: Sequence[StageChange],
    customers: Mapping[UUID, CustomerFacts],
    now: datetime,
) -> list[PlannedAction]:
    """The actions that a set of stage changes starts, in order of the changes and of the playbook.

    New intervals begin with `playbook`; exit actions come from the version that the interval left began with:
    `pinned`, by scope. A change's `playbook_mode` decides how much: nothing, dwell actions only, or everything.
    Customers who are not in `customers`, and intervals that the same set of changes leaves again, start nothing that
    ends with the interval. What goes on in an interval that is resumed: see resuming.py. A correction starts no exit
    actions either, since the stage that it takes back was never right.
    """
    left = {change.left_scope_id for change in changes}
    planned: list[PlannedAction] = []
    for change in changes:
        facts = customers.get(change.customer_id)
        if facts is None or change.playbook_mode == "none" or change.kind == CORRECTION:
            continue
        if change.playbook_mode == "full" and change.from_stage is not None and change.left_scope_id is not None:
            book = pinned.get(change.left_scope_id, playbook)
            definitions = book.of_stage(change.from_stage, ("exit",))
            planned += _occurrences(book, definitions, change, change.left_scope_id, change.from_stage, facts, now)
        if change.resumes:
            continue
        anchors = ("entry", "dwell") if change.playbook_mode == "full" else ("dwell",)
        definitions = playbook.of_stage(change.to_stage, anchors)
        planned += [
            action
            for action in _occurrences(playbook, definitions, change, change.scope_id, change.to_stage, facts, now)
            if action.survives_exit or action.interval_id not in left
        ]
    return planned


def _occurrences(
    playbook: Playbook,
    definitions: Iterable[Definition],
    change: StageChange,
    scope_id: UUID,
    stage: str,
    facts: CustomerFacts,
    now: datetime,
) -> list[PlannedAction]:
    cause = change.rule_id or change.kind
    readable = condition_facts(facts, stage, cause)
    planned = []
    for definition in definitions:
        due_at = _first_due(definition, facts.tier, change.effective_at, now)
        if due_at is None or not condition_holds(definition.condition, readable):
            continue
        planned.append(
            _first(
                playbook,
                definition,
                change.customer_id,
                facts,
                due_at,
                scope_id=None if definition.stage == "any" else scope_id,
                transition_id=change.transition_id,
                cause=cause,
            )
        )
    return planned


def _first(
    playbook: Playbook,
    definition: Definition,
    customer_id: UUID,
    facts: CustomerFacts,
    due_at: datetime,
    *,
    scope_id: UUID | None,
    transition_id: UUID | None,
    cause: str,
    occurrence: str = "1",
) -> PlannedAction:
    """The first occurrence of a definition. `scope_id` None: of the customer."""
    return PlannedAction(
        customer_id=customer_id,
        stage=definition.stage,
        scope=CUSTOMER_SCOPE if scope_id is None else str(scope_id),
        interval_id=scope_id,
        transition_id=transition_id,
        cause=cause,
        key=definition.key,
        occurrence=occurrence,
        kind=definition.kind,
        action_class=definition.action_class,
        measure=definition.measure,
        channel=definition.channel,
        owner=owner_of(definition, facts.owner),
        due_at=due_at,
        expires_at=due_at + definition.expires_after,
        survives_exit=definition.survives_exit,
        playbook_version=playbook.version,
    )


def plan_freezes(
    playbook: Playbook,
    frozen: Iterable[tuple[UUID, UUID, datetime]],
    customers: Mapping[UUID, tuple[CustomerFacts, str]],
    now: datetime,
    zone: ZoneInfo,
) -> list[PlannedAction]:
    """The actions that begin when the rules are switched off: `frozen` holds (customer, transition, until).

    `customers`: facts and present stage. A freeze that is over already starts nothing. The local day on which it ends is
    the occurrence, so that each freeze starts everything once.
    """
    definitions = playbook.of_stage("any", ("freeze",))
    planned = []
    for customer_id, transition_id, until in frozen:
        if customer_id not in customers or until <= now:
            continue
        facts, stage = customers[customer_id]
        readable = condition_facts(facts, stage, FROZEN)
        occurrence = until.astimezone(zone).date().isoformat()
        planned += [
            _first(
                playbook,
                definition,
                customer_id,
                facts,
                now + definition.offset.of(facts.tier),
                scope_id=None,
                transition_id=transition_id,
                cause=FROZEN,
                occurrence=occurrence,
            )
            for definition in definitions
            if condition_holds(definition.condition, readable)
        ]
    return planned


def condition_facts(facts: CustomerFacts, stage: str, cause: str | None) -> dict[str, Any]:
    """What a condition may read."""
    return {"segment": facts.segment, "tier": facts.tier, "kind": facts.kind, "stage": stage, "reason": cause}


def _first_due(definition: Definition, tier: str, anchor_at: datetime, now: datetime) -> datetime | None:
    """When the first occurrence is due, or None if that is so long past that it would be skipped as late."""
    due_at = anchor_at + definition.offset.of(tier)
    if due_at + definition.expires_after >= now:
        return due_at
    return None if definition.every is None else _not_before(due_at, definition.every.of(tier), now)


def following(done: PlannedAction, definition: Definition, facts: CustomerFacts, now: datetime) -> PlannedAction | None:
    """The occurrence after `done`, due one step later or at the first step that is not past; None without `every`."""
    if definition.every is None:
        return None
    step = definition.every.of(facts.tier)
    due_at = _not_before(done.due_at + step, step, now)
    return replace(
        done,
        occurrence=str(int(done.occurrence) + 1),
        owner=owner_of(definition, facts.owner),
        due_at=due_at,
        expires_at=due_at + definition.expires_after,
    )


def _not_before(due_at: datetime, step: timedelta, now: datetime) -> datetime:
    missed = max(0, math.ceil((now - due_at) / step))
    return due_at + missed * step
