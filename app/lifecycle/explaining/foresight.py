"""What will happen to a customer by time alone, up to the next step from stage to stage. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from app.lifecycle.core.rules import DAY, Subject
from app.lifecycle.explaining.explain import RuleStatus

Kind = Literal["holds", "moves"]


@dataclass(frozen=True, slots=True)
class Coming:
    """Something that comes by time alone, at a moment in epoch seconds: a rule begins to hold, or moves the customer."""

    at: float
    kind: Kind
    status: RuleStatus


def foresee(
    rules: Sequence[RuleStatus], subject: Subject, free_at: float, midnight: Callable[[int], float]
) -> list[Coming]:
    """What comes if nothing happens, soonest first, ending with the first step.

    `free_at`: when holds, pins and freezes no longer bind the subject, epoch seconds, infinite for never. `midnight`
    gives the beginning of a local day.
    """
    found = [coming for status in rules for coming in _of_rule(status, subject, free_at, midnight)]
    # A rule that fires is above one that merely begins to hold; of two that fire at once the first has the priority.
    found.sort(key=lambda coming: (coming.at, coming.kind == "moves"))
    steps = [i for i, coming in enumerate(found) if coming.kind == "moves"]
    return found[: steps[0] + 1] if steps else found


def _of_rule(status: RuleStatus, subject: Subject, free_at: float, midnight: Callable[[int], float]) -> list[Coming]:
    found: list[Coming] = []
    if status.to is None:
        return found
    now = subject.known.now
    for first, after in status.runs:
        is_now = first <= subject.known.today
        begin = (status.since or now) if is_now else midnight(first)
        due = max(now, _due(status, begin, subject, free_at))
        fires = due < (inf if after is None else midnight(after))
        if not is_now and due > begin:
            found.append(Coming(begin, "holds", status))
        if fires:
            return [*found, Coming(due, "moves", status)]
    return found


def _due(status: RuleStatus, begin: float, subject: Subject, free_at: float) -> float:
    """When a rule that holds from `begin` on may fire: confirmed, not twice within a day, and not bound."""
    rule = status.rule
    due = begin + rule.confirm_days * DAY
    if subject.last_automatic_at is not None and not (rule.always or rule.urgent):
        due = max(due, subject.last_automatic_at + DAY)
    return due if rule.always else max(due, free_at)
