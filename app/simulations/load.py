"""How many messages and tasks a way through the stages would plan, day by day. Pure.

Planned, and not yet through the gate: consents, caps and quiet hours take some of them away.
"""

from collections.abc import Iterator
from datetime import date, datetime
from uuid import UUID, uuid4

from app.events import StageChange
from app.playbooks.definition import INTERNAL_KINDS, Playbook
from app.playbooks.plan import CustomerFacts, PlannedAction, following, plan
from app.simulations.comparing import Path, Period, Taken


def due_days(path: Path, facts: CustomerFacts, playbook: Playbook, period: Period) -> Iterator[tuple[date, bool]]:
    """The local day of every action that falls due within the period, and whether it is a task of the institution."""
    seen: set[tuple[str, str, str]] = set()
    for change, left_at in _changes(path):
        for action in plan(playbook, {}, [change], {path.customer_id: facts}, change.evaluated_at):
            for due in _occurrences(action, playbook, facts, left_at, period.end):
                key = (due.scope, due.key, due.occurrence)
                if key not in seen and due.due_at >= period.begin:
                    seen.add(key)
                    yield due.due_at.astimezone(period.zone).date(), due.kind in INTERNAL_KINDS


def _occurrences(
    action: PlannedAction, playbook: Playbook, facts: CustomerFacts, left_at: datetime | None, end: datetime
) -> Iterator[PlannedAction]:
    definition = playbook.find(action.key)
    ends = end if left_at is None or action.survives_exit else min(left_at, end)
    due: PlannedAction | None = action
    while due is not None and due.due_at <= ends:
        yield due
        due = following(due, definition, facts, due.due_at)


def _changes(path: Path) -> Iterator[tuple[StageChange, datetime | None]]:
    """Every beginning of a stay, with its end."""
    scopes = [uuid4()]
    leaving = [*(step.effective_at for step in path.steps), None]
    yield _change(path.customer_id, None, path, scopes), leaving[0]
    for n, step in enumerate(path.steps, 1):
        scopes.append(scopes[-2] if step.resumes and len(scopes) > 1 else uuid4())
        yield _change(path.customer_id, step, path, scopes), leaving[n]


def _change(customer_id: UUID, step: Taken | None, path: Path, scopes: list[UUID]) -> StageChange:
    left = scopes[-2] if len(scopes) > 1 else None
    return StageChange(
        customer_id=customer_id,
        transition_id=None,
        interval_id=uuid4() if step is not None and step.resumes else scopes[-1],
        sequence=len(scopes) - 1,
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
        scope_id=scopes[-1],
        left_interval_id=left,
        left_scope_id=left,
    )
