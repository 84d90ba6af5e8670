"""Where a customer stands, and what a step makes of it. Pure.

The service and the simulation both turn what they hold into these, so that a replay follows exactly the steps that were
taken live.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from app.lifecycle.core.ledger import Known, State
from app.lifecycle.core.rules import RETURNS_BEFORE_FREEZE, Decision, Subject
from app.lifecycle.core.stages import EPOCH_ORDINAL, Stage

PIN_BY_HAND = timedelta(days=30)
"""How long a stage chosen by hand is protected from the rules."""
REMEMBERED = 3
"""Steps behind the last one that can be taken back too, one after the other."""
RETURNED_WITHIN = 60
"""Days: a step back to a stage that was left so recently is a return."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A customer's place in the lifecycle, without what is known of them.

    `entered_at`: begin of the stay, also of one that a correction resumed; `changed_at`: effective moment of the last
    step. `recent`: returns of the last 60 days, [local day, stage]. `former`: what stands again if the last step is
    corrected, None if it cannot be.
    """

    stage: str
    entered_at: datetime
    changed_at: datetime
    policy_version: int
    cycle: int = 1
    stage_before: str | None = None
    entered_by: str | None = None
    last_trial_ended_at: datetime | None = None
    last_automatic_at: datetime | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)
    recent: Sequence[Sequence[Any]] = ()
    confirming: Mapping[str, float] = field(default_factory=dict)
    pinned_until: datetime | None = None
    former: "Former | None" = None


@dataclass(frozen=True, slots=True)
class Former:
    """What led to the present stage, and where the customer stood before: kept so that it can be taken back.

    `evaluated_at` and `position`: the moment that was judged, and up to which input everything was known. `scope`: the
    interval whose actions went on then.
    """

    rule_id: str
    policy_version: int
    sequence: int
    evaluated_at: datetime
    position: int
    scope: str
    standing: Standing


@dataclass(frozen=True, slots=True)
class Stride:
    """A step to take. `kind`: automatic, manual, import, merge or correction; `back`: to the stage before, resumed."""

    to: str
    kind: str
    rule_id: str | None
    evaluated_at: datetime
    effective_at: datetime
    entry: Mapping[str, Any]
    new_cycle: bool = False


def local_day(moment: datetime, zone: ZoneInfo) -> int:
    """Number of the local day of a moment."""
    return moment.astimezone(zone).toordinal() - EPOCH_ORDINAL


@lru_cache(maxsize=4096)
def midnight(day: int, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which a local day begins."""
    return datetime.fromordinal(day + EPOCH_ORDINAL).replace(tzinfo=zone).astimezone(UTC)


def state_of(standing: Standing, zone: ZoneInfo) -> State:
    """The standing as facts read it."""
    trial = standing.last_trial_ended_at
    return State(
        stage=standing.stage,
        entered_day=local_day(standing.entered_at, zone),
        entered_at=standing.entered_at.timestamp(),
        stage_before=standing.stage_before,
        entered_by=standing.entered_by,
        last_trial_ended_day=None if trial is None else local_day(trial, zone),
        entry=standing.entry,
        recent=standing.recent,
    )


def is_held(known: Known) -> bool:
    """Whether the profile says that the customer is on hold."""
    return "holds" in known.marks and bool(known.marks["holds"][2])


def frozen_until(standing: Standing, today: int, zone: ZoneInfo) -> datetime | None:
    """When the freeze ends that three returns within 60 days brought, None if there is none."""
    if not standing.recent:
        return None
    fresh = sorted(day for day, _ in standing.recent if today - day <= RETURNED_WITHIN)
    if len(fresh) < RETURNS_BEFORE_FREEZE:
        return None
    return midnight(fresh[-RETURNS_BEFORE_FREEZE] + RETURNED_WITHIN + 1, zone)


def unbound_at(standing: Standing, at: datetime, zone: ZoneInfo) -> datetime | None:
    """When a pin or a freeze ends, the first of them that lies ahead."""
    if standing.pinned_until is None and not standing.recent:
        return None
    ends = (standing.pinned_until, frozen_until(standing, local_day(at, zone), zone))
    return min((end for end in ends if end is not None and end > at), default=None)


def freed(standing: Standing, at: datetime, zone: ZoneInfo) -> bool:
    """Whether a pin or a freeze ends at this very moment."""
    if standing.pinned_until == at:
        return True
    return bool(standing.recent) and frozen_until(standing, local_day(at, zone) - 1, zone) == at


