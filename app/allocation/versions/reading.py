"""Reading versions in the API's shape, comparing them, and computing as if one were published."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.allocation.engine.problems import InvalidDocument
from app.allocation.models import AllocationVersion
from app.allocation.versions.differences import differences
from app.allocation.versions.drafts import as_fields, documents_in_force
from app.allocation.versions.review import repair_of
from app.allocation.versions.schemas import AllocationVersionQuery
from app.allocation.versions.store import Executor, InForce, Kind, in_force, parse, together
from app.errors import Problem, not_found
from app.pagination import decode_cursor, encode_cursor

_TABLE = AllocationVersion.__table__
_LEFT_OUT = ("kind", "body", "digest")

ComputedKind = Literal["assumptions", "views", "policy"]
"""What portfolios are computed from, beside the customer."""


def _in_force(kind: Kind) -> Any:
    found = select(func.max(_TABLE.c.version)).where(_TABLE.c.kind == kind, _TABLE.c.status == "published")
    return found.scalar_subquery()


def _columns(kind: Kind) -> list[Any]:
    columns = [c for c in _TABLE.c if c.name not in _LEFT_OUT]
    return [*columns, func.coalesce(_TABLE.c.version == _in_force(kind), False).label("in_force")]


def tag_of(revision: int, digest: str, *, in_force: bool = False) -> str:
    """What changes with a version. The number of a draft that was deleted can be given again, so it is no tag."""
    return f"{revision}-{digest}{'.in-force' if in_force else ''}"


async def list_versions(
    connection: AsyncConnection, kind: Kind, query: AllocationVersionQuery
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of versions, newest first, and the cursor of the next."""
    found: Select[Any] = select(*_columns(kind)).where(_TABLE.c.kind == kind)
    if query.status is not None:
        found = found.where(_TABLE.c.status == query.status)
    fingerprint = query.fingerprint(f"allocation-{kind}")
    if query.cursor is not None:
        [before] = decode_cursor(fingerprint, query.cursor, (int,))
        found = found.where(_TABLE.c.version < min(max(before, 0), 2**31 - 1))
    rows = (await connection.execute(found.order_by(_TABLE.c.version.desc()).limit(query.limit + 1))).mappings().all()
    items = [dict(row) for row in rows[: query.limit]]
    return items, encode_cursor(fingerprint, items[-1]["version"]) if len(rows) > query.limit else None


async def read_version(executor: Executor, kind: Kind, version: int) -> tuple[dict[str, Any], str]:
    """One version, whole, and its tag; 404 if there is none."""
    wanted = select(*_columns(kind), _TABLE.c.body, _TABLE.c.digest)
    found = await executor.execute(wanted.where(_TABLE.c.kind == kind, _TABLE.c.version == version))
    row = found.mappings().first()
    if row is None:
        raise not_found("version")
    shape = {key: value for key, value in row.items() if key not in _LEFT_OUT}
    tag = tag_of(row["revision"], row["digest"], in_force=row["in_force"])
    return {**shape, "document": row["body"], "repair": _repair(kind, row["body"])}, tag


def _repair(kind: Kind, document: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return repair_of(kind, document)
    except InvalidDocument:  # what was published once must stay readable
        return None


async def compare(connection: AsyncConnection, kind: Kind, version: int, against: int | None) -> dict[str, Any]:
    """What differs between two versions; 404 if one of them does not exist."""
    other = _in_force(kind) if against is None else against
    found = await connection.execute(
        select(_TABLE.c.version, _TABLE.c.body).where(
            _TABLE.c.kind == kind, (_TABLE.c.version == version) | (_TABLE.c.version == other)
        )
    )
    bodies: dict[int, Mapping[str, Any]] = {row.version: row.body for row in found}
    if version not in bodies:
        raise not_found("version")
    if against is None:  # the version itself, if that is the one in force
        against = next((known for known in bodies if known != version), version)
    if against not in bodies:
        raise not_found("version to compare with")
    changes = [asdict(change) for change in differences(bodies[against], bodies[version])]
    return {"version": version, "against": against, "changes": changes}


async def as_if_published(executor: Executor, kind: ComputedKind, version: int) -> tuple[InForce, InForce]:
    """What is in force, and what would be if this version were.

    404 if there is none, 409 if it does not work with this version of the service.
    """
    wanted = select(_TABLE.c.body, _TABLE.c.digest).where(_TABLE.c.kind == kind, _TABLE.c.version == version)
    row = (await executor.execute(wanted)).first()
    if row is None:
        raise not_found("version")
    rules = await in_force(executor)
    try:
        parsed = parse(kind, row.body, row.digest)
    except InvalidDocument as error:
        detail = "This version does not work with this version of the service."
        raise Problem("conflict", detail, as_fields(error.problems)) from error
    documents = {**documents_in_force(rules), kind: parsed}
    named = {kind: parsed.version if kind == "policy" else version, f"{kind}_digest": row.digest}
    return rules, together(documents, replace(rules.versions, **named), rules.questionnaire_digest)
