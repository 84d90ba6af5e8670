"""Writing versions of the policy: drafts, their changes, and their publication."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import FieldProblem, Problem, invalid, not_found
from app.lifecycle.models import LifecyclePolicy
from app.lifecycle.policies import digest
from app.lifecycle.versions.review import Remark, problems_of
from app.operations.models import Operation
from app.operations.service import OPEN

ROLLOUT = "policy_rollout"
"""Kind of the operation that brings a published version to the customers."""

IN_BODY = "/document"
"""Where the document stands in the body of a request."""

# One writer of versions at a time: numbers are dense, and no version is published below another one.
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('lifecycle_policies'))")


async def create_draft(
    session: AsyncSession,
    *,
    name: str | None,
    document: Mapping[str, Any] | None,
    note: str | None,
    based_on: int | None,
    actor: str,
    now: datetime,
) -> LifecyclePolicy:
    """Store a draft under the next number. Without `document` it is a copy of the version `based_on`.

    422 with every problem of the document, or if `based_on` does not exist.
    """
    await session.execute(ONE_AT_A_TIME)
    base = None if based_on is None else await session.get(LifecyclePolicy, based_on)
    if based_on is not None and base is None:
        raise invalid("/based_on", "unknown_version", "There is no such version.")
    body = _named(document if document is not None else base.body if base else {}, name, base.name if base else None)
    last = await session.scalar(select(func.max(LifecyclePolicy.version)))
    draft = LifecyclePolicy(
        version=(last or 0) + 1,
        name=body["name"],
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


def _named(document: Mapping[str, Any], name: str | None, former: str | None) -> dict[str, Any]:
    """The document under its name: the one given, its own, or the former one; 422 if it is none or has problems."""
    found = name or document.get("name") or former
    if found is None:
        raise invalid("/name", "missing", "A name is needed, here or in the document.")
    body = {**document, "name": found}
    problems = problems_of(body)
    if problems:
        raise Problem("invalid", "This is not a policy that could work.", as_fields(problems))
    return body


def as_fields(problems: list[Remark]) -> list[FieldProblem]:
    """Problems of a document as problems of a request that holds it."""
    return [FieldProblem(pointer=IN_BODY + p.pointer, code=p.code, detail=p.detail) for p in problems[:100]]


async def open_draft(session: AsyncSession, version: int) -> LifecyclePolicy:
    """A draft, locked; 404 if there is no such version, 409 `policy_published` if it cannot change any more."""
    draft = await session.get(LifecyclePolicy, version, with_for_update=True, populate_existing=True)
    if draft is None:
        raise not_found("policy version")
    if draft.status != "draft":
        raise Problem("policy_published", "Copy it into a new draft: POST /v1/lifecycle/policies with based_on.")
    return draft


async def replace_draft(
    session: AsyncSession,
    draft: LifecyclePolicy,
    *,
    name: str | None,
    document: Mapping[str, Any],
    note: str | None,
    actor: str,
    now: datetime,
) -> None:
    """Put another document in the place of a locked draft's; 422 with every problem that it has."""
    draft.body = _named(document, name, draft.name)
    draft.name = draft.body["name"]
    draft.digest = digest(draft.body)
    draft.note = note
    draft.revision += 1
    draft.updated_at, draft.updated_by = now, actor
    await session.flush()


async def begin_publishing(session: AsyncSession, version: int) -> LifecyclePolicy:
    """The draft to publish, locked against every other publication; 409 if it cannot be published any more."""
    await session.execute(ONE_AT_A_TIME)
    draft = await open_draft(session, version)
    present = await in_force(session)
    if present is not None and present > version:
        raise Problem(
            "policy_superseded",
            f"Version {present} is in force. Copy this draft into a new one: POST /v1/lifecycle/policies with based_on.",
        )
    return draft


async def refuse_rollout(session: AsyncSession, version: int) -> None:
    """Nothing if the version is in force and no rollout of it is under way; 404, or 409 that says what stands against it."""
    await session.execute(ONE_AT_A_TIME)
    policy = await session.get(LifecyclePolicy, version)
    if policy is None:
        raise not_found("policy version")
    if policy.status == "draft":
        raise Problem("conflict", "A draft is published first.")
    if version != await in_force(session):
        raise Problem("policy_superseded", "Only the version in force can be rolled out.")
    if await last_rollout(session, version) in OPEN:
        raise Problem("conflict", "A rollout of this version is under way.")


async def in_force(session: AsyncSession) -> int | None:
    """The published version with the highest number."""
    found: int | None = await session.scalar(
        select(func.max(LifecyclePolicy.version)).where(LifecyclePolicy.status == "published")
    )
    return found


async def last_rollout(session: AsyncSession, version: int) -> str | None:
    """Status of the latest rollout of a version, None if there was none."""
    found: str | None = await session.scalar(
        select(Operation.status)
        .where(Operation.kind == ROLLOUT, Operation.params["version"].as_integer() == version)
        .order_by(Operation.created_at.desc(), Operation.id.desc())
        .limit(1)
    )
    return found


async def publish_draft(
    session: AsyncSession, draft: LifecyclePolicy, *, actor: str, four_eyes: bool, now: datetime
) -> None:
    """Make a locked draft the policy in force. Which customers it applies to by then: rollout.py.

    409 `second_person_needed` if `four_eyes` is wanted and `actor` made or last changed the draft; 409 `conflict` with
    the problems if the service has changed so that the document does not work any more.
    """
    if four_eyes and actor in (draft.created_by, draft.updated_by):
        raise Problem("second_person_needed", "Whoever made or last changed a draft may not publish it.")
    problems = problems_of(draft.body)
    if problems:
        raise Problem("conflict", "The draft does not work with this version of the service.", as_fields(problems))
    draft.status = "published"
    draft.revision += 1
    draft.published_at, draft.published_by = now, actor
    await session.flush()
