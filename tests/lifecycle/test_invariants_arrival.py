"""Invariants 3 and 10: what is known, and what follows, depends neither on the order of arrival nor on who comes along."""

import random
import re
from dataclasses import replace
from datetime import timedelta
from itertools import chain

import pytest
from sqlalchemy import text

from app.config import Settings
from app.lifecycle.service import record_signals
from tests.conftest import NOW
from tests.lifecycle import snapshots
from tests.lifecycle.conftest import PRAGUE
from tests.lifecycle.playing import Player
from tests.lifecycle.population import Happening, lives
from tests.lifecycle.replaying import figures, replayed, same

CUSTOMERS = 8
LATER = NOW + timedelta(days=130)


@pytest.fixture
def settings():
    return Settings(zone=PRAGUE.key)


OPPOSITE = {
    "kyc_passed": "kyc_rejected",
    "kyc_rejected": "kyc_passed",
    "product_opened": "product_closed",
    "account_opened": "account_closed",
    "complaint_opened": "complaint_resolved",
}


def told(seed):
    """Signals of 120 days, none taken back, all of which have occurred by `LATER`. Some are contradicted at once."""
    happenings = lives(seed, customers=CUSTOMERS, days=120, zone=PRAGUE, acts=("sweep",), retracted=0.0)
    found = list({s.key: s for h in happenings for s in h.signals if s.at <= LATER}.values())
    for n, one in enumerate(found.copy()):
        twin = replace(one, key=("z" if n % 2 else "") + one.key[::-1])
        if one.kind in OPPOSITE:
            found.append(replace(twin, kind=OPPOSITE[one.kind]))
        elif one.kind == "balance":
            found.append(replace(twin, payload=one.payload | {"balance": "77.7"}))
    return found


async def group(db, name, signals):
    """Eight customers, and the signals as they are sent for them: under keys of their own, in the same order."""
    player = Player(db, PRAGUE)
    await player.create(CUSTOMERS)
    return player, [replace(s, key=f"{name}-{s.key}") for s in signals]


async def send_all(player, batches, moments):
    for batch, at in zip(batches, moments, strict=True):
        await player.play([Happening(at, "signals", signals=tuple(batch))])


def plain(lines, player, name):
    """Lines without what names the customers and their group."""
    numbers = {str(customer_id): f"customer {n}" for n, customer_id in enumerate(player.ids)}
    names = re.compile("|".join(numbers))
    return sorted(names.sub(lambda found: numbers[found[0]], line).replace(f"{name}-", "") for line in lines)


async def tables(db, player, name, read):
    found = await read(db, player.ids)
    return {table: plain(lines, player, name) for table, lines in found.items()}


@pytest.mark.parametrize("seed", [1, 2])
async def test_invariant_3_any_order_of_arrival_with_duplicates_gives_the_same_facts_and_folds(db, seed):
    signals, rng = told(seed), random.Random(seed)
    (first, a), (second, b) = await group(db, "a", signals), await group(db, "b", signals)
    a.sort(key=lambda s: s.at)
    await send_all(first, [a[n : n + 60] for n in range(0, len(a), 60)], [LATER] * -(-len(a) // 60))
    again = rng.sample(b, len(b)) + rng.sample(b, len(b) // 2)
    batches = [again[n : n + 25] for n in range(0, len(again), 25)]
    await send_all(second, batches, [LATER + timedelta(hours=n) for n in range(len(batches))])
    snapshots.equal(await tables(db, first, "a", snapshots.facts), await tables(db, second, "b", snapshots.facts))
    until = LATER + timedelta(days=30)
    folds = [await replayed(db, PRAGUE, p.ids, until, as_occurred=True) for p in (first, second)]
    for one, other in zip(*(fold.values() for fold in folds), strict=True):
        same(one.moves, other.moves, "moves")
        same(figures(one.book.known(one.standing, until)), figures(other.book.known(other.standing, until)), "known")
    assert sum(len(course.moves) for course in folds[0].values()) >= 8


@pytest.mark.parametrize("seed", [4, 5])
async def test_invariant_3_any_order_within_a_batch_gives_the_same_stages_and_windows(db, seed):
    signals, rng = told(seed), random.Random(seed)
    (first, a), (second, b) = await group(db, "a", signals), await group(db, "b", signals)
    await send_all(first, [a], [LATER])
    await send_all(second, [rng.sample(b, len(b)) + rng.sample(b, len(b) // 2)], [LATER])
    for days in (30, 60, 90):
        found = [await tables(db, *who, snapshots.everything) for who in ((first, "a"), (second, "b"))]
        snapshots.equal(*found)
        await first.play([Happening(LATER + timedelta(days=days), "sweep")])
    assert found[0]["transitions"]


async def test_invariant_10_a_batch_of_n_customers_equals_n_batches_of_one(clone, played):
    (together, _), (apart, _) = await clone(), await clone()
    rng = random.Random(10)
    continued = lives(10, customers=36, days=25, zone=PRAGUE, start=played.now, acts=("sweep",), behind=(0,))
    player = Player(together, PRAGUE, played.ids)
    async with together.read() as connection:
        # What is sent for a merged duplicate is the other's.
        rows = await connection.execute(text("SELECT coalesce(merged_into, id) FROM customers ORDER BY id"))
        owner = dict(enumerate(rows.scalars()))
    await player.play(continued)
    for happening in continued:
        if happening.kind == "sweep":
            await Player(apart, PRAGUE, played.ids).play([happening])
            continue
        wanted = {owner[s.who] for s in happening.signals}
        own = [[s for s in happening.signals if owner[s.who] == one] for one in sorted(wanted)]
        for batch in rng.sample(own, len(own)):
            async with apart.transaction() as session:
                offered = player.offered(batch)
                await record_signals(session, offered, happening.at, PRAGUE)
    snapshots.equal(await snapshots.everything(together), await snapshots.everything(apart))
    sizes = [len({s.who for s in h.signals}) for h in continued if h.signals]
    assert max(sizes) > 8
    assert len(list(chain.from_iterable(h.signals for h in continued))) > 150
