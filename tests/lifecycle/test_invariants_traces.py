"""What was taken back, merged or parted leaves the facts as if it had never been sent, or been sent otherwise."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.lifecycle import laws, snapshots
from tests.lifecycle.conftest import PRAGUE
from tests.lifecycle.population import Happening, Sent
from tests.lifecycle.test_invariants_arrival import CUSTOMERS, LATER, group, send_all, settings, tables, told

__all__ = ["settings"]  # the fixture: the institution's zone


async def known(db, player, name):
    """The tables of facts, without the marks that a creation leaves."""
    found = await tables(db, player, name, snapshots.facts)
    return found | {"customer_fact": [line for line in found["customer_fact"] if "'stagefolio'" not in line]}


@pytest.mark.parametrize("seed", [11, 12])
async def test_invariant_3_what_was_taken_back_leaves_no_trace_in_the_facts(db, seed):
    signals, rng = told(seed), random.Random(seed)
    wrong = set(rng.sample(range(len(signals)), 40))
    (mended, a), (right, b) = await group(db, "a", signals), await group(db, "b", signals)
    await send_all(mended, [a[n : n + 30] for n in range(0, len(a), 30)], [LATER] * -(-len(a) // 30))
    back = [
        Sent(a[n].who, a[n].source, f"a-back-{n}", "signal_retracted", LATER, {"source_event_id": a[n].key})
        for n in rng.sample(sorted(wrong), len(wrong))
    ]
    await send_all(mended, [back[n : n + 7] for n in range(0, len(back), 7)], [LATER + timedelta(hours=1)] * 6)
    await send_all(right, [[s for n, s in enumerate(b) if n not in wrong]], [LATER])
    expected = await known(db, right, "b")
    snapshots.equal(await known(db, mended, "a"), expected)
    assert mended.statuses.count("accepted") == len(signals) + len(wrong)
    async with db.read() as connection:
        await laws.profiles_follow(connection, PRAGUE.key)


@pytest.mark.parametrize("seed", [13, 14])
async def test_invariant_3_a_merge_adds_up_what_both_have_done_and_a_parting_parts_it(db, seed):
    """Of two records of one person, and of one person: the same facts while they are merged."""
    signals = told(seed)
    half, rng = CUSTOMERS // 2, random.Random(seed)
    (twice, a), (once, b) = await group(db, "a", signals), await group(db, "b", signals)
    b = [replace(s, who=s.who % half) for s in b]
    late = set(rng.sample(range(len(a)), len(a) // 3))
    await send_all(twice, [[s for n, s in enumerate(a) if n not in late]], [LATER])
    before = await known(db, twice, "a")
    for who in range(half):
        await twice.play([Happening(LATER, "merge", (who, who + half))])
    await send_all(twice, [[s for n, s in enumerate(a) if n in late]], [LATER])
    await send_all(once, [b], [LATER])
    snapshots.equal(await known(db, twice, "a"), await known(db, once, "b"))
    back = [
        Sent(a[n].who, a[n].source, f"a-back-{n}", "signal_retracted", LATER, {"source_event_id": a[n].key})
        for n in late
    ]
    await send_all(twice, [back], [LATER])
    await twice.play([Happening(LATER, "part")] * half)
    snapshots.equal(await known(db, twice, "a"), before)
    async with db.read() as connection:
        await laws.profiles_follow(connection, PRAGUE.key)
