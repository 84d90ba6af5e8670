"""Many customers moved by hand: each as a single move would, exactly once, and told one by one."""

import asyncio
import signal as signals
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.customers.schemas import CustomerCreate
from app.customers.service import create_customers, lock
from app.jobs import Worker
from app.lifecycle import batches
from app.lifecycle.batches import PIECE
from app.lifecycle.by_hand import Move, move
from app.operations.running import run_now
from tests.conftest import NOW
from tests.factories import make_customer, send, signal
from tests.operations.arrange import let_the_lease_end, row_of, until, wait_for_status
from tests.operations.test_operation_crash import worker_process

URL = "/v1/lifecycle/batch-transitions"
WHY = "agreed at the branch"
NOBODY = "00000000-0000-7000-8000-000000000000"


async def begin(client, **body):
    answer = await client.post(URL, json={"to": "trial", "reason": WHY, **body})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/operations/{answer.json()['id']}"
    return answer.json()


async def carry_out(client, database, settings, clock, **body):
    """Begin a batch and do it; the operation when it has ended."""
    operation = await begin(client, **body)
    await run_now(Worker(database, settings, clock, http=None), UUID(operation["id"]))
    return (await client.get(f"/v1/operations/{operation['id']}")).json()


async def items_of(client, operation):
    return (await client.get(f"/v1/operations/{operation['id']}/items", params={"limit": 200})).json()["items"]


async def read(client, customer):
    return (await client.get(f"/v1/customers/{customer['id']}")).json()


async def rows(database, query, **values):
    async with database.read() as connection:
        return (await connection.execute(text(query), values)).all()


async def test_everybody_is_moved_or_told_why_not(client, db, settings, clock):
    willing = await make_customer(client)
    there = await make_customer(client, stage="trial", playbook_mode="none")
    far = await make_customer(client, stage="mature", playbook_mode="none")
    dead = await make_customer(client, holds=["deceased"])
    ids = [willing["id"], there["id"], NOBODY, far["id"], dead["id"], willing["id"]]
    done = await carry_out(client, db, settings, clock, customer_ids=ids)
    assert (done["status"], done["kind"], done["actor"]) == ("succeeded", "batch_transitions", "key:test")
    assert done["result"] == {"moved": 1, "blocked": 3, "missing": 1}
    assert done["progress"] == {"done": 5, "total": 5, "share": 1.0}
    assert "customer_ids" not in done["params"]
    items = await items_of(client, done)
    assert [(i["ordinal"], i["customer_id"], i["outcome"], i["code"]) for i in items] == [
        (0, willing["id"], "moved", None),
        (1, there["id"], "blocked", "same_stage"),
        (2, None, "missing", "unknown_customer"),
        (3, far["id"], "blocked", "no_edge"),
        (4, dead["id"], "blocked", "hold"),
    ]
    [step] = (await client.get(f"/v1/customers/{willing['id']}/transitions")).json()["items"]
    assert items[0]["data"] == {"transition_id": step["id"], "sequence": 1, "from": "prospect", "to": "trial"}
    assert (step["kind"], step["reason"], step["actor"]) == ("manual", WHY, "key:test")
    assert items[2]["data"] == {"customer_id": NOBODY}
    [blocker] = items[3]["data"]["blockers"]
    assert (blocker["from"], blocker["to"], blocker["allowed"]) == ("mature", "trial", ["decline", "growth"])
    moved = await read(client, willing)
    assert (moved["stage"], moved["pin"]) == ("trial", {"until": "2026-04-01T10:00:00Z", "reason": WHY})


async def test_a_batch_does_to_a_customer_what_a_single_move_does(client, db, settings, clock):
    one, other = await make_customer(client), await make_customer(client)
    url = f"/v1/customers/{one['id']}/transitions"
    await client.post(url, json={"to": "trial", "reason": WHY}, headers={"If-Match": "*"})
    await carry_out(client, db, settings, clock, customer_ids=[other["id"]])
    seen = []
    for customer in (one, other):
        actions = await rows(
            db, "SELECT key, status, due_at, cause FROM actions WHERE customer_id = :id ORDER BY 1", id=customer["id"]
        )
        state = await rows(
            db, "SELECT entry, next_evaluation_at FROM lifecycle_state WHERE customer_id = :id", id=customer["id"]
        )
        profile = {name: value for name, value in (await read(client, customer)).items() if name in ("pin", "version")}
        seen.append((actions, state, profile))
    assert seen[0] == seen[1]
    assert seen[0][0]


