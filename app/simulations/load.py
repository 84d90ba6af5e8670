"""How many messages and tasks a way through the stages would plan, day by day. Pure.

Planned, and not yet through the gate: consents, caps and quiet hours take some of them away.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from uuid import UUID, uuid4

from app.events import StageChange
from app.playbooks.definition import INTERNAL_KINDS, Playbook
from app.playbooks.plan import CustomerFacts, PlannedAction, following, plan
from app.simulations.comparing import Path, Period, Taken

Window = tuple[datetime, datetime | None]
"""Begin and end of a stay; no end while it lasts."""


def due_days(path: Path, facts: CustomerFacts, playbook: Playbook, period: Period) -> Iterator[tuple[date, bool]]:
    """The local day of every action that falls due within the period, and whether it is a task of the institution."""
    seen: set[tuple[str, str, str]] = set()
    changes, windows = _stays(path)
    for change in changes:
        for action in plan(playbook, {}, [change], {path.customer_id: facts}, change.evaluated_at):
            stay = windows.get(action.interval_id, []) if action.interval_id is not None else []
            for moment, due in _occurrences(action, playbook, facts, stay, period.end):
                key = (due.scope, due.key, due.occurrence)
                if key not in seen and moment >= period.begin:
                    seen.add(key)
                    yield moment.astimezone(period.zone).date(), due.kind in INTERNAL_KINDS


def _occurrences(
    action: PlannedAction, playbook: Playbook, facts: CustomerFacts, stay: Sequence[Window], end: datetime
) -> Iterator[tuple[datetime, PlannedAction]]:
    """When each occurrence is due. A stay that is resumed takes up what became due meanwhile, if that is not too late."""
    definition = playbook.find(action.key)
    due: PlannedAction | None = action
    while due is not None and due.due_at <= end:
        moment = due.due_at if action.survives_exit or not stay else _within(due, stay)
        if moment is not None and moment <= end:
            yield moment, due
        due = following(due, definition, facts, due.due_at)


def _within(due: PlannedAction, stay: Sequence[Window]) -> datetime | None:
    for begin, left_at in stay:
        moment = max(due.due_at, begin)
        if moment <= due.expires_at and (left_at is None or moment < left_at):
            return moment
    return None


def _stays(path: Path) -> tuple[list[StageChange], dict[UUID, list[Window]]]:
    """Every beginning of a stay, and by scope when the customer was in it."""
    scopes = [uuid4()]  # of the stays that count: a correction takes the last one away
    leaving = [*(step.effective_at for step in path.steps), None]
    changes = [_change(path, None, scopes[0], None)]
    windows: dict[UUID, list[Window]] = {scopes[0]: [(path.began_at, leaving[0])]}
    for n, step in enumerate(path.steps, 1):
        left = scopes[-1]
        if step.kind == "correction":
            scopes = scopes[:-1] or scopes
        else:
            scopes.append(scopes[-2] if step.resumes and len(scopes) > 1 else uuid4())
        changes.append(_change(path, step, scopes[-1], left))
        windows.setdefault(scopes[-1], []).append((step.effective_at, leaving[n]))
    return changes, windows


def _change(path: Path, step: Taken | None, scope: UUID, left: UUID | None) -> StageChange:
    return StageChange(
        customer_id=path.customer_id,
        transition_id=None,
        interval_id=uuid4() if step is not None and step.resumes else scope,
        sequence=0,
        from_stage=None if step is None else step.from_stage,
        to_stage=path.began_in if step is None else step.to_stage,
        kind="created" if step is None else step.kind,
        rule_id=None if step is None else step.rule_id,
        policy_version=0,
        reason=None,
        actor="simulation",
        facts={},
        effective_at=path.began_at if step is None else step.effective_at,
        evaluated_at=path.began_at if step is None else step.evaluated_at,
        scope_id=scope,
        left_interval_id=left,
        left_scope_id=left,
    )
