"""Trying versions on everybody: which documents they are, and whether they can be used together."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, tuple_

from app.allocation.engine.policy import unmatched_classes
from app.allocation.engine.problems import InvalidDocument
from app.allocation.engine.views import contradictory_certainties, excessive_returns
from app.allocation.models import AllocationVersion
from app.allocation.versions.drafts import documents_in_force
from app.allocation.versions.store import Executor, InForce, in_force, parse, together
from app.errors import FieldProblem, Problem, invalid

_TABLE = AllocationVersion.__table__


async def documents_to_try(executor: Executor, versions: Mapping[str, int | None]) -> dict[str, Any]:
    """The documents of these versions by kind; 422 that names the version if there is none, if it does not work with
    this version of the service, or if they cannot be used together."""
    wanted = {kind: version for kind, version in versions.items() if version is not None}
    if not wanted:
        return {}
    found = await executor.execute(
        select(_TABLE.c.kind, _TABLE.c.body).where(tuple_(_TABLE.c.kind, _TABLE.c.version).in_(wanted.items()))
    )
    bodies = {row.kind: row.body for row in found}
    for kind, body in ((kind, bodies.get(kind)) for kind in wanted):
        if body is None:
            raise invalid(f"/with/{kind}", "unknown_version", "There is no such version.")
        try:
            parse(kind, body)
        except InvalidDocument as error:
            detail = f"This version does not work with this version of the service: {error.problems[0].detail}."
            raise invalid(f"/with/{kind}", "unusable", detail) from error
    _refuse_unusable(documents_in_force(await in_force(executor)), bodies)
    return bodies


def _refuse_unusable(present: Mapping[str, Any], bodies: Mapping[str, Any]) -> None:
    documents = {**present, **{kind: parse(kind, body) for kind, body in bodies.items()}}
    assumptions, views = documents["assumptions"], documents["views"]
    problems = [p for p in unmatched_classes(documents["policy"], assumptions) if p.code == "missing_cash_class"]
    problems += [*contradictory_certainties(views, assumptions), *excessive_returns(views, assumptions)]
    if problems:
        fields = [FieldProblem(pointer="/with", code=p.code, detail=f"{p.pointer}: {p.detail}") for p in problems]
        raise Problem("invalid", "These versions cannot be used together.", fields[:100])


def tried(rules: InForce, bodies: Mapping[str, Any]) -> InForce:
    """What would be in force with these documents instead; the versions that it names stay those in force."""
    if not bodies:
        return rules
    documents = {**documents_in_force(rules), **{kind: parse(kind, body) for kind, body in bodies.items()}}
    return together(documents, rules.versions, rules.questionnaire_digest)
