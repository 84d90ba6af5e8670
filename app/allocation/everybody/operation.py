"""The review of everybody: screened in bulk, and brought up to date where something changes.

Screening locks nobody and writes nothing; who seems to change is decided on again under a lock, as on every other
occasion. Whoever changes meanwhile is recommended to by their own change.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.engine.policy import STAGES
from app.allocation.everybody.bulk import CHUNK, Chunk, Whom, read_chunk
from app.allocation.everybody.screening import Screen, Screened
from app.allocation.everybody.tally import Tally
from app.allocation.everybody.trying import tried
from app.allocation.models import Recommendation
from app.allocation.service import recommend
from app.allocation.versions.store import InForce, in_force
from app.customers.models import SEGMENTS, Customer
from app.customers.service import lock_with_merges
from app.db import settle
from app.events import AllocationVersionPublished
from app.operations.models import Operation
from app.operations.running import Work, handles
from app.operations.service import begin

log = logging.getLogger("app.allocation")

KIND = "portfolio_review"
BATCH = 1_000
"""Customers written to in one transaction."""

_EVERYBODY: dict[str, list[str]] = {"segment": [], "stage": []}
_WAITED_FOR = 30.0  # seconds
_STILL_WRITING = text(
    """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_xid IS NOT NULL AND xact_start < :began"""
)


async def begin_review(
    session: AsyncSession,
    actor: str,
    now: datetime,
    *,
    dry_run: bool = False,
    segments: list[str] | None = None,
    stages: list[str] | None = None,
    versions: Mapping[str, int | None] | None = None,
    documents: Mapping[str, Any] | None = None,
    after_publication: Mapping[str, Any] | None = None,
) -> UUID:
    """Store the operation. No segments, or no stages, are all of them; `documents` are those of `versions`, to try."""
    params = {
        "dry_run": dry_run,
        "filter": {"segment": segments or [], "stage": stages or []},
        "with": {"assumptions": None, "views": None, "policy": None, **(versions or {})},
        "after_publication": after_publication,
    }
    return await begin(session, KIND, params, actor, now, state={"documents": documents or {}})


async def review_after_publication(session: AsyncSession, event: AllocationVersionPublished) -> None:
    """New assumptions, views or a new policy reach everybody. A questionnaire changes no portfolio."""
    if event.kind != "questionnaire":
        version = {"kind": event.kind, "version": event.version}
        await begin_review(session, "stagefolio:publication", event.at, after_publication=version)


@handles(KIND)
async def review_everybody(work: Work) -> dict[str, Any]:
    """Look at every customer once, in id order. Returns an `AllocationReviewResult`.

    A review of everybody that was begun later ends this one: it looks at whoever was left, and by newer rules.
    """
    whom, dry_run = _whom(work.params), work.params["dry_run"]
    if work.total is None:
        await _begin(work, whom)
    screen: Screen | None = None
    while True:
        later = None if dry_run else await _superseding(work)
        if later is not None or work.state.get("finished"):
            return {**_tally(work).result(), "superseded_by": later}
        chunk, rules, now = await _read(work, whom)
        if screen is None or screen.rules.versions != rules.versions:
            screen = Screen(rules)
        # In a thread: a worker has other things to look after meanwhile.
        screened = await asyncio.to_thread(screen.judge, chunk, now)
        for part, after in _parts(screened, chunk, BATCH):
            await _take(work, part, after)


def _whom(params: Mapping[str, Any]) -> Whom:
    chosen = params["filter"]
    return Whom(chosen["segment"] or SEGMENTS, chosen["stage"] or STAGES)


def _tally(work: Work) -> Tally:
    return Tally(**work.state.get("tally", {}))


async def _begin(work: Work, whom: Whom) -> None:
    """Count the customers, once nobody is left who may still write by the rules of before the review."""
    chosen = (Customer.segment.in_(whom.segments), Customer.stage.in_(whom.stages), Customer.merged_into.is_(None))
    async with work.worker.database.read() as connection:
        if not work.params["dry_run"]:
            began = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
            for _ in range(int(_WAITED_FOR / 0.1)):
                if not (await connection.execute(_STILL_WRITING, {"began": began})).scalar_one():
                    break
                await asyncio.sleep(0.1)
            else:
                log.warning("review begins beside older transactions", extra={"operation_id": str(work.id)})
        total = (await connection.execute(select(func.count()).select_from(Customer).where(*chosen))).scalar_one()
    async with work.worker.database.transaction() as session:
        await work.save(session, total=total)


async def _superseding(work: Work) -> UUID | None:
    """A later review of everybody, unless it failed or was cancelled."""
    found = (
        select(Operation.id)
        .where(Operation.kind == KIND, Operation.id > work.id, Operation.status.not_in(("failed", "cancelled")))
        .where(Operation.params["dry_run"].as_boolean().is_(False), Operation.params["filter"] == _EVERYBODY)
        .limit(1)
    )
    async with work.worker.database.read() as connection:
        return (await connection.execute(found)).scalar_one_or_none()


async def _read(work: Work, whom: Whom) -> tuple[Chunk, InForce, datetime]:
    """The next customers, and the rules to judge them by, as of one moment."""
    after, now = work.state.get("after"), work.worker.clock()
    async with work.worker.database.snapshot() as connection:
        rules = tried(await in_force(connection), work.state["documents"])
        return await read_chunk(connection, rules, whom, now, after and UUID(after), CHUNK), rules, now


def _parts(screened: Screened, chunk: Chunk, most: int) -> Iterator[tuple[Screened, UUID | None]]:
    """Stretches with at most `most` customers to write to, each with the last id in it; None: nobody is left."""
    ends = [int(place) + 1 for place in np.flatnonzero(screened.candidates)[most - 1 :: most]]
    if not ends or ends[-1] < len(screened):
        ends.append(len(screened))
    for place, end in zip([0, *ends], ends, strict=False):
        last = end == len(screened)
        yield screened.part(place, end), chunk.until if last else UUID(bytes=screened.ids[end - 1].item())


async def _take(work: Work, part: Screened, after: UUID | None) -> None:
    """One piece of work: write to those of a part who need it, and note how far it came."""
    async with work.worker.database.transaction() as session:
        changed = part.changed
        if not work.params["dry_run"]:
            changed = await _write(session, part, work.worker.clock())
            await settle(session)
        tally = _tally(work)
        tally.add(part, changed)
        position = {"after": after, "finished": after is None, "tally": asdict(tally)}
        done = work.done + len(part)
        await work.save(session, done=done, total=max(work.total or 0, done), state={**work.state, **position})


async def _write(session: AsyncSession, part: Screened, now: datetime) -> NDArray[np.bool_]:
    """Decide again on the candidates of a part, locked; tells who got a new record."""
    changed = np.zeros(len(part), np.bool_)
    places = {UUID(bytes=part.ids[i].item()): i for i in np.flatnonzero(part.candidates).tolist()}
    if places:
        there = await lock_with_merges(session, list(places))
        new = await recommend(session, [one for one, into in there.items() if into is None], now)
        whose = select(Recommendation.customer_id).where(Recommendation.id.in_(new))
        changed[[places[one] for one in await session.scalars(whose)]] = True
    return changed