async def test_a_batch_may_start_nothing(client, db, settings, clock):
    customers = {mode: await make_customer(client) for mode in ("none", "dwell_only", "full")}
    planned = {}
    for mode, customer in customers.items():
        await carry_out(client, db, settings, clock, customer_ids=[customer["id"]], playbook_mode=mode)
        [[planned[mode]]] = await rows(
            db, "SELECT count(*) FROM actions WHERE customer_id = :id AND cause = 'manual'", id=customer["id"]
        )
    assert 0 == planned["none"] < planned["dwell_only"] < planned["full"]


async def test_the_set_of_a_filter_is_settled_when_the_batch_begins(client, db, settings, clock):
    wanted = [await make_customer(client, tags=["fair"], tier="A") for _ in range(2)]
    await make_customer(client, tags=["fair"], tier="B")
    await make_customer(client, tags=["other"], tier="A")
    operation = await begin(client, filter={"tag": "fair", "tier": ["A", "C"], "stage": ["prospect"]})
    late = await make_customer(client, tags=["fair"], tier="A")
    await run_now(Worker(db, settings, clock, http=None), UUID(operation["id"]))
    items = await items_of(client, operation)
    assert {i["customer_id"] for i in items} == {c["id"] for c in wanted}
    assert {i["outcome"] for i in items} == {"moved"}
    assert (await read(client, late))["stage"] == "prospect"
    assert operation["params"]["filter"]["tag"] == "fair"
    nobody = await carry_out(client, db, settings, clock, filter={"owner": "nobody at all"})
    assert (nobody["status"], nobody["result"]) == ("succeeded", {"moved": 0, "blocked": 0, "missing": 0})


async def test_the_rules_do_first_what_was_due(client, db, settings, clock):
    customer = await make_customer(client)
    await send(client, signal(customer, "account_opened", account="main"))
    clock.now = NOW + timedelta(days=50)
    done = await carry_out(client, db, settings, clock, customer_ids=[customer["id"]], to="growth")
    assert done["result"]["moved"] == 1
    steps = (await client.get(f"/v1/customers/{customer['id']}/transitions")).json()["items"]
    assert [(s["rule_id"], s["to_stage"]) for s in reversed(steps)] == [
        ("trial_started", "trial"),
        ("recycled", "prospect"),
        (None, "growth"),
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"customer_ids": [NOBODY], "filter": {"tag": "x"}}, ""),
        ({"customer_ids": []}, "/customer_ids"),
        ({"customer_ids": [NOBODY] * 10_001}, "/customer_ids"),
        ({"customer_ids": ["not-an-id"]}, "/customer_ids/0"),
        ({"filter": {}}, "/filter"),
        ({"filter": {"stage": ["nirvana"]}}, "/filter/stage/0"),
        ({"filter": {"kind": "individual"}}, "/filter/kind"),
        ({"customer_ids": [NOBODY], "to": "nirvana"}, "/to"),
        ({"customer_ids": [NOBODY], "reason": "  "}, "/reason"),
        ({"customer_ids": [NOBODY], "playbook_mode": "some"}, "/playbook_mode"),
    ],
)
@pytest.mark.parametrize("path", [URL, f"{URL}/preview"])
async def test_a_batch_that_makes_no_sense_is_refused_with_the_field(client, path, body, pointer):
    answer = await client.post(path, json={"to": "trial", "reason": WHY, **body})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await client.get("/v1/operations")).json()["items"] == []


async def test_a_filter_that_matches_too_many_is_refused(client, monkeypatch):
    monkeypatch.setattr(batches, "MOST_FILTERED", 2)
    for _ in range(3):
        await make_customer(client, tags=["crowd"])
    answer = await client.post(URL, json={"filter": {"tag": "crowd"}, "to": "trial", "reason": WHY})
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/filter", "too_many")]


async def test_moving_many_takes_as_many_statements_as_moving_one(client, db, settings, statements):
    counts = []
    for many in (1, 30):
        customers = [UUID((await make_customer(client))["id"]) for _ in range(many)]
        async with db.transaction() as session:
            await lock(session, customers)
            statements.texts.clear()
            answers = await move(session, [Move(i, "trial", WHY) for i in customers], "key:test", NOW, settings.tz)
            counts.append(len(statements.texts))
        assert len(answers) == many
    assert counts[0] == counts[1]


