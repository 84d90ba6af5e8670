"""Versions in the database: what is in force, and what a record was computed with."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import Any, Literal

import orjson
from sqlalchemy import select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.allocation.engine import ENGINE_VERSION
from app.allocation.engine.assumptions import AssumptionSet, parse_assumptions
from app.allocation.engine.defaults import default_document
from app.allocation.engine.policy import Policy, parse_policy
from app.allocation.engine.questionnaire import Questionnaire, parse_questionnaire
from app.allocation.engine.views import Views, apply_views, parse_views
from app.allocation.models import AllocationVersion
from app.errors import Problem

Kind = Literal["assumptions", "views", "policy", "questionnaire"]
KINDS: tuple[Kind, ...] = ("assumptions", "views", "policy", "questionnaire")
Executor = AsyncSession | AsyncConnection

_PARSERS: Mapping[str, Callable[[object], Any]] = {
    "assumptions": parse_assumptions,
    "views": parse_views,
    "policy": parse_policy,
    "questionnaire": parse_questionnaire,
}
_IN_FORCE = text(
    """SELECT DISTINCT ON (kind) kind, version, digest FROM allocation_versions WHERE status = 'published'
    ORDER BY kind, version DESC"""
)

# Parsed documents by kind and digest: the digest is the document, so this holds for any database. Bounded, since every
# draft that is tried out passes through here; drafts are checked in threads.
_MOST_PARSED = 256
_parsed: dict[tuple[str, str], Any] = {}
_parsing = Lock()


@dataclass(frozen=True, slots=True)
class Versions:
    """What the weights depend on beside the customer: numbers for people, digests for computing again."""

    policy: str
    policy_digest: str
    assumptions: int
    assumptions_digest: str
    views: int | None = None
    views_digest: str | None = None
    engine: str = ENGINE_VERSION


@dataclass(frozen=True, slots=True, eq=False)
class InForce:
    """Everything to compute portfolios with. `assumptions` are those `published` with the views applied."""

    policy: Policy
    questionnaire: Questionnaire
    questionnaire_digest: str
    views: Views
    published: AssumptionSet
    assumptions: AssumptionSet
    versions: Versions


def digest(document: Any) -> str:
    """Identity of a document."""
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def parse(kind: str, document: Any, its_digest: str | None = None) -> Any:
    """A document as the engine knows it: an `AssumptionSet`, `Views`, `Policy` or `Questionnaire`.

    Raises:
        InvalidDocument: with one problem for each thing that is wrong.
    """
    key = (kind, its_digest or digest(document))
    found = _parsed.get(key)
    if found is None:
        found = _PARSERS[kind](document)
        with _parsing:
            while len(_parsed) >= _MOST_PARSED:
                _parsed.pop(next(iter(_parsed)))
            _parsed[key] = found
    return found


@lru_cache(maxsize=64)
def _with_views(assumptions: AssumptionSet, views: Views) -> AssumptionSet:
    return apply_views(assumptions, views)


async def ensure_versions(session: AsyncSession, now: datetime) -> None:
    """Publish what is shipped as version 1 of every kind of which nothing is stored. Safe to repeat and to race."""
    rows = []
    for kind in KINDS:
        body = default_document(kind)
        parse(kind, body)
        name = body.get("name") or body["version"]
        times = {"created_at": now, "published_at": now, "published_by": "stagefolio"}
        rows.append({"kind": kind, "version": 1, "name": name, "status": "published", "body": body, **times})
    for row in rows:
        row["digest"] = digest(row["body"])
    await session.execute(insert(AllocationVersion).values(rows).on_conflict_do_nothing())


async def in_force(executor: Executor) -> InForce:
    """What is in force now: of every kind the published version with the highest number. One statement when known."""
    heads = {row.kind: row for row in await executor.execute(_IN_FORCE)}
    missing = [kind for kind in KINDS if kind not in heads]
    if missing:
        raise Problem("unavailable", f"Nothing is published yet: {', '.join(missing)}.")
    documents = await documents_of(executor, {kind: row.digest for kind, row in heads.items()})
    versions = Versions(
        policy=documents["policy"].version,
        policy_digest=heads["policy"].digest,
        assumptions=heads["assumptions"].version,
        assumptions_digest=heads["assumptions"].digest,
        views=heads["views"].version,
        views_digest=heads["views"].digest,
    )
    return together(documents, versions, heads["questionnaire"].digest)


def together(documents: Mapping[str, Any], versions: Versions, questionnaire_digest: str) -> InForce:
    """Parsed documents of every kind as one thing to compute with."""
    published, views = documents["assumptions"], documents["views"]
    return InForce(
        policy=documents["policy"],
        questionnaire=documents["questionnaire"],
        questionnaire_digest=questionnaire_digest,
        views=views,
        published=published,
        assumptions=_with_views(published, views),
        versions=versions,
    )


async def documents_of(executor: Executor, digests: Mapping[str, str]) -> dict[str, Any]:
    """Parsed documents by kind, each named by its digest; read from the database once in the life of the process.

    Raises:
        LookupError: if no version has that digest.
    """
    table = AllocationVersion.__table__
    known = {pair: _parsed.get(pair) for pair in digests.items()}
    unknown = [pair for pair, parsed in known.items() if parsed is None]
    if unknown:
        found = await executor.execute(
            select(table.c.kind, table.c.digest, table.c.body).where(tuple_(table.c.kind, table.c.digest).in_(unknown))
        )
        known |= {(row.kind, row.digest): parse(row.kind, row.body, row.digest) for row in found}
    missing = next((kind for (kind, _), parsed in known.items() if parsed is None), None)
    if missing is not None:
        raise LookupError(f"no version of {missing} has the digest that a record names")
    return {kind: known[kind, its_digest] for kind, its_digest in digests.items()}


async def assumptions_named(executor: Executor, its_digest: str) -> AssumptionSet:
    """A published assumption set as it was published, by its digest."""
    found: AssumptionSet = (await documents_of(executor, {"assumptions": its_digest}))["assumptions"]
    return found
