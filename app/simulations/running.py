"""Runs a simulation over the population, chunk by chunk: loads lives, replays them, compares. Writes nothing live."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.customers.models import Customer, ErasedCustomer
from app.db import Database
from app.lifecycle.core.edges import BACK
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.replay import Course, Life, replay, under
from app.lifecycle.histories import load_lives
from app.lifecycle.policies import policies_of
from app.playbooks.definition import Playbook, parse
from app.playbooks.models import PlaybookRow
from app.playbooks.plan import CustomerFacts
from app.playbooks.service import FACT_COLUMNS, facts_of
from app.simulations.comparing import Pair, Path, Period, Taken
from app.simulations.load import due_days

CHUNK = 500
"""Customers replayed at once."""
DRAFT = 0
"""The version that a policy has while it is only tried."""

_STEPS = text("""
SELECT customer_id, from_stage, to_stage, kind, rule_id, policy_version, evaluated_at, effective_at, facts
FROM transitions WHERE customer_id = ANY(:ids) AND evaluated_at <= :until ORDER BY customer_id, sequence
""")


@dataclass(frozen=True, slots=True)
class Filter:
    """Whom to simulate: every condition that is given must hold. Stages and the like are those of today."""

    stage: tuple[str, ...] = ()
    segment: tuple[str, ...] = ()
    tier: tuple[str, ...] = ()
    owner: str | None = None
    tag: str | None = None
    one_in: int = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """A simulation. `policy` None: the policies that applied, as a check of the history."""

    policy: Policy | None
    period: Period
    as_occurred: bool
    chosen: Filter


@dataclass(frozen=True, slots=True)
class Chunk:
    """A set of customers, replayed: the ways of each, and what would be due because of them, live and simulated."""

    pairs: Sequence[Pair]
    due: tuple[Sequence[tuple[Any, bool]], Sequence[tuple[Any, bool]]]


def _chosen(wanted: Wanted) -> list[Any]:
    """Conditions on customers."""
    chosen = wanted.chosen
    listed = {name: getattr(chosen, name) for name in ("stage", "segment", "tier")}
    found: list[Any] = [Customer.merged_into.is_(None), Customer.created_at <= wanted.period.end]
    found += [getattr(Customer, name).in_(values) for name, values in listed.items() if values]
    if chosen.owner is not None:
        found.append(Customer.owner == chosen.owner)
    if chosen.tag is not None:
        found.append(Customer.tags.contains([chosen.tag]))
    if chosen.one_in > 1:
        found.append(func.mod(func.abs(func.hashtext(cast(Customer.id, Text))), chosen.one_in) == 0)
    return found


async def population(database: Database, wanted: Wanted) -> dict[str, int]:
    """How many customers will be simulated, and how many are left out because nothing, or no life, is left of them."""
    async with database.read() as connection:
        chosen = await connection.scalar(select(func.count()).select_from(Customer).where(*_chosen(wanted)))
        merged = await connection.scalar(
            select(func.count()).select_from(Customer).where(Customer.merged_into.is_not(None))
        )
        erased = await connection.scalar(
            select(func.count()).select_from(ErasedCustomer).where(ErasedCustomer.erased_at >= wanted.period.begin)
        )
    return {"customers": chosen or 0, "merged": merged or 0, "erased": erased or 0}


async def chunks(
    database: Database, wanted: Wanted, now: datetime, after: UUID | None = None
) -> AsyncIterator[tuple[UUID, Chunk]]:
    """Replayed sets of customers in order of id, each with the last id in it; `after` goes on behind that one."""
    playbook = await _playbook(database)
    while True:
        async with database.snapshot() as connection:
            query = select(Customer.id).where(*_chosen(wanted)).order_by(Customer.id).limit(CHUNK)
            if after is not None:
                query = query.where(Customer.id > after)
            ids = list((await connection.execute(query)).scalars())
            if not ids:
                return
            loaded = await _load(connection, wanted, ids, now, playbook)
        # In a thread: a worker has other things to look after meanwhile.
        yield ids[-1], await asyncio.to_thread(_replayed, wanted, loaded)
        after = ids[-1]


async def _playbook(database: Database) -> Playbook:
    """The newest published playbook."""
    newest = select(PlaybookRow.body).where(PlaybookRow.status == "published").order_by(PlaybookRow.version.desc())
    async with database.read() as connection:
        return parse((await connection.execute(newest.limit(1))).scalar_one())


@dataclass(frozen=True, slots=True)
class _Loaded:
    lives: Sequence[Life]
    steps: Mapping[UUID, Sequence[Any]]
    facts: Mapping[UUID, CustomerFacts]
    policies: Mapping[int, Policy]
    playbook: Playbook


async def _load(
    connection: AsyncConnection, wanted: Wanted, ids: Sequence[UUID], now: datetime, playbook: Playbook
) -> _Loaded:
    policies = await policies_of(connection)
    lives = await load_lives(connection, ids, now, as_occurred=wanted.as_occurred)
    steps: dict[UUID, list[Any]] = {}
    for row in await connection.execute(_STEPS, {"ids": list(ids), "until": wanted.period.end}):
        steps.setdefault(row.customer_id, []).append(row)
    facts = await connection.execute(select(*FACT_COLUMNS).where(Customer.id.in_(ids)))
    return _Loaded(lives, steps, {row.id: facts_of(row) for row in facts}, policies, playbook)


def _replayed(wanted: Wanted, loaded: _Loaded) -> Chunk:
    period = wanted.period
    policies = dict(loaded.policies)
    lives = list(loaded.lives)
    if wanted.policy is not None:
        policies[DRAFT] = wanted.policy
        lives = [under(life, DRAFT, period.begin) for life in lives]
    simulated = [_path(course, policies) for course in replay(lives, policies, period.zone, period.end)]
    if wanted.as_occurred and wanted.policy is not None:
        # Against the rules that applied, with the same knowledge: else two differences would be one.
        live = [_path(c, policies) for c in replay(loaded.lives, loaded.policies, period.zone, period.end)]
    else:
        live = [_lived(life, loaded.steps.get(life.customer_id, ()), policies) for life in loaded.lives]
    pairs = [Pair(one, other) for one, other in zip(live, simulated, strict=True)]
    due = [
        [d for path in paths for d in due_days(path, loaded.facts[path.customer_id], loaded.playbook, period)]
        for paths in (live, simulated)
    ]
    return Chunk(pairs, (due[0], due[1]))


def _resumes(kind: str, rule_id: str | None, policy: Policy | None) -> bool:
    rule = policy.rule(rule_id) if policy is not None and rule_id is not None else None
    return kind == "correction" or (rule is not None and rule.to == BACK)


def _lived(life: Life, steps: Sequence[Any], policies: Mapping[int, Policy]) -> Path:
    return Path(
        life.customer_id,
        life.stage,
        life.created_at,
        tuple(
            Taken(
                row.from_stage,
                row.to_stage,
                row.kind,
                row.rule_id,
                row.evaluated_at,
                row.effective_at,
                row.facts,
                _resumes(row.kind, row.rule_id, policies.get(row.policy_version)),
            )
            for row in steps
        ),
    )


def _path(course: Course, policies: Mapping[int, Policy]) -> Path:
    life = course.life
    return Path(
        life.customer_id,
        life.stage,
        life.created_at,
        tuple(
            Taken(
                m.from_stage,
                m.to_stage,
                m.kind,
                m.rule_id,
                m.evaluated_at,
                m.effective_at,
                m.facts,
                _resumes(m.kind, m.rule_id, policies.get(m.policy_version)),
            )
            for m in course.moves
        ),
    )
