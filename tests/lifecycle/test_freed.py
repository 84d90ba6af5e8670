"""What came while somebody was pinned or held is looked at when that ends."""

from datetime import timedelta
from uuid import UUID

import pytest

from app.lifecycle.sweeps import evaluate_due
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal
from tests.lifecycle.replaying import agree

REASON = {"reason": "as agreed"}


async def change(client, method, customer, path="", **body):
    read = await client.get(f"/v1/customers/{customer['id']}")
    headers = {"If-Match": read.headers["ETag"]}
    answer = await client.request(method, f"/v1/customers/{customer['id']}{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


async def hold(client, customer):
    await change(client, "PATCH", customer, holds=["dispute"])


async def release(client, db, customer, clock, settings):
    await change(client, "PATCH", customer, holds=[])


async def pin(client, customer):
    await change(client, "PUT", customer, "/pin", until=(NOW + timedelta(days=30)).isoformat(), **REASON)


async def lift(client, db, customer, clock, settings):
    await change(client, "POST", customer, "/pin/lift", **REASON)


async def outlast(client, db, customer, clock, settings):
    clock.now = NOW + timedelta(days=31)
    async with db.transaction() as session:
        await evaluate_due(session, clock.now, settings.tz)


@pytest.mark.parametrize(("bind", "free"), [(hold, release), (pin, lift), (pin, outlast)])
@pytest.mark.parametrize("wrong", [True, False])
async def test_a_cause_that_was_taken_back_meanwhile_is_none(client, db, clock, settings, bind, free, wrong):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    clock.now = NOW + timedelta(days=2)
    closing = signal(customer, "closure_requested", clock.now)
    await send(client, closing)
    await bind(client, customer)
    clock.now = NOW + timedelta(days=3)
    if wrong:
        back = signal(customer, "signal_retracted", clock.now, source_event_id=closing["source_event_id"])
        assert (await send(client, back))["transitions"] == []
    await free(client, db, customer, clock, settings)
    steps = (await client.get(f"/v1/customers/{customer['id']}/transitions")).json()["items"]
    corrected = [(s["to_stage"], s["reason"]) for s in steps if s["kind"] == "correction"]
    assert corrected == ([("growth", "retracted_signal")] if wrong else [])
    await agree(db, settings.tz, clock.now, [UUID(customer["id"])])
