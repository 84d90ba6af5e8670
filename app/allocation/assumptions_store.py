"""Versions of the assumptions in the database, and the documents that records refer to."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.allocation.engine.assumptions import AssumptionSet, parse_assumptions
from app.allocation.engine.defaults import default_document, default_policy, default_questionnaire
from app.allocation.models import AllocationDocument, AssumptionSetRow
from app.errors import Problem, not_found


@dataclass(frozen=True, slots=True)
class Published:
    """A version of the assumptions, ready to compute with."""

    version: int
    digest: str
    assumptions: AssumptionSet


# By version and digest, so that it holds for any database; a published set never changes.
_parsed: dict[tuple[int, str], AssumptionSet] = {}


def digest(document: Any) -> str:
    """Identity of a document."""
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


@cache
def document_digest(kind: str) -> str:
    """Identity of the policy or the questionnaire in force."""
    return digest(default_document(kind))


async def ensure_assumptions(session: AsyncSession, now: datetime) -> None:
    """Publish the shipped assumptions where no set is stored, and keep the policy and questionnaire in force.

    Safe to repeat and to race.
    """
    documents = [("policy", default_policy().version), ("questionnaire", default_questionnaire().version)]
    rows = [
        {
            "kind": kind,
            "digest": document_digest(kind),
            "version": version,
            "body": default_document(kind),
            "stored_at": now,
        }
        for kind, version in documents
    ]
    await session.execute(insert(AllocationDocument).values(rows).on_conflict_do_nothing())
    if (await session.execute(select(AssumptionSetRow.version).limit(1))).first() is not None:
        return
    body = default_document("assumptions")
    parse_assumptions(body)
    await session.execute(
        insert(AssumptionSetRow)
        .values(
            version=1,
            name=body["name"],
            status="published",
            body=body,
            digest=digest(body),
            created_at=now,
            published_at=now,
        )
        .on_conflict_do_nothing()
    )


async def current_assumptions(executor: AsyncSession | AsyncConnection) -> Published:
    """The assumptions in force: the published set with the highest version."""
    head = (
        await executor.execute(
            select(AssumptionSetRow.version, AssumptionSetRow.digest)
            .where(AssumptionSetRow.status == "published")
            .order_by(AssumptionSetRow.version.desc())
            .limit(1)
        )
    ).first()
    if head is None:
        raise Problem("unavailable", "No assumption set is published yet.")
    return await assumptions_of(executor, head.version, head.digest)


async def assumptions_of(executor: AsyncSession | AsyncConnection, version: int, its_digest: str) -> Published:
    """A published version that is known to exist; read from the database once in the life of the process."""
    key = (version, its_digest)
    if key not in _parsed:
        body = await executor.execute(select(AssumptionSetRow.body).where(AssumptionSetRow.version == version))
        _parsed[key] = parse_assumptions(body.scalar_one())
    return Published(version, its_digest, _parsed[key])


async def list_sets(connection: AsyncConnection) -> Sequence[dict[str, Any]]:
    """All versions without their documents, newest first."""
    table = AssumptionSetRow.__table__
    rows = await connection.execute(
        select(*(c for c in table.c if c.name not in ("body", "digest"))).order_by(table.c.version.desc())
    )
    return [dict(row) for row in rows.mappings()]


async def read_set(connection: AsyncConnection, version: int) -> dict[str, Any]:
    """One version with its document; 404 if there is none."""
    table = AssumptionSetRow.__table__
    row = (await connection.execute(select(table).where(table.c.version == version))).mappings().first()
    if row is None:
        raise not_found("assumption set")
    document = {key: value for key, value in row.items() if key not in ("body", "digest")}
    return {**document, "document": row["body"]}
