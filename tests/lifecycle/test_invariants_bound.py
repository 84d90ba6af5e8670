"""Invariant 8: whoever is pinned or on hold is moved by rules marked `always`, and by nothing else."""

from datetime import timedelta
from uuid import UUID

import pytest

from app.customers.service import lock
from app.lifecycle.policies import shipped_document
from app.lifecycle.service import switch_policy
from app.lifecycle.sweeps import evaluate_due
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal
from tests.lifecycle import laws
from tests.lifecycle.playing import publish
from tests.lifecycle.replaying import agree, lived

EAGER = {"id": "eager", "from": ["decline"], "to": "growth", "priority": 1, "min_dwell_days": 14}
PIN = ("PUT", "/pin", {"until": (NOW + timedelta(days=200)).isoformat(), "reason": "as agreed"})
BINDS = {"pin": PIN, "hold": ("PATCH", "", {"holds": ["compliance"]})}
LOOSENS = {"pin": ("POST", "/pin/lift", {"reason": "as agreed"}), "hold": ("PATCH", "", {"holds": []})}


@pytest.fixture
def lives_on(client, db, clock, settings):
    """Lets time pass with a sweep, and says which steps a customer has taken."""

    async def lives_on(customer, days=0):
        clock.now += timedelta(days=days)
        async with db.transaction() as session:
            await evaluate_due(session, clock.now, settings.tz)
        await agree(db, settings.tz, clock.now, [UUID(customer["id"])])
        async with db.read() as connection:
            await laws.bound_stay(connection)
        return [step[3] or step[2] for step in await lived(db, UUID(customer["id"]))]

    return lives_on


async def change(client, customer, method, path, body):
    url = f"/v1/customers/{customer['id']}"
    headers = {"If-Match": (await client.get(url)).headers["ETag"]}
    if method == "PATCH":
        headers["Content-Type"] = "application/merge-patch+json"
    answer = await client.request(method, url + path, json=body, headers=headers)
    assert answer.is_success, answer.text


@pytest.mark.parametrize("bond", BINDS)
async def test_invariant_8_no_correction_publication_merge_or_sweep_moves_who_is_bound(
    client, db, clock, settings, lives_on, bond
):
    customer, duplicate = await make_customer(client), await make_customer(client)
    wrong = signal(customer, "closure_requested", NOW + timedelta(days=1))
    await send(client, *funded(customer))
    clock.now += timedelta(days=1)
    await send(client, wrong)
    assert await lives_on(customer) == ["fast_track", "leaving"]
    await change(client, customer, *BINDS[bond])
    await send(client, signal(customer, "signal_retracted", clock.now, source_event_id=wrong["source_event_id"]))
    assert await lives_on(customer) == ["fast_track", "leaving"], "no correction"
    document = shipped_document("wealth")
    document["rules"].append(EAGER | {"when": {"fact": "kyc_status", "op": "==", "value": "passed"}})
    await publish(db, 2, document, clock.now)
    clock.now += timedelta(days=20)
    async with db.transaction() as session:
        ids = await lock(session, [UUID(customer["id"])])
        assert await switch_policy(session, ids, 2, clock.now, settings.tz, "full") == []
    await send(client, signal(duplicate, "deposit", clock.now, amount="90000"))
    await change(client, customer, "POST", "/merge", {"duplicate_id": duplicate["id"], "reason": "the same person"})
    assert await lives_on(customer, days=40) == ["fast_track", "leaving"], "nor rules that hold for long"
    await change(client, customer, *LOOSENS[bond])
    assert (await lives_on(customer))[2:] == ["correction"], "what came meanwhile is looked at"


@pytest.mark.parametrize("bond", BINDS)
async def test_invariant_8_a_rule_marked_always_moves_who_is_bound(client, clock, lives_on, bond):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    await change(client, customer, *BINDS[bond])
    clock.now += timedelta(days=100)
    assert await lives_on(customer, days=90) == ["fast_track"], "silence is no leaving"
    await send(client, signal(customer, "transfer_out_started", clock.now))
    assert await lives_on(customer) == ["fast_track", "leaving"]
