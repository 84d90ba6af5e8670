"""Whether an action that is due may happen, decided at the moment of doing it. Pure.

The order is fixed: still in the interval, or survives it -> hold -> consent -> expired -> somebody can do it. The first
refusal is the one that is stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

PERMITTED: Mapping[str, frozenset[str]] = {
    "deceased": frozenset(),
    "compliance": frozenset({"regulatory", "service"}),
    "dispute": frozenset({"regulatory", "service", "retention"}),
    "vulnerable": frozenset({"regulatory", "service", "care"}),
}
"""The classes of actions that each hold still permits. A vulnerable customer is not met with silence."""

ESTATE = "estate"
"""Key of the one task that the death of a customer starts rather than stops."""

BY_CONTRACT = frozenset({"regulatory", "service"})
"""Classes that rest on contract or law, not on consent."""

_PURPOSE = {"survey": "survey"}  # of what needs consent, everything else is marketing


@dataclass(frozen=True, slots=True)
class Due:
    """An action that is due, and what the gate must know of its customer."""

    key: str
    kind: str
    action_class: str
    channel: str | None
    interval_id: UUID | None
    survives_exit: bool
    expires_at: datetime
    current_interval_id: UUID | None
    holds: Sequence[str]
    consents: Iterable[Mapping[str, Any]]
    condition_holds: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a due action.

    `list` puts a task on the adviser's list, `deliver` puts a message in the inbox, `hand_over` tells the
    institution's own provider, `skip` does nothing. `reason` is set for the last two.
    """

    step: Literal["list", "deliver", "hand_over", "skip"]
    reason: str | None = None


def in_interval(interval_id: UUID | None, current_interval_id: UUID | None) -> bool:
    """Whether an action's interval is the one that goes on for the customer, be it resumed; one of none belongs to all."""
    return interval_id is None or interval_id == current_interval_id


def judge(due: Due, now: datetime) -> Verdict:
    """The verdict on one due action at `now`."""
    reason = _refusal(due, now)
    if reason is not None:
        return Verdict("skip", reason)
    if due.kind == "task":
        return Verdict("list")
    if due.kind == "message" and due.channel == "in_app":
        return Verdict("deliver")
    return Verdict("hand_over", "no_provider")


def _refusal(due: Due, now: datetime) -> str | None:
    if not (due.survives_exit or in_interval(due.interval_id, due.current_interval_id)):
        return "left_stage"
    if not due.condition_holds:
        return "not_applicable"
    hold = _forbidding_hold(due)
    if hold is not None:
        return f"hold_{hold}"
    if due.channel is not None and due.action_class not in BY_CONTRACT and not _consented(due):
        return "no_consent"
    return "late" if now > due.expires_at else None


def _forbidding_hold(due: Due) -> str | None:
    """The first hold, by name, that forbids the action; a hold that is not known here forbids everything."""
    for hold in sorted(due.holds):
        if hold == "deceased" and due.key == ESTATE:
            continue
        if due.action_class not in PERMITTED.get(hold, frozenset()):
            return hold
    return None


def _consented(due: Due) -> bool:
    purpose = _PURPOSE.get(due.action_class, "marketing")
    return any(c["channel"] == due.channel and c["purpose"] == purpose and c["granted"] for c in due.consents)
