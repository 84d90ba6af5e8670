"""The real bank in the order of arrival, in random orders, and judged by many at once: one truth comes of it all."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta

import asyncpg
import pytest
from sqlalchemy import text

from app.config import Settings
from app.customers.service import create_customers
from app.db import Database, settle
from app.demo.berka import ZONE, read_berka
from app.demo.loading import _item
from app.lifecycle.core.replay import replay
from app.lifecycle.histories import load_lives
from app.lifecycle.parking import Offered
from app.lifecycle.policies import policies_of
from app.lifecycle.service import record_signals
from app.lifecycle.sweeps import evaluate_due
from app.reactions import reactions
from app.setup import ensure_defaults
from tests.conftest import _TEMPLATE, _create_database
from tests.demo.test_berka import REAL

OWN = Settings(lifecycle_policy="retail_bank", zone=str(ZONE), currency="CZK")
STEP = timedelta(days=7)
DUPLICATES = 0.02
KEY = "JOIN customer_external_ids x USING (customer_id)"
FACTS = {
    "days": f"SELECT external_id, day, inflow, outflow, deposits, trades, logins, activity FROM customer_day {KEY}",
    "totals": f"SELECT external_id, inflow, outflow, trades, first_funded_on, last_active_on, since_on"
    f" FROM customer_totals {KEY}",
    "balances": f"SELECT external_id, account, day, balance, occurred_at, source_event_id FROM account_day {KEY}",
    "marks": f"SELECT external_id, name, value::text, occurred_at FROM customer_fact {KEY} WHERE source <> 'stagefolio'",
}
STEPS = (
    "SELECT external_id, sequence, from_stage, to_stage, kind, rule_id, evaluated_at, effective_at, facts::text"
    f" FROM transitions {KEY}"
)


def lifecycle_alone(settings: Settings) -> dict:
    """The reactions of the lifecycle: what follows in other domains has no say in a stage."""
    found = reactions(settings).items()
    return {event: [r for r in then if "lifecycle" in getattr(r, "func", r).__module__] for event, then in found}


@asynccontextmanager
async def database(name: str, template: str = _TEMPLATE) -> AsyncIterator[Database]:
    server = os.environ["STAGEFOLIO_TEST_SERVER"]
    url = await _create_database(server, name, template)
    found = Database.connect(url, lifecycle_alone(OWN))
    try:
        yield found
    finally:
        await found.close()
        connection = await asyncpg.connect(server)
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await connection.close()


def arrivals(signals: Sequence, seed: int | None) -> list:
    """(received at, signal): at once, or after random delays, with duplicates anywhere behind the first."""
    if seed is None:
        return sorted(((s.occurred_at, s) for s in signals), key=lambda pair: (pair[0], pair[1].source_event_id))
    rng = random.Random(seed)
    late = [(s.occurred_at + timedelta(days=min(rng.expovariate(0.5), 90)), s) for s in signals]
    again = [(at + timedelta(days=rng.uniform(0, 30)), s) for at, s in rng.sample(late, int(DUPLICATES * len(late)))]
    return sorted([*late, *again], key=lambda pair: (pair[0], rng.random()))


async def play(found: Database, berka, order: list) -> datetime:
    """Let customers come and signals arrive, a week at a time; returns the moment at which it ends."""
    async with found.transaction() as session:
        await session.execute(text("DELETE FROM lifecycle_policies"))
    await ensure_defaults(found, OWN, datetime(1992, 12, 1, tzinfo=UTC))
    clients = sorted(berka.clients, key=lambda c: c.created_on)
    now = datetime.combine(clients[0].created_on, time(), ZONE).astimezone(UTC)
    end = max(at for at, _ in order)
    while now < end + STEP:
        now += STEP
        while clients and datetime.combine(clients[0].created_on, time(), ZONE) < now:
            day = clients[0].created_on
            some = [c for c in clients if c.created_on == day]
            clients = clients[len(some) :]
            async with found.transaction() as session:
                begun = datetime.combine(day, time(), ZONE).astimezone(UTC)
                await create_customers(session, [_item(c, {}) for c in some], begun, zone=OWN.zone)
                await settle(session)
        here = [s for at, s in order if now - STEP <= at < now]
        for begin in range(0, len(here), 1000):
            async with found.transaction() as session:
                await record_signals(session, [_offered(s) for s in here[begin : begin + 1000]], now, OWN.tz)
        await sweep(found, now)
    return now


def _offered(signal) -> Offered:
    named = (signal.source, signal.source_event_id, signal.type, signal.occurred_at, signal.payload)
    return Offered(None, signal.external_id, *named)


async def sweep(found: Database, now: datetime) -> None:
    while True:
        async with found.transaction() as session:
            if (await evaluate_due(session, now, OWN.tz))[0] == 0:
                return


async def rows(found: Database, query: str) -> list[tuple]:
    async with found.read() as connection:
        return sorted(map(tuple, await connection.execute(text(query))), key=repr)


async def folded(found: Database, until: datetime) -> list[tuple]:
    """What would have happened had everything been known when it occurred."""
    async with found.read() as connection:
        owners = await connection.execute(text("SELECT customer_id, external_id FROM customer_external_ids"))
        names = {row.customer_id: row.external_id for row in owners}
        lives = await load_lives(connection, list(names), until, as_occurred=True)
        policies = await policies_of(connection)
    courses = await asyncio.to_thread(replay, lives, policies, OWN.tz, until)
    steps = [
        (names[c.life.customer_id], m.from_stage, m.to_stage, m.rule_id, m.evaluated_at, m.effective_at)
        for c in courses
        for m in c.moves
    ]
    return sorted(steps, key=repr)


@pytest.mark.evidence
@pytest.mark.skipif(not REAL.exists(), reason="the Berka data set is not there")
async def test_the_bank_in_any_order_of_arrival_has_the_same_facts_and_the_same_fold():
    berka = await asyncio.to_thread(read_berka, REAL)
    stages = []
    async with database("berka_first") as first:
        until = await play(first, berka, arrivals(berka.signals, None))
        facts = {name: await rows(first, query) for name, query in FACTS.items()}
        fold = await folded(first, until)
        stages.append(await rows(first, STEPS))
        assert len(fold) > 2000
    async with database("berka_again") as again:
        await play(again, berka, arrivals(berka.signals, None))
        stages.append(await rows(again, STEPS))
    assert stages[0] == stages[1]
    for seed in range(1, 6):
        async with database(f"berka_{seed}") as shuffled:
            await play(shuffled, berka, arrivals(berka.signals, seed))
            for name, query in FACTS.items():
                assert await rows(shuffled, query) == facts[name], (seed, name)
            assert await folded(shuffled, until) == fold, seed
            live = await rows(shuffled, STEPS)
            print(f"order {seed}: {len(live):,} live transitions, {len(fold):,} in the fold")


@pytest.mark.evidence
@pytest.mark.skipif(not REAL.exists(), reason="the Berka data set is not there")
async def test_eight_evaluators_of_the_bank_equal_one():
    berka = await asyncio.to_thread(read_berka, REAL)
    async with database("berka_one") as one:
        until = await play(one, berka, arrivals(berka.signals, None))
        await one.close()
        async with database("berka_eight", "berka_one") as eight:
            later = until + timedelta(days=200)
            await sweep(one, later)
            await asyncio.gather(*(sweep(eight, later) for _ in range(8)))
            alone, together = await rows(one, STEPS), await rows(eight, STEPS)
    assert alone == together
    print(f"{len(alone):,} transitions, by one evaluator and by eight")
