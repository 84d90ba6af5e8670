"""Laws of merging: nothing is lost, counted twice or judged twice, whoever else writes at the same moment."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.customers.merging import Wanted
from app.customers.merging import merge as merge_all
from app.customers.service import lock
from app.lifecycle.core.ledger import MONEY
from app.lifecycle.sweeps import evaluate_due
from tests.conftest import NOW
from tests.customers.merging import facts_of, merge, merged, stays_of, undo
from tests.factories import funded, make_customer, send, signal

KINDS = [
    ("deposit", {"amount": "10.10", "balance_after": "5", "account": "x"}),
    ("deposit", {"amount": "7"}),
    ("withdrawal", {"amount": "3", "balance_after": "1"}),
    ("balance", {"account": "x", "balance": "99.5"}),
    ("login", {}),
    ("trade", {}),
    ("product_opened", {"product_id": "p"}),
    ("product_closed", {"product_id": "p"}),
    ("survey_answered", {"survey": "nps", "score": 4}),
    ("risk_profile_completed", {}),
    ("kyc_rejected", {}),
]


def some_signals(rng, customer, count, before=NOW):
    chosen = [(*rng.choice(KINDS), before - timedelta(hours=rng.randrange(1, 9000))) for _ in range(count)]
    return [signal(customer, kind, at, **payload) for kind, payload, at in chosen]


@pytest.mark.parametrize("seed", range(4))
async def test_an_undone_merge_leaves_no_trace_in_the_facts(client, session, seed):
    rng = random.Random(seed)
    people = [await make_customer(client) for _ in range(2)]
    batch = [s for person in people for s in some_signals(rng, person, 25)]
    await send(client, *batch)
    taken_back = next(s for s in batch if s["type"] == "deposit")
    await send(
        client, signal(taken_back["customer"], "signal_retracted", source_event_id=taken_back["source_event_id"])
    )
    before = [await facts_of(session, person) for person in people]
    done = await merged(client, *people)
    assert await stays_of(session, people[0]) == [1, True, False]
    assert await stays_of(session, people[1]) == [1, False, True]
    assert (await undo(client, done)).status_code == 200
    assert [await facts_of(session, person) for person in people] == before
    for person in people:
        assert await stays_of(session, person) == [1, True, False]


@pytest.mark.parametrize("seed", range(4))
async def test_a_merge_adds_up_to_one_customer_who_was_sent_everything(client, session, seed):
    rng = random.Random(seed)
    whole, customer, duplicate = [await make_customer(client) for _ in range(3)]
    sent = some_signals(rng, customer, 20) + some_signals(rng, duplicate, 20)
    rng.shuffle(sent)
    late = some_signals(rng, duplicate, 5)
    for batch in (sent[:25], sent[15:]):
        await send(client, *batch)
    await merged(client, customer, duplicate)
    await send(client, *late)
    everything = [{**s, "source": "other", "customer": {"id": whole["id"]}} for s in (*sent, *late)]
    await send(client, *everything)
    await session.execute(text("UPDATE account_day SET source = 'other' WHERE source = 'core-banking'"))
    await session.execute(text("UPDATE customer_fact SET source = 'other' WHERE source = 'core-banking'"))
    ours = "AND source <> 'stagefolio'"
    assert await facts_of(session, customer, ours) == await facts_of(session, whole, ours)


async def test_what_was_due_is_done_before_a_merge(client, clock, session):
    customer, duplicate = await make_customer(client), await make_customer(client)
    await send(client, *funded(duplicate))
    clock.now = NOW + timedelta(days=200)
    await merged(client, customer, duplicate)
    rows = await session.execute(
        text(
            "SELECT t.to_stage, t.position < m.position AS earlier FROM transitions t, customer_merges m"
            " WHERE t.customer_id = :id ORDER BY t.sequence"
        ),
        {"id": duplicate["id"]},
    )
    assert [tuple(row) for row in rows] == [("growth", True), ("decline", True)], "silence had made it due before"


async def test_no_sweep_touches_a_duplicate_until_it_is_on_its_own_again(client, db, clock, settings, session):
    customer, duplicate = await make_customer(client), await make_customer(client)
    await send(client, *funded(duplicate))
    done = await merged(client, customer, duplicate)

    async def steps():
        for days in range(0, 260, 20):
            async with db.transaction() as transaction:
                await evaluate_due(transaction, clock.now + timedelta(days=days), settings.tz)
        found = await session.execute(
            text("SELECT to_stage FROM transitions WHERE customer_id = :id ORDER BY sequence"), {"id": duplicate["id"]}
        )
        return found.scalars().all()

    assert await steps() == ["growth"]
    await undo(client, done)
    clock.now = NOW + timedelta(days=1)
    assert await steps() == ["growth", "decline"]


async def test_a_customer_who_was_judged_at_a_later_moment_is_merged_at_that_moment(
    client, db, clock, settings, session
):
    customer, duplicate = await make_customer(client), await make_customer(client)
    await send(client, *funded(duplicate))
    ahead = NOW + timedelta(days=120)
    async with db.transaction() as transaction:
        await evaluate_due(transaction, ahead, settings.tz)
    await merged(client, customer, duplicate)
    noted = await session.execute(
        text(
            "SELECT i.at FROM lifecycle_inputs i JOIN customer_merges m USING (customer_id, position)"
            " WHERE i.customer_id = :id AND i.kind = 'moment'"
        ),
        {"id": customer["id"]},
    )
    [at] = noted.scalars()
    assert NOW < at <= ahead, "time does not go back for a customer"


async def test_a_duplicate_that_missed_a_publication_follows_its_customer(client, db, session):
    customer, duplicate = await make_customer(client), await make_customer(client)
    done = await merged(client, customer, duplicate)
    async with db.transaction() as transaction:
        await transaction.execute(
            text(
                "INSERT INTO lifecycle_policies (version, name, status, body, digest, created_at, published_at)"
                " SELECT 2, name, status, jsonb_set(body, '{version}', '2'), 'second', created_at, published_at"
                " FROM lifecycle_policies WHERE version = 1"
            )
        )
        await transaction.execute(
            text("UPDATE lifecycle_state SET policy_version = 2 WHERE customer_id = :id"), {"id": customer["id"]}
        )
    await undo(client, done)
    noted = await session.execute(
        text(
            "SELECT s.policy_version, i.data FROM lifecycle_state s JOIN lifecycle_inputs i USING (customer_id)"
            " WHERE s.customer_id = :id AND i.kind = 'policy'"
        ),
        {"id": duplicate["id"]},
    )
    assert [tuple(row) for row in noted] == [(2, {"from": 1, "to": 2})]


async def test_several_merges_issue_as_many_statements_as_one(client, db, settings, statements):
    counts = []
    for size in (1, 4):
        pairs = [(await make_customer(client), await make_customer(client)) for _ in range(size)]
        for pair in pairs:
            await send(client, *funded(pair[0]), *funded(pair[1]))
        wanted = [Wanted(UUID(one["id"]), UUID(other["id"]), "same") for one, other in pairs]
        statements.texts.clear()
        async with db.transaction() as session:
            await merge_all(session, wanted, NOW, actor="test")
        counts.append(len(statements.texts))
    assert counts[0] == counts[1], counts


async def test_a_set_of_merges_makes_no_chains(client, db):
    one, two, three = sorted([UUID((await make_customer(client))["id"]) for _ in range(3)])
    for wanted, codes in (
        ([(one, two), (two, three)], {"is_merged", "has_duplicates"}),
        ([(one, three), (two, three)], {"already_merged"}),
    ):
        with pytest.raises(Exception, match="merge_not_allowed") as refused:
            async with db.transaction() as session:
                await merge_all(session, [Wanted(*pair, "same") for pair in wanted], NOW, actor="test")
        assert {b["code"] for b in refused.value.blockers} == codes
    async with db.transaction() as session:
        assert len(await merge_all(session, [Wanted(one, i, "same") for i in (two, three)], NOW, actor="test")) == 2


async def test_of_two_merges_in_both_directions_one_wins(live_client):
    for _ in range(6):
        one, other = await make_customer(live_client), await make_customer(live_client)
        answers = await asyncio.gather(merge(live_client, one, other), merge(live_client, other, one))
        assert sorted(answer.status_code for answer in answers) == [201, 409], [a.text for a in answers]


async def test_signals_that_race_with_merges_and_their_undoing_are_counted_once(live_client, live):
    people = [await make_customer(live_client, external_ids=[f"race-{i}"]) for i in range(2)]
    sent = 0

    async def pay(number):
        nonlocal sent
        batch = [signal(person, "deposit", amount="1") for person in people]
        batch.append({**signal(people[1], "deposit", amount="1"), "customer": {"external_id": "race-1"}})
        random.Random(number).shuffle(batch)
        receipt = await send(live_client, *batch)
        assert {r["status"] for r in receipt["results"]} == {"accepted"}
        sent += len(batch)

    async def regroup():
        for _ in range(4):
            assert (await undo(live_client, await merged(live_client, *people))).status_code == 200

    await asyncio.gather(regroup(), *(pay(number) for number in range(16)))
    async with live.read() as connection:
        by_origin = text(
            "SELECT count(*) FROM signals WHERE customer_id = :id AND origin_id IS NULL AND type = 'deposit'"
        )
        counts = [await connection.scalar(by_origin, {"id": person["id"]}) for person in people]
        assert counts == [16, 32]
        inflow = [(await facts_of(connection, person))["customer_totals"][0][0] for person in people]
        assert inflow == [16 * MONEY, 32 * MONEY]
    await merged(live_client, *people)
    async with live.read() as connection:
        assert (await facts_of(connection, people[0]))["customer_totals"][0][0] == sent * MONEY


async def test_signals_wait_for_a_merge_and_follow_it(live_client, live, settings):
    customer, duplicate = await make_customer(live_client), await make_customer(live_client)
    async with live.transaction() as session:
        await lock(session, [UUID(customer["id"]), UUID(duplicate["id"])])
        waiting = asyncio.create_task(send(live_client, signal(duplicate, "trade")))
        await asyncio.sleep(0.2)
        wanted = Wanted(UUID(customer["id"]), UUID(duplicate["id"]), "same")
        await merge_all(session, [wanted], NOW, actor="test")
    receipt = await waiting
    assert [r["customer_id"] for r in receipt["results"]] == [customer["id"]]
    async with live.read() as connection:
        origin = await connection.scalar(text("SELECT origin_id FROM signals WHERE type = 'trade'"))
        assert str(origin) == duplicate["id"]
