"""A stage fixed by hand: what it keeps from acting, what it does not, and what happens when it ends."""

from datetime import timedelta
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text

from app.customers.service import lock
from app.lifecycle.pins import Pin, set_pins
from tests.conftest import NOW, make_key
from tests.factories import funded, make_customer, send, signal
from tests.lifecycle.test_replay import agree, tick

WHY = "asked to be left alone"
UNTIL = (NOW + timedelta(days=100)).isoformat()


def pin_url(customer):
    return f"/v1/customers/{customer['id']}/pin"


async def pin(client, customer, until=UNTIL, if_match="*", **body):
    headers = {"If-Match": if_match} if if_match else {}
    return await client.put(pin_url(customer), json={"until": until, "reason": WHY, **body}, headers=headers)


async def lift(client, customer, if_match="*", reason="they called again"):
    return await client.post(f"{pin_url(customer)}/lift", json={"reason": reason}, headers={"If-Match": if_match})


async def read(client, customer):
    return (await client.get(f"/v1/customers/{customer['id']}")).json()


async def inputs_of(db, customer):
    async with db.read() as connection:
        query = text("SELECT kind, at, data FROM lifecycle_inputs WHERE customer_id = :id ORDER BY position")
        return [tuple(row) for row in await connection.execute(query, {"id": customer["id"]})]


async def test_a_pin_is_kept_told_and_noted(client, db):
    customer = await make_customer(client)
    answer = await pin(client, customer, if_match=f'"{customer["version"]}"')
    assert answer.status_code == 200, answer.text
    kept = {"until": "2026-06-10T10:00:00Z", "reason": WHY}
    version = customer["version"] + 1
    assert answer.json() == {
        "customer_id": customer["id"],
        "pin": kept,
        "stage": "prospect",
        "transitions": [],
        "version": version,
    }
    now = await read(client, customer)
    assert (now["pin"], now["version"], answer.headers["ETag"]) == (kept, version, f'"{version}"')
    async with db.read() as connection:
        events = await connection.execute(text("SELECT body FROM events WHERE type = 'customer.updated'"))
    [event] = [orjson.loads(body)["data"] for body in events.scalars()]
    assert (event["customer_id"], event["fields"]) == (customer["id"], ["pin"])
    noted = {"until": kept["until"], "reason": WHY, "actor": "key:test"}
    assert await inputs_of(db, customer) == [("pin", NOW, noted)]
    held = (await client.get(f"/v1/customers/{customer['id']}/lifecycle")).json()["held_back"]
    assert [h["code"] for h in held] == ["pin"]


async def test_a_pin_beats_rules_except_those_for_leaving(client, db, clock, settings):
    customer = await make_customer(client)
    await pin(client, customer)
    assert (await send(client, *funded(customer)))["transitions"] == []
    assert (await read(client, customer))["stage"] == "prospect"
    other = await make_customer(client)
    await send(client, *funded(other))
    await pin(client, other)
    clock.now = NOW + timedelta(days=3)
    left = await send(client, signal(other, "closure_requested", clock.now))
    assert [t["rule_id"] for t in left["transitions"]] == ["leaving"]
    await tick(db, clock, settings, 1)
    await agree(db, settings, clock, customer, other)


async def test_a_rule_that_waited_acts_when_the_pin_is_lifted(client, db, clock, settings):
    customer = await make_customer(client)
    await pin(client, customer)
    await send(client, *funded(customer))
    clock.now = NOW + timedelta(hours=1)
    answer = await lift(client, customer)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [t["rule_id"] for t in body["transitions"]] == ["fast_track"]
    assert (body["pin"], body["stage"]) == (None, "growth")
    now = await read(client, customer)
    assert (now["pin"], now["stage"], now["version"]) == (None, "growth", body["version"])
    assert answer.headers["ETag"] == f'"{body["version"]}"'
    assert [data["until"] for _, _, data in await inputs_of(db, customer)] == ["2026-06-10T10:00:00Z", None]
    await tick(db, clock, settings, 1)
    await agree(db, settings, clock, customer)


async def test_a_rule_that_waited_acts_when_the_pin_ends(client, db, clock, settings):
    customer = await make_customer(client)
    await pin(client, customer, (NOW + timedelta(days=2, hours=3)).isoformat())
    await send(client, *funded(customer))
    await tick(db, clock, settings, 2)
    assert (await read(client, customer))["stage"] == "prospect"
    await tick(db, clock, settings, 1)
    [step] = (await client.get(f"/v1/customers/{customer['id']}/transitions")).json()["items"]
    assert (step["rule_id"], step["evaluated_at"]) == ("fast_track", "2026-03-04T13:00:00Z")
    await agree(db, settings, clock, customer)


