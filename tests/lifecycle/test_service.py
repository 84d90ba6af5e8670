"""Laws of the lifecycle on a real database: statement counts, order of arrival, time, concurrency."""

import asyncio
import random
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.customers.service import lock
from app.lifecycle.core.ledger import MONEY
from app.lifecycle.parking import Offered
from app.lifecycle.service import catch_up, record_signals
from app.lifecycle.sweeps import evaluate_due
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal


def offered(signals):
    from datetime import datetime
    from uuid import UUID

    return [
        Offered(
            UUID(s["customer"]["id"]), None, s["source"], s["source_event_id"], s["type"],
            datetime.fromisoformat(s["occurred_at"]), s["payload"],
        )
        for s in signals
    ]  # fmt: skip


async def test_a_batch_of_500_signals_issues_as_many_statements_as_one_of_5(client, db, settings, statements):
    customers = [await make_customer(client) for _ in range(100)]
    counts = []
    for size in (1, 100):
        batch = [s for c in customers[:size] for s in [*funded(c), *(signal(c, "login") for _ in range(3))]]
        statements.texts.clear()
        async with db.transaction() as session:
            _, changes = await record_signals(session, offered(batch), NOW, settings.tz)
        assert len(changes) == size
        counts.append(len(statements.texts))
        customers = customers[size:] + [await make_customer(client) for _ in range(size)]
    assert counts[0] == counts[1], counts


async def test_any_order_of_arrival_gives_the_same_facts(client, session):
    first, second = await make_customer(client), await make_customer(client)
    rng = random.Random(7)
    kinds = [("deposit", {"amount": "10.10", "balance_after": "5"}), ("login", {}), ("withdrawal", {"amount": "3"}),
             ("product_opened", {"product_id": "p"}), ("product_closed", {"product_id": "p"}), ("trade", {})]  # fmt: skip
    events = [(*rng.choice(kinds), NOW - timedelta(hours=rng.randrange(1, 4000)), f"n{i}") for i in range(60)]
    for customer, order in ((first, events), (second, rng.sample(events, len(events)))):
        batch = [
            {**signal(customer, kind, at, **payload), "source": customer["id"], "source_event_id": name}
            for kind, payload, at, name in order
        ]
        for part in (batch[:25], batch[20:], batch[:5]):
            await send(client, *part)
    for table, columns in (
        ("customer_day", "day, inflow, outflow, deposits, trades, logins, activity"),
        ("customer_totals", "inflow, outflow, trades, first_funded_on, last_active_on, since_on"),
        ("account_day", "account, day, balance, occurred_at"),
        ("customer_fact", "name, value, occurred_at"),
    ):
        where = "AND source <> 'stagefolio'" if table == "customer_fact" else ""
        rows = [
            (
                await session.execute(
                    text(f"SELECT {columns} FROM {table} WHERE customer_id = :id {where} ORDER BY 1, 2"),
                    {"id": c["id"]},
                )
            ).all()
            for c in (first, second)
        ]
        assert rows[0] == rows[1], table


async def test_silence_alone_leads_to_decline(client, db, clock, settings):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    moved = []
    for days in range(0, 240, 10):
        async with db.transaction() as session:
            _, changes = await evaluate_due(session, NOW + timedelta(days=days), settings.tz)
        moved += changes
    assert [(c.from_stage, c.to_stage) for c in moved] == [("growth", "decline")]
    quiet = (moved[0].effective_at - NOW).days
    assert 179 <= quiet <= 181, "the step is dated when it became due, not when the sweep came by"


async def test_a_late_sweep_gives_the_same_history_as_a_punctual_one(client, db, settings):
    punctual, late = await make_customer(client), await make_customer(client)
    for customer in (punctual, late):
        await send(client, *funded(customer))
    steps = {punctual["id"]: range(1, 400), late["id"]: [399]}
    histories = {}
    for customer_id, days in steps.items():
        for day in days:
            async with db.transaction() as session:
                ids = await lock(session, [customer_id])
                changes = await catch_up(session, ids, NOW + timedelta(days=day), settings.tz)
            histories.setdefault(customer_id, []).extend(
                (c.from_stage, c.to_stage, c.rule_id, c.effective_at) for c in changes
            )
    assert histories[punctual["id"]] == histories[late["id"]]
    assert histories[late["id"]]


async def test_a_fall_of_prices_moves_nobody(client, db, settings, clock):
    customer = await make_customer(client)
    await send(client, *funded(customer), signal(customer, "balance", account="main", balance="25000"))
    for day in range(1, 60):
        clock.now = NOW + timedelta(days=day)
        value = 25000 * (1 - 0.5 * day / 60)
        receipt = await send(
            client,
            signal(customer, "login", clock.now),
            signal(customer, "balance", clock.now, account="main", balance=f"{value:.2f}"),
        )
        assert receipt["transitions"] == []


async def test_the_database_refuses_a_stage_without_its_transition(live_client, live):
    customer = await make_customer(live_client)
    with pytest.raises(Exception, match="by a transition only"):
        async with live.transaction() as session:
            await session.execute(text("UPDATE customers SET stage = 'mature' WHERE id = :id"), {"id": customer["id"]})
    with pytest.raises(Exception, match="uq_stage_intervals_open"):
        async with live.transaction() as session:
            await session.execute(
                text(
                    "INSERT INTO stage_intervals (id, customer_id, stage, cycle, entered_at)"
                    " VALUES (gen_random_uuid(), :id, 'trial', 1, now())"
                ),
                {"id": customer["id"]},
            )


async def test_eight_writers_at_once_give_the_result_of_one(live_client, live, settings):
    customers = [await make_customer(live_client) for _ in range(12)]
    batches = []
    for part in range(8):
        batch = [s for c in customers for s in (signal(c, "login"), signal(c, "deposit", amount="1500"))]
        batch += [s for c in customers for s in funded(c)] if part == 3 else []
        batches.append(random.Random(part).sample(batch, len(batch)))

    async def write(batch):
        async with live.transaction() as session:
            await record_signals(session, offered(batch), NOW, settings.tz)

    await asyncio.gather(*(write(batch) for batch in batches))
    async with live.read() as connection:
        totals = (await connection.execute(text("SELECT DISTINCT inflow FROM customer_totals"))).scalars().all()
        assert totals == [(8 * 1500 + 25000) * MONEY]
        steps = await connection.execute(
            text("SELECT customer_id, array_agg(sequence ORDER BY sequence) FROM transitions GROUP BY 1")
        )
        assert all(row[1] == list(range(1, len(row[1]) + 1)) for row in steps)
        open_ones = await connection.execute(
            text("SELECT count(*), count(DISTINCT customer_id) FROM stage_intervals WHERE exited_at IS NULL")
        )
        assert tuple(open_ones.one()) == (12, 12)
        stages = await connection.execute(text("SELECT DISTINCT stage FROM customers"))
        assert stages.scalars().all() == ["growth"]
