"""Sample data through the real path: a few simulated customers over some months, on databases that commit."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random

import pytest
from sqlalchemy import text

from app.config import Settings
from app.db import Database
from app.demo.loading import TASKS_TAKE, Fed, SignalRefused, Stopped, as_one, feed
from app.demo.shapes import DemoSignal
from app.demo.simulate import Institution, simulate
from app.lifecycle.parking import Offered
from app.lifecycle.service import record_signals

END = date(2026, 3, 1)
BEGIN = END - timedelta(days=365)
UNTIL = BEGIN + timedelta(days=130)

HISTORY = """SELECT x.external_id, t.sequence, t.rule_id, t.to_stage, t.effective_at FROM transitions t
JOIN customer_external_ids x USING (customer_id) ORDER BY 1, 2"""
ACTIONS = """SELECT x.external_id, a.key, a.occurrence, a.due_at, a.status, a.reason, a.outcome FROM actions a
JOIN customer_external_ids x USING (customer_id) ORDER BY 1, 2, 3, 4"""
FACTS = (
    "SELECT x.external_id, d.* FROM customer_day d JOIN customer_external_ids x USING (customer_id)",
    "SELECT x.external_id, d.* FROM customer_totals d JOIN customer_external_ids x USING (customer_id)",
    "SELECT x.external_id, d.* FROM account_day d JOIN customer_external_ids x USING (customer_id)",
    (
        "SELECT x.external_id, d.* FROM customer_fact d JOIN customer_external_ids x USING (customer_id)"
        " WHERE d.source <> 'stagefolio'"
    ),
)


@pytest.fixture(scope="module")
def few() -> Institution:
    """The simulated customers of the first two months, and what they did up to UNTIL."""
    whole = simulate(customers=40, years=1, end=END)
    customers = [one for one in whole.customers if one.created_on < BEGIN + timedelta(days=60)][:8]
    names = {one.external_id for one in customers}
    midnight = datetime.combine(UNTIL, time(), UTC)
    signals = [one for one in whole.signals if one.external_id in names and one.occurred_at < midnight]
    assert len(customers) == 8
    assert len(signals) > 80
    return Institution(customers, signals, [])


async def load(database: Database, settings: Settings, few: Institution, **options) -> Fed:
    return await feed(database, settings, few.customers, few.signals, until=UNTIL, step_days=6, **options)


async def rows(database: Database, query: str) -> list[tuple]:
    async with database.read() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def facts(database: Database) -> list[list[tuple]]:
    """All sums and facts, by external id, without the ids that differ from database to database."""
    found = [await rows(database, query) for query in FACTS]
    return [sorted((row[0], *map(str, row[2:])) for row in table) for table in found]


async def test_customers_live_and_feeding_again_adds_nothing(live: Database, settings: Settings, few: Institution):
    added = await load(live, settings, few)
    assert (added.customers, added.signals) == (len(few.customers), len(few.signals))
    before = await rows(live, HISTORY), await rows(live, ACTIONS), await facts(live)
    assert added.transitions == len(before[0]) > 3
    assert added.actions > 20

    assert await load(live, settings, few) == Fed()
    assert (await rows(live, HISTORY), await rows(live, ACTIONS), await facts(live)) == before


async def test_what_was_stopped_goes_on_as_if_it_had_never_been(
    live: Database, db: Database, settings: Settings, few: Institution
):
    asked = iter(range(100))
    with pytest.raises(Stopped):
        await load(live, settings, few, stopped=lambda: next(asked) >= 11)
    early = len(await rows(live, "SELECT 1 FROM signals WHERE source <> 'stagefolio'"))
    rest = await load(live, settings, few)
    assert 0 < rest.signals == len(few.signals) - early

    await load(db, settings, few)
    assert await rows(live, HISTORY) == await rows(db, HISTORY)
    assert await rows(live, ACTIONS) == await rows(db, ACTIONS)


async def test_facts_do_not_depend_on_the_order_of_batches(
    live: Database, db: Database, settings: Settings, few: Institution
):
    await load(db, settings, few)
    await feed(live, settings, few.customers, [], until=BEGIN + timedelta(days=60), step_days=60)
    shuffled = Random(5).sample(few.signals, len(few.signals))
    now = datetime.combine(UNTIL, time(), UTC)
    for at in range(0, len(shuffled), 90):
        async with live.transaction() as session:
            await record_signals(session, [offered(s) for s in shuffled[at : at + 90]], now, settings.tz)
    assert await facts(live) == await facts(db)


def offered(signal: DemoSignal) -> Offered:
    return Offered(
        None,
        signal.external_id,
        signal.source,
        signal.source_event_id,
        signal.type,
        signal.occurred_at,
        signal.payload,
    )


async def test_what_is_fed_as_one_is_seen_when_it_is_complete_and_leaves_nothing_when_it_is_not(
    live: Database, settings: Settings, few: Institution
):
    seen = []
    asked = iter(range(100))

    async def look(*_) -> None:
        seen.append(len(await rows(live, "SELECT 1 FROM customers")))

    with pytest.raises(Stopped):
        async with as_one(live) as inside:
            await load(inside, settings, few, beside=look, stopped=lambda: next(asked) >= 10)
    assert set(seen) == {0}
    assert await rows(live, "SELECT 1 FROM customers") == []
    async with as_one(live) as inside:
        added = await load(inside, settings, few)
    assert added.customers == len(few.customers) == len(await rows(live, "SELECT 1 FROM customers"))


async def test_the_list_of_tasks_shows_the_last_month_and_older_ones_are_done(
    db: Database, settings: Settings, few: Institution
):
    await load(db, settings, few)
    since = datetime.combine(UNTIL, time(), UTC) - TASKS_TAKE
    tasks = await rows(db, "SELECT status, due_at, outcome, finished_by FROM actions WHERE kind = 'task'")
    assert all(due >= since - timedelta(seconds=1) for status, due, *_ in tasks if status == "claimed")
    done = [(outcome, by) for status, _, outcome, by in tasks if status == "done"]
    assert set(done) == {("done", "demo")}


async def test_a_signal_that_is_not_accepted_is_named_and_nothing_of_its_step_is_kept(
    db: Database, settings: Settings, few: Institution
):
    unknown = replace(few.signals[50], type="wish")
    with pytest.raises(SignalRefused, match=rf"{unknown.source_event_id}: rejected: type: not a known type"):
        await feed(db, settings, few.customers, [unknown], until=END, step_days=365)
    nobody = replace(few.signals[50], external_id="nobody")
    with pytest.raises(SignalRefused, match="parked"):
        await feed(db, settings, few.customers, [nobody], until=END, step_days=365)
    assert await rows(db, "SELECT 1 FROM customers") == []