def subject_of(standing: Standing, known: Known, at: datetime, zone: ZoneInfo) -> Subject:
    """The customer as `decide` wants it."""
    last = standing.last_automatic_at
    return Subject(
        known=known,
        bound=is_held(known) or unbound_at(standing, at, zone) is not None,
        confirming=standing.confirming,
        last_automatic_at=None if last is None else last.timestamp(),
    )


def next_look(standing: Standing, decision: Decision, at: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which time alone may change a decision that moved nobody."""
    moment = midnight(decision.look_again_day, zone)
    if decision.look_again_at is not None:
        moment = min(moment, datetime.fromtimestamp(decision.look_again_at, UTC))
    free = unbound_at(standing, at, zone)
    return moment if free is None else min(moment, free)


def returned(standing: Standing, to: str, today: int, zone: ZoneInfo) -> bool:
    """Whether a step is a return: back to the stage just left, within 60 days."""
    return to == standing.stage_before and today - local_day(standing.entered_at, zone) < RETURNED_WITHIN


def stepped(standing: Standing, stride: Stride, zone: ZoneInfo) -> Standing:
    """The standing after a step; `former` is the caller's to set, who knows positions."""
    if stride.kind == "correction":
        return _corrected(standing, stride)
    today = local_day(stride.evaluated_at, zone)
    effective = max(stride.effective_at, standing.changed_at)
    recent = [list(r) for r in standing.recent if today - r[0] <= RETURNED_WITHIN]
    if returned(standing, stride.to, today, zone):
        recent.append([today, stride.to])
    pinned = standing.pinned_until
    return Standing(
        stage=stride.to,
        entered_at=effective,
        changed_at=effective,
        policy_version=standing.policy_version,
        cycle=standing.cycle + int(stride.new_cycle),
        stage_before=standing.stage,
        entered_by=stride.rule_id,
        last_trial_ended_at=effective if standing.stage == Stage.TRIAL else standing.last_trial_ended_at,
        last_automatic_at=stride.evaluated_at if stride.kind == "automatic" else standing.last_automatic_at,
        entry={**stride.entry, **_decline_ended(standing, effective)},
        recent=recent,
        pinned_until=stride.evaluated_at + PIN_BY_HAND if stride.kind == "manual" else pinned,
    )


def _corrected(standing: Standing, stride: Stride) -> Standing:
    """The former standing again, from now on: the stay goes on as if it had not been left.

    Confirm windows begin anew: that of the rule was broken, as is known by now.
    """
    assert standing.former is not None
    return replace(
        standing.former.standing,
        changed_at=max(stride.effective_at, standing.changed_at),
        confirming={},
        policy_version=standing.policy_version,
        pinned_until=standing.pinned_until,
    )


def _decline_ended(standing: Standing, effective: datetime) -> dict[str, float]:
    """When the customer last came out of decline, epoch seconds: noted at the step, and carried on through later ones."""
    if standing.stage == Stage.DECLINE:
        return {"decline_ended": effective.timestamp()}
    return {"decline_ended": standing.entry["decline_ended"]} if "decline_ended" in standing.entry else {}


def remembered(standing: Standing, depth: int = REMEMBERED) -> Standing:
    """The standing with no more than the last steps behind it, so that what is stored of a life does not grow with it."""
    former = standing.former
    if former is not None:
        former = replace(former, standing=remembered(former.standing, depth - 1)) if depth > 1 else None
    return replace(standing, former=former, pinned_until=None)


_TIMES = ("entered_at", "changed_at", "last_trial_ended_at", "last_automatic_at")


def former_document(former: Former) -> dict[str, Any]:
    """A JSON value to store."""
    held = {name: getattr(former.standing, name) for name in Standing.__dataclass_fields__}
    del held["pinned_until"]
    for name in _TIMES:
        held[name] = None if held[name] is None else held[name].isoformat()
    held["former"] = None if former.standing.former is None else former_document(former.standing.former)
    named = {name: getattr(former, name) for name in Former.__dataclass_fields__}
    return {**named, "evaluated_at": former.evaluated_at.isoformat(), "standing": held}


def former_of(document: Mapping[str, Any] | None) -> Former | None:
    """What `former_document` stored."""
    if document is None:
        return None
    held = dict(document["standing"])
    for name in _TIMES:
        held[name] = None if held[name] is None else datetime.fromisoformat(held[name])
    held["former"] = former_of(held["former"])
    at = datetime.fromisoformat(document["evaluated_at"])
    return Former(**{**document, "evaluated_at": at, "standing": Standing(**held)})
