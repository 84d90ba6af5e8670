"""Reading versions of the policy in the API's shape."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, false, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.errors import Problem, not_found
from app.lifecycle.core.conditions import OPS
from app.lifecycle.core.facts import FACTS
from app.lifecycle.core.policy import Policy, parse_policy
from app.lifecycle.explaining.wording import Voice, label
from app.lifecycle.models import LifecyclePolicy
from app.lifecycle.versions.difference_words import field_sentence, item_sentence, target_sentence
from app.lifecycle.versions.differences import FieldChange, differences
from app.lifecycle.versions.drafts import as_fields
from app.lifecycle.versions.review import problems_of
from app.lifecycle.versions.schemas import PolicyListQuery
from app.pagination import decode_cursor, encode_cursor

_TABLE = LifecyclePolicy.__table__
_IN_FORCE = select(func.max(_TABLE.c.version)).where(_TABLE.c.status == "published").scalar_subquery()
_COLUMNS = (
    *(c for c in _TABLE.c if c.name not in ("body", "digest")),
    func.coalesce(_TABLE.c.version == _IN_FORCE, false()).label("in_force"),
)


def tag_of(revision: int, digest: str, *, in_force: bool = False) -> str:
    """What changes with a version. The number of a draft that was deleted can be given again, so it is no tag."""
    return f"{revision}-{digest}{'.in-force' if in_force else ''}"


async def list_versions(connection: AsyncConnection, query: PolicyListQuery) -> tuple[list[dict[str, Any]], str | None]:
    """One page of versions, newest first, and the cursor of the next."""
    found: Select[Any] = select(*_COLUMNS)
    if query.status is not None:
        found = found.where(_TABLE.c.status == query.status)
    fingerprint = query.fingerprint("lifecycle-policies")
    if query.cursor is not None:
        [before] = decode_cursor(fingerprint, query.cursor, (int,))
        found = found.where(_TABLE.c.version < min(max(before, 0), 2**31 - 1))
    rows = (await connection.execute(found.order_by(_TABLE.c.version.desc()).limit(query.limit + 1))).mappings().all()
    items = [dict(row) for row in rows[: query.limit]]
    return items, encode_cursor(fingerprint, items[-1]["version"]) if len(rows) > query.limit else None


async def read_version(executor: AsyncConnection | AsyncSession, version: int) -> tuple[dict[str, Any], str]:
    """One version, whole, and its tag; 404 if there is none."""
    found = await executor.execute(select(*_COLUMNS, _TABLE.c.body, _TABLE.c.digest).where(_TABLE.c.version == version))
    row = found.mappings().first()
    if row is None:
        raise not_found("policy version")
    shape = {key: value for key, value in row.items() if key not in ("body", "digest")}
    return {**shape, "document": row["body"]}, tag_of(row["revision"], row["digest"], in_force=row["in_force"])


async def read_policy(connection: AsyncConnection, version: int) -> Policy:
    """One version as a policy; 404 if there is none, 409 if the service has changed so that it does not work."""
    shape, _ = await read_version(connection, version)
    document = shape["document"]
    problems = problems_of(document)
    if problems:
        raise Problem("conflict", "This version does not work with this version of the service.", as_fields(problems))
    return parse_policy(document, version)


async def compare(connection: AsyncConnection, version: int, against: int | None, voice: Voice) -> dict[str, Any]:
    """What differs between two versions; 404 if one of them does not exist."""
    other = _IN_FORCE if against is None else against
    found = await connection.execute(
        select(_TABLE.c.version, _TABLE.c.body).where((_TABLE.c.version == version) | (_TABLE.c.version == other))
    )
    bodies: dict[int, Mapping[str, Any]] = {row.version: row.body for row in found}
    if version not in bodies:
        raise not_found("policy version")
    if against is None:  # the version itself, if that is the one in force
        against = next((known for known in bodies if known != version), version)
    if against not in bodies:
        raise not_found("policy version to compare with")
    return {"version": version, "against": against, **_differences(bodies[against], bodies[version], voice)}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], voice: Voice) -> dict[str, Any]:
    found = differences(before, after)
    return {
        "rules": [
            {
                "rule_id": item.id,
                "change": item.change,
                "fields": [_field(item.id, change, voice) for change in item.fields],
                "keeps_confirm_window": item.same_condition,
                "text": item_sentence(item, voice, is_rule=True),
            }
            for item in found.rules
        ],
        "score": [
            {
                "id": item.id,
                "change": item.change,
                "fields": [_field(item.id, change, voice) for change in item.fields],
                "text": item_sentence(item, voice, is_rule=False),
            }
            for item in found.score
        ],
        "target_days": [
            {"stage": c.field.strip("/"), "before": c.before, "after": c.after, "text": target_sentence(c, voice)}
            for c in found.target_days
        ],
        "texts": [_field("", change, voice) for change in found.texts],
    }


def _field(name: str, change: FieldChange, voice: Voice) -> dict[str, Any]:
    text = field_sentence(name, change, voice)
    return {"field": change.field, "before": change.before, "after": change.after, "text": text}


def facts(voice: Voice) -> list[dict[str, Any]]:
    """Every declared fact, in the order of the registry."""
    return [
        {
            "name": fact.name,
            "kind": fact.kind,
            "unit": fact.unit,
            "label": label(fact.name, voice),
            "ops": [op for op, kinds in OPS.items() if fact.kind in kinds],
            "values": list(fact.values) or None,
        }
        for fact in FACTS.values()
    ]
