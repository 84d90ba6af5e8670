"""What a move would do is told before, and is then what happens."""

from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from app.jobs import Worker
from app.operations.running import run_now
from app.playbooks.performing import run_due_actions
from app.playbooks.service import shipped_document
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal

URL = "/v1/lifecycle/batch-transitions"
WHY = "agreed at the branch"
NOBODY = "00000000-0000-7000-8000-000000000000"

ACTIONS = text("SELECT id, customer_id, key, kind, stage, status, due_at FROM actions")


async def actions_of(database):
    async with database.read() as connection:
        return {row.id: row for row in await connection.execute(ACTIONS)}


async def preview(client, **body):
    answer = await client.post(f"{URL}/preview", json={"reason": WHY, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def carry_out(client, worker, **body):
    operation = (await client.post(URL, json={"reason": WHY, **body})).json()
    await run_now(worker, UUID(operation["id"]))
    url = f"/v1/operations/{operation['id']}"
    items = (await client.get(f"{url}/items", params={"limit": 200})).json()["items"]
    return (await client.get(url)).json(), items


def started(before, after):
    """What is planned now and was not: (key, kind, stage) -> customers and the first time."""
    new = [after[i] for i in after.keys() - before.keys()]
    counts = Counter((a.key, a.kind, a.stage) for a in new)
    first = {(a.key, a.kind, a.stage): a.due_at for a in sorted(new, key=lambda a: a.due_at, reverse=True)}
    return {key: (count, first[key]) for key, count in counts.items()}


def stopped(before, after):
    """What was planned and is cancelled now: (key, kind) -> customers."""
    gone = [a for i, a in before.items() if a.status == "planned" and after[i].status == "cancelled"]
    return dict(Counter((a.key, a.kind) for a in gone))


async def agree(client, worker, clock, **body):
    """Preview a batch, do it a little later, and compare; the preview."""
    told = await preview(client, **body)
    before = await actions_of(worker.database)
    done, items = await carry_out(client, worker, **body)
    after = await actions_of(worker.database)
    said = {
        (s["key"], s["kind"], s["stage"]): (s["customers"], datetime.fromisoformat(s["first_due_at"]))
        for s in told["starts"]
    }
    assert said == started(before, after)
    assert {(s["key"], s["kind"]): s["customers"] for s in told["stops"]} == stopped(before, after)
    assert (told["customers"], told["allowed"]) == (done["progress"]["total"], done["result"]["moved"])
    assert {b["code"]: b["customers"] for b in told["blocked"]} == Counter(i["code"] for i in items if i["code"])
    for shown, item in zip(told["sample"], items, strict=False):
        assert shown["allowed"] == (item["outcome"] == "moved")
        if item["outcome"] == "blocked":
            assert shown["blockers"] == item["data"]["blockers"]
    return told


async def people(client):
    """A mixed crowd in growth: tiers, kinds, owners, lengths of stay, and some who cannot be moved."""
    made = []
    for n in range(8):
        fields = {"tier": "ABC"[n % 3], "owner": "li.na" if n % 2 else None}
        fields |= {"kind": "business"} if n == 5 else {}
        made.append(await make_customer(client, **fields))
        await send(client, *funded(made[-1]))
    made.append(await make_customer(client, stage="growth", playbook_mode="none"))
    made.append(await make_customer(client, holds=["deceased"], stage="growth", playbook_mode="none"))
    made.append(await make_customer(client))
    return [customer["id"] for customer in made]


async def test_a_batch_does_what_its_preview_says(live, live_client, settings, clock):
    worker = Worker(live, settings, clock, http=None)
    ids = [*await people(live_client), NOBODY]
    clock.now = NOW + timedelta(days=40)
    await run_due_actions(worker)
    told = await agree(live_client, worker, clock, customer_ids=ids, to="decline")
    assert (told["customers"], told["allowed"]) == (12, 9)
    assert told["starts"]
    assert told["stops"]
    assert {b["code"] for b in told["blocked"]} == {"hold", "no_edge", "unknown_customer"}
    clock.now += timedelta(days=3)
    back = await agree(live_client, worker, clock, customer_ids=ids[:8], to="growth", playbook_mode="dwell_only")
    assert back["allowed"] == 8
    last = await agree(live_client, worker, clock, filter={"stage": ["growth"]}, to="mature", playbook_mode="none")
    assert (last["allowed"], last["starts"]) == (8, [])
    assert last["stops"]


async def test_a_preview_foresees_that_a_third_return_switches_the_rules_off(live, live_client, settings, clock):
    worker = Worker(live, settings, clock, http=None)
    customer = await make_customer(live_client, stage="growth", playbook_mode="none")
    reviews = {action["key"] for action in shipped_document()["actions"] if action["anchor"] == "freeze"}
    seen = []
    for n in range(8):
        clock.now += timedelta(days=1)
        to = "mature" if n % 2 else "decline"
        to = "growth" if n % 2 else to
        told = await agree(live_client, worker, clock, customer_ids=[customer["id"]], to=to)
        seen.append(bool(reviews & {start["key"] for start in told["starts"]}))
    assert seen == [False, False, False, True, False, False, False, False]


async def test_a_preview_writes_nothing(client, statements):
    customer = await make_customer(client)
    statements.texts.clear()
    await preview(client, customer_ids=[customer["id"], NOBODY], to="trial")
    await client.post(f"/v1/customers/{customer['id']}/transitions/preview", json={"to": "trial"})
    assert statements.texts
    wrote = [s for s in statements.texts if not s.lstrip().upper().startswith(("SELECT", "WITH"))]
    assert wrote == []
    assert not [s for s in statements.texts if "FOR UPDATE" in s or "FOR NO KEY" in s or "nextval" in s]


async def test_one_customer_can_be_previewed_alone(client, db):
    customer = await make_customer(client)
    await send(client, signal(customer, "account_opened", account="main"))
    url = f"/v1/customers/{customer['id']}/transitions"
    told = (await client.post(f"{url}/preview", json={"to": "growth"})).json()
    assert told["sample"] == [
        {"customer_id": customer["id"], "from_stage": "trial", "to_stage": "growth", "allowed": True, "blockers": []}
    ]
    before = await actions_of(db)
    await client.post(url, json={"to": "growth", "reason": WHY}, headers={"If-Match": "*"})
    after = await actions_of(db)
    assert {s["key"] for s in told["starts"]} == {key for key, _, _ in started(before, after)}
    assert {s["key"] for s in told["stops"]} == {key for key, _ in stopped(before, after)}
    refused = (await client.post(f"{url}/preview", json={"to": "growth"})).json()
    assert (refused["allowed"], refused["blocked"]) == (0, [{"code": "same_stage", "customers": 1}])
    assert (refused["starts"], refused["stops"]) == ([], [])


async def test_a_customer_who_is_not_there_cannot_be_previewed_alone(client):
    answer = await client.post(f"/v1/customers/{NOBODY}/transitions/preview", json={"to": "growth"})
    assert answer.status_code == 404
    customer = await make_customer(client)
    url = f"/v1/customers/{customer['id']}/transitions/preview"
    answer = await client.post(url, json={"to": "nirvana"})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/to"]


async def test_the_sample_holds_the_first_twenty(client):
    ids = [(await make_customer(client))["id"] for _ in range(22)]
    told = await preview(client, customer_ids=ids, to="trial")
    assert [shown["customer_id"] for shown in told["sample"]] == ids[:20]
    assert (told["customers"], told["allowed"]) == (22, 22)
