"""Writing versions of what portfolios follow from: drafts, their changes, and their publication."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.engine.problems import Problem as DocumentProblem
from app.allocation.models import AllocationVersion
from app.allocation.versions.review import Finding, findings, problems_of
from app.allocation.versions.store import Executor, InForce, Kind, digest, in_force, parse
from app.errors import FieldProblem, Problem, invalid, not_found
from app.events import AllocationVersionPublished, publish

IN_BODY = "/document"
"""Where the document stands in the body of a request."""

NAMED_BY: Mapping[Kind, str] = {
    "assumptions": "name",
    "views": "version",
    "policy": "version",
    "questionnaire": "version",
}
"""The member of a document that holds its name."""

# One writer of versions at a time: numbers are dense, no version is published below another one, and what goes together
# with the others still does when it comes into force.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('allocation_versions'))")
_TABLE = AllocationVersion.__table__


async def create_draft(
    session: AsyncSession,
    kind: Kind,
    *,
    name: str | None,
    document: Mapping[str, Any] | None,
    note: str | None,
    based_on: int | None,
    actor: str,
    now: datetime,
) -> AllocationVersion:
    """Store a draft under the next number of its kind. Without `document` it is a copy of the version `based_on`.

    422 with every problem of the document, or if `based_on` does not exist.
    """
    await session.execute(_ONE_AT_A_TIME)
    base = None if based_on is None else await session.get(AllocationVersion, (kind, based_on))
    if based_on is not None and base is None:
        raise invalid("/based_on", "unknown_version", "There is no such version.")
    found = document if document is not None else base.body if base else {}
    body = await asyncio.to_thread(_named, kind, found, name, base.name if base else None)
    last = await session.scalar(select(func.max(_TABLE.c.version)).where(_TABLE.c.kind == kind))
    draft = AllocationVersion(
        kind=kind,
        version=(last or 0) + 1,
        name=body[NAMED_BY[kind]],
        status="draft",
        body=body,
        digest=digest(body),
        note=note,
        revision=1,
        created_at=now,
        created_by=actor,
    )
    session.add(draft)
    await session.flush()
    return draft


def _named(kind: Kind, document: Mapping[str, Any], name: str | None, former: str | None) -> dict[str, Any]:
    """The document under its name: the one given, its own, or the former one; 422 if it is none or has problems."""
    member = NAMED_BY[kind]
    found = name or document.get(member) or former
    if found is None:
        raise invalid("/name", "missing", "A name is needed, here or in the document.")
    body = {**document, member: found}
    problems = problems_of(kind, body)
    if problems:
        raise Problem("invalid", "This is not a document that could be used.", as_fields(problems))
    return body


def as_fields(problems: Sequence[DocumentProblem | Finding]) -> list[FieldProblem]:
    """Problems of a document as problems of a request that holds it."""
    return [FieldProblem(pointer=IN_BODY + p.pointer, code=p.code, detail=p.detail) for p in problems]


async def open_draft(session: AsyncSession, kind: Kind, version: int) -> AllocationVersion:
    """A draft, locked; 404 if there is no such version, 409 `version_published` if it cannot change any more."""
    draft = await session.get(AllocationVersion, (kind, version), with_for_update=True, populate_existing=True)
    if draft is None:
        raise not_found("version")
    if draft.status != "draft":
        raise Problem("version_published", "Copy it into a new draft, with based_on.")
    return draft


async def replace_draft(
    session: AsyncSession,
    draft: AllocationVersion,
    kind: Kind,
    *,
    name: str | None,
    document: Mapping[str, Any],
    note: str | None,
    actor: str,
    now: datetime,
) -> None:
    """Put another document in the place of a locked draft's; 422 with every problem that it has."""
    draft.body = await asyncio.to_thread(_named, kind, document, name, draft.name)
    draft.name = draft.body[NAMED_BY[kind]]
    draft.digest = digest(draft.body)
    draft.note = note
    draft.revision += 1
    draft.updated_at, draft.updated_by = now, actor
    await session.flush()


async def begin_publishing(session: AsyncSession, kind: Kind, version: int) -> AllocationVersion:
    """The draft to publish, locked against every other publication; 409 if it cannot be published any more."""
    await session.execute(_ONE_AT_A_TIME)
    draft = await open_draft(session, kind, version)
    published = select(func.max(_TABLE.c.version)).where(_TABLE.c.kind == kind, _TABLE.c.status == "published")
    present = await session.scalar(published)
    if present is not None and present > version:
        raise Problem("version_superseded", f"Version {present} is in force. Copy this draft into a new one.")
    return draft


async def publish_draft(
    session: AsyncSession, draft: AllocationVersion, kind: Kind, *, actor: str, four_eyes: bool, now: datetime
) -> list[Finding]:
    """Bring a locked draft into force, and tell of it; returns what is to be said about it nevertheless.

    409 `second_person_needed` if `four_eyes` is wanted and `actor` made or last changed the draft; 409 `conflict` with
    the problems if the service has changed so that the document does not work any more; 422 with what does not go
    together with the other documents in force, or would leave customers without a portfolio (`blockers`).
    """
    if four_eyes and actor in (draft.created_by, draft.updated_by):
        raise Problem("second_person_needed", "Whoever made or last changed a draft may not publish it.")
    problems = problems_of(kind, draft.body)
    if problems:
        raise Problem("conflict", "The draft does not work with this version of the service.", as_fields(problems))
    found = await judge(session, kind, draft.body)
    blocking = [finding for finding in found if finding.blocks_publishing]
    if blocking:
        data = [dict(finding.data) for finding in blocking if finding.data is not None]
        detail = "The draft does not go together with what is in force."
        raise Problem("invalid", detail, as_fields(blocking), blockers=data or None)
    draft.status = "published"
    draft.revision += 1
    draft.published_at, draft.published_by = now, actor
    await session.flush()
    publish(session, AllocationVersionPublished(now, kind, draft.version))
    return found


async def judge(executor: Executor, kind: Kind, body: Mapping[str, Any]) -> list[Finding]:
    """How a valid document goes together with what is in force."""
    rules = await in_force(executor)
    documents = {**documents_in_force(rules), kind: parse(kind, body)}
    taken = await _name_taken(executor, kind, body)
    return taken + await asyncio.to_thread(findings, kind, documents, rules.published.currency)


def documents_in_force(rules: InForce) -> dict[str, Any]:
    """The parsed documents in force, by kind."""
    return {
        "assumptions": rules.published,
        "views": rules.views,
        "policy": rules.policy,
        "questionnaire": rules.questionnaire,
    }


async def _name_taken(executor: Executor, kind: Kind, body: Mapping[str, Any]) -> list[Finding]:
    """Records show the name of a policy, views or questionnaire, so that it must not mean two documents."""
    member = NAMED_BY[kind]
    if member == "name":
        return []
    same_name = select(func.max(_TABLE.c.version)).where(
        _TABLE.c.kind == kind,
        _TABLE.c.status == "published",
        _TABLE.c.name == body[member],
        _TABLE.c.digest != digest(body),
    )
    version = (await executor.execute(same_name)).scalar()
    if version is None:
        return []
    detail = f"version {version} was published under this name with another document"
    return [Finding(f"/{member}", "name_taken", detail, blocks_publishing=True)]
