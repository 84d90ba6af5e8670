"""Invariant 9: a guard is the same whichever way a customer comes to be judged."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.config import Settings
from app.customers.service import lock
from app.db import Database
from app.lifecycle.service import switch_policy
from app.lifecycle.sweeps import evaluate_due, replay_parked
from app.operations.running import run_now
from app.simulations import operation  # noqa: F401 - its kind is known then
from tests.conftest import NOW, FrozenClock
from tests.factories import make_customer, send, signal
from tests.lifecycle.playing import publish

FREE = {"all": [
    {"fact": "kyc_status", "op": "==", "value": "passed"},
    {"fact": "contact_verified", "op": "==", "value": True},
    {"fact": "on_hold", "op": "==", "value": False},
]}  # fmt: skip
ASKED = {"id": "asked", "from": ["prospect"], "to": "trial", "when": {"fact": "enquired", "op": "==", "value": True}}
GUARDED = {"name": "guarded", "rules": [{**ASKED, "guards": FREE}]}
CONFIRMED = {"name": "confirmed", "rules": [{**ASKED, "guards": FREE, "confirm_days": 1}]}
MEANT = {"free": "trial", "rejected": "prospect", "held": "prospect", "unverified": "prospect"}
WHO: dict[str, dict[str, Any]] = {
    "free": {},
    "rejected": {"kyc_status": "rejected"},
    "held": {"holds": ["compliance"]},
    "unverified": {"contact_verified": False},
}


@dataclass
class Scene:
    """What a way needs. `document`: the rules that are in force from the beginning."""

    client: httpx.AsyncClient
    db: Database
    clock: FrozenClock
    settings: Settings

    async def customers(self, **fields: Any) -> dict[str, Any]:
        """One customer of each sort, created now."""
        return {name: await make_customer(self.client, **(traits | fields)) for name, traits in WHO.items()}

    async def sweep(self) -> None:
        """A sweep at the present time."""
        async with self.db.transaction() as session:
            await evaluate_due(session, self.clock.now, self.settings.tz)

    async def write(self, method: str, customer: dict[str, Any], path: str, body: dict[str, Any]) -> None:
        """A change of a customer, based on what it is now."""
        url = f"/v1/customers/{customer['id']}"
        headers = {"If-Match": (await self.client.get(url)).headers["ETag"]}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        answer = await self.client.request(method, url + path, json=body, headers=headers)
        assert answer.is_success, answer.text


async def one_by_one(scene: Scene) -> dict[str, Any]:
    found = await scene.customers()
    for customer in found.values():
        await send(scene.client, signal(customer, "enquiry"))
    return found


async def in_a_batch_with_others(scene: Scene) -> dict[str, Any]:
    found, other = await scene.customers(), await make_customer(scene.client)
    await send(scene.client, *(s for c in found.values() for s in (signal(other, "login"), signal(c, "enquiry"))))
    return found


async def parked_until_they_are_created(scene: Scene) -> dict[str, Any]:
    for name in WHO:
        await send(scene.client, signal({"id": ""}, "enquiry") | {"customer": {"external_id": name}})
    scene.clock.now += timedelta(hours=1)
    return {name: await make_customer(scene.client, **traits, external_ids=[name]) for name, traits in WHO.items()}


async def parked_until_their_id_is_known(scene: Scene) -> dict[str, Any]:
    found = await scene.customers()
    for name, customer in found.items():
        await send(scene.client, signal({"id": ""}, "enquiry") | {"customer": {"external_id": name}})
        await scene.write("PATCH", customer, "", {"external_ids": [name]})
    await replay_parked(SimpleNamespace(database=scene.db, settings=scene.settings, clock=scene.clock, http=None))
    return found


async def by_the_sweep(scene: Scene) -> dict[str, Any]:
    await publish(scene.db, 3, CONFIRMED, NOW)
    found = await one_by_one(scene)
    scene.clock.now += timedelta(days=1)
    await scene.sweep()
    return found


async def by_a_late_sweep(scene: Scene) -> dict[str, Any]:
    await publish(scene.db, 3, CONFIRMED, NOW)
    found = await one_by_one(scene)
    scene.clock.now += timedelta(days=90)
    await scene.sweep()
    return found


async def by_new_rules(scene: Scene) -> dict[str, Any]:
    await publish(scene.db, 3, {"name": "idle", "rules": [{**ASKED, "from": ["decline"]}]}, NOW)
    found = await one_by_one(scene)
    await publish(scene.db, 4, GUARDED, NOW)
    async with scene.db.transaction() as session:
        ids = await lock(session, [UUID(c["id"]) for c in found.values()])
        await switch_policy(session, ids, 4, scene.clock.now, scene.settings.tz, "full")
    return found


async def by_a_merge(scene: Scene) -> dict[str, Any]:
    found = await scene.customers()
    for customer in found.values():
        duplicate = await make_customer(scene.client, contact_verified=False)
        await send(scene.client, signal(duplicate, "enquiry"))
        await scene.write("POST", customer, "/merge", {"duplicate_id": duplicate["id"], "reason": "the same person"})
    return found


async def by_an_edit_of_something_else(scene: Scene) -> dict[str, Any]:
    found = await scene.customers(stage="decline", playbook_mode="none")
    for customer in found.values():
        await scene.write("POST", customer, "/transitions", {"to": "prospect", "reason": "begins anew"})
        await send(scene.client, signal(customer, "enquiry"))
        await scene.write("POST", customer, "/pin/lift", {"reason": "as agreed"})
        await scene.write("PATCH", customer, "", {"birth_on": "1980-02-29"})
    return found


WAYS = (one_by_one, in_a_batch_with_others, parked_until_they_are_created, parked_until_their_id_is_known, by_the_sweep,
        by_a_late_sweep, by_new_rules, by_a_merge, by_an_edit_of_something_else)  # fmt: skip


async def stages(client, customers):
    return {name: (await client.get(f"/v1/customers/{c['id']}")).json()["stage"] for name, c in customers.items()}


@pytest.mark.parametrize("way", WAYS)
async def test_invariant_9_a_guard_holds_whichever_way_a_customer_comes_to_be_judged(
    client, db, clock, settings, way: Callable[[Scene], Awaitable[dict[str, Any]]]
):
    back = {**ASKED, "id": "back", "from": ["decline"], "to": "prospect", "confirm_days": 14}
    await publish(db, 2, {"name": "guarded", "rules": [*GUARDED["rules"], back]}, NOW)
    scene = Scene(client, db, clock, settings)
    customers = await way(scene)
    assert await stages(client, customers) == MEANT
    clock.now += timedelta(days=400)
    await scene.sweep()
    assert await stages(client, customers) == MEANT, "time alone opens no guard"
    await scene.write("PATCH", customers["held"], "", {"holds": []})
    await scene.write("PATCH", customers["rejected"], "", {"kyc_status": "passed"})
    await scene.write("PATCH", customers["unverified"], "", {"contact_verified": True})
    clock.now += timedelta(days=2)
    await scene.sweep()
    assert set((await stages(client, customers)).values()) == {"trial"}


async def test_invariant_9_a_simulation_respects_the_same_guards(client, db, clock, settings):
    scene = Scene(client, db, clock, settings)
    customers = await one_by_one(scene)
    assert set((await stages(client, customers)).values()) == {"prospect"}
    clock.now += timedelta(hours=1)
    asked = await client.post("/v1/lifecycle/simulations", json={"policy": {"document": GUARDED}})
    assert asked.status_code == 202, asked.text
    await run_now(SimpleNamespace(database=db, settings=settings, clock=clock, http=None), asked.json()["id"])
    page = (await client.get(f"/v1/lifecycle/simulations/{asked.json()['id']}/customers")).json()
    moved = {one["customer_id"]: one["first_simulated"]["rule_id"] for one in page["items"]}
    assert moved == {customers["free"]["id"]: "asked"}
