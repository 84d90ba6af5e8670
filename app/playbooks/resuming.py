"""How the actions of an earlier stay go on when a correction or a false alarm resumes it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.events import StageChange
from app.playbooks.definition import Definition, Playbook
from app.playbooks.plan import CORRECTION, CustomerFacts, PlannedAction, following


@dataclass(frozen=True, slots=True)
class Latest:
    """The last stored occurrence of an action in one scope. `called_off`: cancelled because the stage was left."""

    id: UUID
    action: PlannedAction
    status: str
    called_off: bool


@dataclass(frozen=True, slots=True)
class Resumption:
    """What becomes of stored actions when earlier stays go on.

    `again`: planned again, at a moment; `undone`: called off; `following`: new occurrences.
    """

    again: list[tuple[UUID, datetime]]
    undone: list[UUID]
    following: list[PlannedAction]


def resume(
    change: StageChange, stay: Iterable[Latest], books: Mapping[int, Playbook], facts: CustomerFacts, now: datetime
) -> Resumption:
    """How the actions of a stay go on that `change` resumes. What was done stays done.

    What leaving had called off is planned again: for its time, or for now if that is past but not too late. A series goes
    on with the next occurrence where the last has ended meanwhile, or is too late. A correction undoes what the exit that
    it takes back had started and what is still to come of it.
    """
    found = Resumption([], [], [])
    for last in stay:
        definition = books[last.action.playbook_version].find(last.action.key)
        if definition.anchor == "exit":
            if change.kind == CORRECTION and last.status == "planned":
                found.undone.append(last.id)
        elif not _wanted(definition, change.playbook_mode):
            continue
        elif last.called_off and last.action.expires_at >= now:
            found.again.append((last.id, max(last.action.due_at, now)))
        elif last.status not in ("planned", "claimed"):
            upcoming = following(last.action, definition, facts, now)
            if upcoming is not None:
                found.following.append(upcoming)
    return found


def _wanted(definition: Definition, playbook_mode: str) -> bool:
    return playbook_mode == "full" or (playbook_mode == "dwell_only" and definition.anchor != "entry")
