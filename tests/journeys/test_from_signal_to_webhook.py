"""The whole product in one story, with a real worker beside the API and a real receiver at the end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from app.clock import utc_now
from app.config import Settings
from app.worker import work
from tests.factories import make_customer, send, signal
from tests.webhooks.receiver import Receiver


@pytest.fixture
async def running_worker(live_url: str, settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(work(settings.model_copy(update={"database_url": live_url}), stop))
    yield
    stop.set()
    await task


async def claimed_tasks(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """The open tasks, as soon as there are any."""
    for _ in range(100):
        tasks = (await client.get("/v1/actions", params={"state": "claimed", "kind": "task"})).json()["items"]
        if tasks:
            return tasks
        await asyncio.sleep(0.1)
    raise TimeoutError("no task appeared on the work list")


async def test_a_first_deposit_reaches_the_adviser_the_portfolio_and_the_receiver(live_client, clock, running_worker):
    clock.now = utc_now()
    client = live_client
    async with Receiver() as receiver:
        # Somebody listens for changes of stage.
        endpoint = (
            await client.post(
                "/v1/webhook-endpoints", json={"url": receiver.url, "event_types": ["lifecycle.stage_changed"]}
            )
        ).json()

        # A prospect is created and has an indicative portfolio at once: no hedge funds, no more risk than R2.
        customer = await make_customer(
            client, full_name="王小明", birth_on="1988-05-17", segment="high_net_worth", language="zh", owner="li.na"
        )
        before = (await client.get(f"/v1/customers/{customer['id']}/recommendation")).json()
        assert before["basis"] == "indicative"
        assert before["risk_level"] in ("R1", "R2")

        # The risk questionnaire is answered, and a large first payment arrives.
        questions = (await client.get("/v1/allocation/questionnaire")).json()["questions"]
        answers = {question["id"]: question["options"][-1]["id"] for question in questions}
        profile = await client.post(f"/v1/customers/{customer['id']}/risk-profile", json={"answers": answers})
        assert profile.status_code == 201, profile.text
        receipt = await send(client, signal(customer, "deposit", clock.now, amount="250000", account="main"))

        # The rule moves the customer, and the answer says so.
        [transition] = receipt["transitions"]
        assert (transition["to_stage"], transition["rule_id"]) == ("growth", "fast_track")

        # The stage has planned its actions; those of the prospect that were still to come are cancelled.
        actions = (await client.get(f"/v1/customers/{customer['id']}/actions", params={"limit": 200})).json()["items"]
        assert {"assign_adviser"} <= {a["key"] for a in actions if a["stage"] == "growth"}
        left = {a["state"] for a in actions if a["stage"] == "prospect"}
        assert "planned" not in left

        # The portfolio is refreshed: advised now, and with the classes that a growing customer may hold.
        after = (await client.get(f"/v1/customers/{customer['id']}/recommendation")).json()
        assert after["basis"] == "advised"
        assert after["weights"] != before["weights"]
        assert after["reasons"]

        # The receiver gets one event, and the reference library accepts its signature.
        [request] = await receiver.wait_for(1)
        event = Webhook(endpoint["secret"]).verify(request.body, dict(request.headers))
        assert event["type"] == "lifecycle.stage_changed"
        assert event["data"]["customer_id"] == customer["id"]
        assert (event["data"]["from"], event["data"]["to"]) == ("prospect", "growth")
        await asyncio.sleep(1.5)
        assert len(receiver.requests) == 1, "one change, one event, sent once"

        # The worker has put what is due at once on the work lists: a dedicated adviser is to be named.
        tasks = await claimed_tasks(client)
        assert "dedicated_adviser" in {task["key"] for task in tasks}
        assert {task["customer_id"] for task in tasks} == {customer["id"]}