async def crowd(database, settings, many):
    """So many new prospects, in id order."""
    people = [CustomerCreate(full_name=f"Customer {n}", kyc_status="passed") for n in range(many)]
    async with database.transaction() as session:
        return sorted(await create_customers(session, people, NOW, zone=settings.zone, silent=True))


async def steps_of(database):
    """Number of transitions of each customer who has any."""
    found = await rows(database, "SELECT customer_id, count(*) AS n FROM transitions GROUP BY customer_id")
    return {row.customer_id: row.n for row in found}


async def test_a_batch_whose_worker_is_killed_goes_on_and_moves_nobody_twice(
    live, live_client, live_url, settings, clock
):
    ids = await crowd(live, settings, PIECE + 20)
    operation = await begin(live_client, customer_ids=[str(i) for i in ids])
    operation_id = UUID(operation["id"])

    async def first_piece_done():
        return (await row_of(live, operation_id)).done == PIECE

    async with live.transaction() as session:
        await lock(session, ids[-1:])  # the second piece has to wait
        with worker_process(live_url) as killed:
            await until(first_piece_done, seconds=60)
            await asyncio.sleep(0.3)
            killed.send_signal(signals.SIGKILL)
            await asyncio.to_thread(killed.wait)
    assert await steps_of(live) == dict.fromkeys(ids[:PIECE], 1)
    await let_the_lease_end(live)
    await run_now(Worker(live, settings, clock, http=None), operation_id)
    done = (await live_client.get(f"/v1/operations/{operation_id}")).json()
    assert (done["status"], done["result"]) == ("succeeded", {"moved": len(ids), "blocked": 0, "missing": 0})
    assert await steps_of(live) == dict.fromkeys(ids, 1)
    told = await rows(live, "SELECT customer_id FROM operation_items ORDER BY ordinal")
    assert [row.customer_id for row in told] == ids


async def test_a_cancelled_batch_ends_between_two_pieces(live, live_client, settings, clock):
    ids = await crowd(live, settings, PIECE + 20)
    operation = await begin(live_client, customer_ids=[str(i) for i in ids])
    operation_id = UUID(operation["id"])

    async def first_piece_done():
        return (await row_of(live, operation_id)).done == PIECE

    async with live.transaction() as session:
        await lock(session, ids[-1:])
        running = asyncio.create_task(run_now(Worker(live, settings, clock, http=None), operation_id))
        await until(first_piece_done, seconds=60)
        await live_client.post(f"/v1/operations/{operation_id}/cancel")
    await running
    await wait_for_status(live, operation_id, "cancelled")
    assert await steps_of(live) == dict.fromkeys(ids[:PIECE], 1)
    assert len(await rows(live, "SELECT 1 FROM operation_items")) == PIECE


async def test_the_options_are_what_a_move_would_answer(client):
    for stage in ("prospect", "trial", "growth", "mature", "decline"):
        customer = await make_customer(client, stage=stage, playbook_mode="none")
        url = f"/v1/customers/{customer['id']}/transitions"
        answer = (await client.get(f"{url}/options")).json()
        assert answer["stage"] == stage
        assert len(answer["items"]) == 4
        refused = [option for option in answer["items"] if not option["allowed"]]
        for option in refused:
            tried = await client.post(url, json={"to": option["to"], "reason": WHY}, headers={"If-Match": "*"})
            assert (tried.status_code, tried.json()["blockers"]) == (409, option["blockers"])
        welcome = next(option for option in answer["items"] if option["allowed"])
        assert welcome["blockers"] == []
        moved = await client.post(url, json={"to": welcome["to"], "reason": WHY}, headers={"If-Match": "*"})
        assert moved.status_code == 201


async def test_somebody_who_died_has_no_options(client):
    customer = await make_customer(client, holds=["deceased"])
    options = (await client.get(f"/v1/customers/{customer['id']}/transitions/options")).json()["items"]
    assert [option["allowed"] for option in options] == [False] * 4
    assert all({"code": "hold", "hold": "deceased"} in option["blockers"] for option in options)


async def test_a_move_based_on_what_time_has_changed_is_stale(client, clock):
    customer = await make_customer(client)
    await send(client, signal(customer, "account_opened", account="main"))
    version = (await read(client, customer))["version"]
    clock.now = NOW + timedelta(days=50)
    url = f"/v1/customers/{customer['id']}/transitions"
    answer = await client.post(url, json={"to": "growth", "reason": WHY}, headers={"If-Match": f'"{version}"'})
    assert (answer.status_code, answer.json()["code"]) == (412, "stale")
