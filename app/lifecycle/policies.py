"""Versions of the policy: the shipped ones, and the one in force."""

from datetime import datetime
from hashlib import blake2b
from importlib.resources import files
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.errors import Problem
from app.lifecycle.core.policy import Policy, parse_policy
from app.lifecycle.models import LifecyclePolicy

SHIPPED = ("wealth", "retail_bank")

# Parsed policies by version and digest of their document; published ones never change.
_parsed: dict[tuple[int, str], Policy] = {}


def shipped_document(name: str) -> dict[str, Any]:
    """The document of a shipped policy."""
    found: dict[str, Any] = orjson.loads(files("app.lifecycle").joinpath("data", f"{name}.json").read_bytes())
    return found


def digest(document: dict[str, Any]) -> str:
    """Identity of a document."""
    return blake2b(orjson.dumps(document, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()


async def ensure_policy(session: AsyncSession, name: str, now: datetime) -> None:
    """Publish the shipped policy `name` as version 1 in a database that has no policy yet."""
    document = shipped_document(name)
    parse_policy(document, 1)
    await session.execute(
        insert(LifecyclePolicy)
        .values(
            version=1,
            name=name,
            status="published",
            body=document,
            digest=digest(document),
            created_at=now,
            published_at=now,
        )
        .on_conflict_do_nothing()
    )


async def policies_of(executor: AsyncSession | AsyncConnection) -> dict[int, Policy]:
    """Every published policy by version, oldest first; one statement once they are known to this process."""
    heads = (
        await executor.execute(
            select(LifecyclePolicy.version, LifecyclePolicy.digest)
            .where(LifecyclePolicy.status == "published")
            .order_by(LifecyclePolicy.version)
        )
    ).all()
    if not heads:
        raise Problem("unavailable", "No lifecycle policy is published yet.")
    unknown = [head.version for head in heads if (head.version, head.digest) not in _parsed]
    if unknown:
        found = await executor.execute(
            select(LifecyclePolicy.version, LifecyclePolicy.digest, LifecyclePolicy.body).where(
                LifecyclePolicy.version.in_(unknown)
            )
        )
        for version, identity, body in found:
            _parsed[version, identity] = parse_policy(body, version)
    return {head.version: _parsed[head.version, head.digest] for head in heads}


async def current_policy(executor: AsyncSession | AsyncConnection) -> Policy:
    """The policy in force for new customers: the published one with the highest version."""
    policies = await policies_of(executor)
    return policies[max(policies)]
