"""Invariants 4 and 5: many evaluators at once, and evaluators that are killed, come to what one comes to in peace."""

import asyncio
import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from app.customers.service import lock
from app.lifecycle.service import catch_up
from tests.lifecycle import laws, snapshots
from tests.lifecycle.crowd import Task, sweep
from tests.lifecycle.playing import Player
from tests.lifecycle.population import ACTS, MICROSECOND, Happening, lives
from tests.lifecycle.replaying import agree


async def run(task, tmp_path):
    """What the crowd prints when it has done its work."""
    path = tmp_path / "task"
    path.write_bytes(pickle.dumps(task))
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "tests.lifecycle.crowd", path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_invariant_4_eight_evaluators_at_once_equal_one(clone, played):
    late = played.now + timedelta(days=200)
    (alone, _), (crowded, _) = await clone(), await clone()
    async with alone.transaction() as session:
        await catch_up(session, await lock(session, played.ids), late, played.zone)
    shares = await asyncio.gather(*(sweep(crowded, late, played.zone, int) for _ in range(8)))
    snapshots.equal(await snapshots.everything(alone), await snapshots.everything(crowded))
    assert sum(share > 0 for share in shares) >= 3, "nobody had anything to share"


async def test_invariant_4_eight_processes_at_once_equal_one(clone, played, tmp_path):
    late = played.now + timedelta(days=200)
    (alone, _), (crowded, url) = await clone(), await clone()
    await sweep(alone, late, played.zone, int)
    task = Task(url, played.zone.key, played.ids, [], sweep_at=late, processes=8)
    assert await run(task, tmp_path) == str([0] * 8)
    snapshots.equal(await snapshots.everything(alone), await snapshots.everything(crowded))


class Impatient(Player):
    """Does again what PostgreSQL refused because of a deadlock, as a sender would."""

    async def play(self, happenings):
        for happening in happenings:
            for _ in range(20):
                try:
                    await super().play([happening])
                    break
                except DBAPIError as error:
                    assert error.orig.sqlstate == "40P01", error


@pytest.mark.parametrize("seed", [40, 50])
async def test_invariants_hold_after_six_have_done_everything_at_once(clone, played, seed):
    """Six clocks, seconds or days apart: signals, sweeps, edits, pins, moves, rollouts, merges, one beside the other."""
    database, _ = await clone()
    acts = tuple(act for act in ACTS if act != "publish")
    told = [
        lives(seed + n, customers=36, days=6, zone=played.zone, start=played.now, acts=acts, retracted=0.2)
        for n in range(6)
    ]
    players = [Impatient(database, played.zone, played.ids, version=played.version) for _ in told]
    await asyncio.gather(*(player.play(mine) for player, mine in zip(players, told, strict=True)))
    now = max(mine[-1].at for mine in told)
    async with database.read() as connection:
        await laws.one_chain(connection)
        await laws.only_edges(connection)
        await laws.bound_stay(connection)
        await laws.profiles_follow(connection, played.zone.key)
    await agree(database, played.zone, now, played.ids)


async def test_invariant_5_a_sender_whose_receiver_is_killed_again_and_again_loses_and_doubles_nothing(
    clone, played, tmp_path
):
    """The sender repeats everything from the beginning each time, as it cannot know what arrived.

    All that happened in a month comes at its end, so that a repetition is judged at the moment of the first attempt. Who
    was moved by the last batch is due at once; a repetition evaluates them, so a sweep does so here, too.
    """
    (calm, _), (wild, url) = await clone(), await clone()
    told = lives(5, customers=36, days=30, zone=played.zone, start=played.now, acts=("sweep",), behind=(0,))
    batches = [replace(h, at=told[-1].at + n * MICROSECOND) for n, h in enumerate(h for h in told if h.signals)][:24]
    await Player(calm, played.zone, played.ids).play(batches)
    task = Task(url, played.zone.key, played.ids, batches, kills=12, seed=5)
    assert int(await run(task, tmp_path)) >= 10
    for database in (calm, wild):
        await sweep(database, batches[-1].at, played.zone, int)
    snapshots.equal(await snapshots.everything(calm), await snapshots.everything(wild))


async def test_invariant_5_a_sweep_that_is_killed_again_and_again_evaluates_everybody_once(clone, played, tmp_path):
    late = played.now + timedelta(days=200)
    (calm, _), (wild, url) = await clone(), await clone()
    await Player(calm, played.zone, played.ids).play([Happening(late, "sweep")])
    task = Task(url, played.zone.key, played.ids, [], sweep_at=late, kills=8, seed=6)
    assert int(await run(task, tmp_path)) >= 4
    snapshots.equal(await snapshots.everything(calm), await snapshots.everything(wild))
