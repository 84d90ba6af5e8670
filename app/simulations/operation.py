"""A simulation as an operation: chunk by chunk, with progress, cancelled between two, resumed after a crash."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from app.operations.running import Item, Work, handles
from app.simulations.asking import KIND, wanted_of
from app.simulations.comparing import Tally, difference, differs
from app.simulations.running import chunks, population

MOST_LISTED = 50_000
"""Customers who differ that are kept one by one; more are counted only."""


@handles(KIND)
async def simulate(work: Work) -> dict[str, Any]:
    """Replay the population and store who differs. Returns a `SimulationResult`."""
    worker = work.worker
    wanted = wanted_of(work.params, work.state["document"], worker.settings.tz)
    counts = await population(worker.database, wanted)
    tally = Tally(**work.state.get("tally", {}))
    async with worker.database.transaction() as session:
        await work.save(session, total=counts["customers"])
    listed: int = work.state.get("listed", 0)
    after = work.state.get("after")
    async for last, chunk in chunks(worker.database, wanted, worker.clock(), after and UUID(after)):
        tally.add(chunk.pairs, wanted.period)
        for side in (0, 1):
            tally.add_load(side, chunk.due[side])
        apart = [pair for pair in chunk.pairs if differs(pair, wanted.period)][: MOST_LISTED - listed]
        items = [
            Item(n, pair.live.customer_id, "differs", None, difference(pair, wanted.period))
            for n, pair in enumerate(apart, listed + 1)
        ]
        listed += len(items)
        state = {**work.state, "tally": asdict(tally), "listed": listed, "after": str(last)}
        async with worker.database.transaction() as session:
            await work.add_items(session, items)
            await work.save(session, done=tally.customers, total=max(counts["customers"], tally.customers), state=state)
    left_out = {"erased": counts["erased"], "merged": counts["merged"]}
    return {**tally.result(), "listed": listed, "left_out": left_out}