async def test_a_pin_can_be_replaced_and_outlasts_automatic_steps(client, clock):
    customer = await make_customer(client)
    await pin(client, customer)
    sooner = (NOW + timedelta(days=5)).isoformat()
    assert (await pin(client, customer, sooner, reason="for a week")).json()["pin"]["reason"] == "for a week"
    assert (await read(client, customer))["pin"]["until"] == "2026-03-07T10:00:00Z"
    offset = (NOW + timedelta(days=6)).isoformat().replace("T10:00:00+00:00", "T18:00:00+08:00")
    assert (await pin(client, customer, offset)).json()["pin"]["until"] == "2026-03-08T10:00:00Z"


async def test_what_was_due_happens_before_a_pin_and_makes_it_stale(client, clock):
    customer = await make_customer(client)
    await send(client, signal(customer, "account_opened", account="main"))
    version = (await read(client, customer))["version"]
    clock.now = NOW + timedelta(days=50)
    answer = await pin(client, customer, if_match=f'"{version}"')
    assert answer.status_code == 412
    assert (await read(client, customer))["pin"] is None


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"until": NOW.isoformat()}, "/until", "in_the_past"),
        ({"until": (NOW - timedelta(days=1)).isoformat()}, "/until", "in_the_past"),
        ({"until": (NOW + timedelta(days=366, seconds=1)).isoformat()}, "/until", "too_far"),
        ({"until": "9999-12-31T23:59:59Z"}, "/until", "too_far"),
        ({"until": "2026-05-01T10:00:00"}, "/until", None),
        ({"until": 1790000000}, "/until", None),
        ({"until": None}, "/until", None),
        ({"reason": " \t "}, "/reason", None),
        ({"reason": "x" * 501}, "/reason", None),
        ({"stage": "growth"}, "/stage", None),
    ],
)
async def test_a_pin_that_makes_no_sense_is_refused_with_the_field(client, body, pointer, code):
    customer = await make_customer(client)
    answer = await pin(client, customer, **body)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert code in (None, error["code"])
    assert (await read(client, customer))["version"] == customer["version"]


async def test_the_longest_pin_is_a_leap_year(client):
    customer = await make_customer(client)
    assert (await pin(client, customer, (NOW + timedelta(days=366)).isoformat())).status_code == 200


async def test_a_pin_must_be_based_on_the_present_version(client):
    customer = await make_customer(client)
    assert (await pin(client, customer, if_match=None)).status_code == 428
    assert (await pin(client, customer, if_match='"99"')).status_code == 412
    await pin(client, customer)
    assert (await pin(client, customer, if_match=f'"{customer["version"]}"')).status_code == 412
    assert (await lift(client, customer, if_match=f'"{customer["version"]}"')).status_code == 412
    blank = await lift(client, customer, reason="   ")
    assert [error["pointer"] for error in blank.json()["errors"]] == ["/reason"]


async def test_what_is_not_pinned_cannot_be_lifted(client, clock):
    customer = await make_customer(client)
    assert (await lift(client, customer)).json()["code"] == "conflict"
    await pin(client, customer, (NOW + timedelta(hours=1)).isoformat())
    clock.now = NOW + timedelta(hours=1)
    assert (await lift(client, customer)).status_code == 409


async def test_a_merged_duplicate_is_neither_pinned_nor_moved(client, db):
    customer, duplicate = await make_customer(client), await make_customer(client)
    async with db.transaction() as session:
        merge = text("UPDATE customers SET merged_into = :into WHERE id = :id")
        await session.execute(merge, {"into": customer["id"], "id": duplicate["id"]})
    for answer in (await pin(client, duplicate), await lift(client, duplicate)):
        assert (answer.status_code, answer.json()["code"]) == (410, "merged")
    answer = await client.get(f"/v1/customers/{duplicate['id']}/transitions/options")
    assert (answer.status_code, answer.json()["code"]) == (410, "merged")
    batch = {"customer_ids": [duplicate["id"]], "to": "trial", "reason": WHY}
    told = (await client.post("/v1/lifecycle/batch-transitions/preview", json=batch)).json()
    assert told["blocked"] == [{"code": "merged", "customers": 1}]
    assert told["sample"][0]["blockers"] == [{"code": "merged", "into": customer["id"]}]


async def test_a_key_without_override_pins_nobody(client, db):
    customer = await make_customer(client)
    key = await make_key(db, "customers:write", "lifecycle:read")
    headers = {"Authorization": f"Bearer {key}", "If-Match": "*"}
    answer = await client.put(pin_url(customer), json={"until": UNTIL, "reason": WHY}, headers=headers)
    assert answer.status_code == 403


async def test_pinning_many_takes_as_many_statements_as_pinning_one(client, db, settings, statements):
    counts = []
    for many in (1, 20):
        customers = [UUID((await make_customer(client))["id"]) for _ in range(many)]
        async with db.transaction() as session:
            await lock(session, customers)
            statements.texts.clear()
            pins = dict.fromkeys(customers, Pin(NOW + timedelta(days=9), WHY))
            assert await set_pins(session, pins, "key:test", NOW, settings.tz) == []
            counts.append(len(statements.texts))
    assert counts[0] == counts[1]
