"""Delivery to a real receiver, from a database that really commits."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from sqlalchemy import select, text
from standardwebhooks.webhooks import Webhook

from app.jobs import Worker
from app.webhooks.delivery import IN_FLIGHT, drain_endpoint
from app.webhooks.event_log import sequence_events
from app.webhooks.models import DeliveryAttempt, WebhookEndpoint, WebhookRetry
from app.webhooks.retry import SCHEDULE
from app.webhooks.service import delete_endpoint, send_test
from tests.webhooks.arrange import ShiftedClock, happen, make_endpoint, reload, turn
from tests.webhooks.receiver import Receiver


async def rows(worker: Worker, model: Any) -> list[Any]:
    async with worker.database.transaction() as session:
        return list(await session.scalars(select(model)))


async def sweep_after(worker: Worker, clock: ShiftedClock, wait: timedelta) -> None:
    clock.shift += wait
    await turn(worker)


async def test_an_event_arrives_signed(worker: Worker, receiver: Receiver) -> None:
    endpoint = await make_endpoint(worker, receiver.url)
    [customer] = await happen(worker, 1)
    await turn(worker)
    [request] = receiver.requests
    verified = Webhook(endpoint.secret).verify(request.body, dict(request.headers))
    assert verified["type"] == "lifecycle.stage_changed"
    assert verified["data"]["customer_id"] == str(customer)
    assert request.headers["content-type"] == "application/json"
    assert verified["id"] == request.message_id


async def test_what_happened_before_the_endpoint_is_not_sent(worker: Worker, receiver: Receiver) -> None:
    await happen(worker, 3)
    await turn(worker)
    await make_endpoint(worker, receiver.url)
    await happen(worker, 2)
    await turn(worker)
    await turn(worker)
    assert len(receiver.requests) == 2


async def test_a_filter_lets_through_what_it_names(worker: Worker, receiver: Receiver) -> None:
    other = await make_endpoint(worker, receiver.url + "/other", "customer.*", "action.due")
    await make_endpoint(worker, receiver.url + "/this", "lifecycle.*")
    await happen(worker, 2)
    await turn(worker)
    assert len(receiver.requests) == 2
    assert (await reload(worker, other)).cursor == 2  # it has read past them


async def test_a_failure_is_repeated_with_the_same_id_and_body(
    worker: Worker, receiver: Receiver, moving_clock: ShiftedClock
) -> None:
    endpoint = await make_endpoint(worker, receiver.url)
    receiver.statuses.append(500)
    await happen(worker, 1)
    await turn(worker)
    await sweep_after(worker, moving_clock, timedelta(seconds=4))
    assert len(receiver.requests) == 1
    await sweep_after(worker, moving_clock, timedelta(seconds=3))
    first, second = receiver.requests
    assert (first.message_id, first.body) == (second.message_id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    Webhook(endpoint.secret).verify(second.body, dict(second.headers))
    assert await rows(worker, WebhookRetry) == []
    attempts = sorted(await rows(worker, DeliveryAttempt), key=lambda a: a.attempt)
    assert [(a.attempt, a.outcome, a.status, a.error_class) for a in attempts] == [
        (1, "retry", 500, "status"),
        (2, "delivered", 204, None),
    ]


async def test_a_failure_holds_up_nothing_behind_it(worker: Worker, receiver: Receiver) -> None:
    await make_endpoint(worker, receiver.url)
    receiver.statuses.extend([503, 200, 500])
    await happen(worker, 40)
    await turn(worker)
    assert len(set(receiver.message_ids)) == 40
    assert len(await rows(worker, WebhookRetry)) == 2


async def test_after_ten_attempts_a_delivery_is_dead(
    worker: Worker, receiver: Receiver, moving_clock: ShiftedClock
) -> None:
    endpoint = await make_endpoint(worker, receiver.url)
    receiver.status = 500
    await happen(worker, 1)
    await turn(worker)
    for wait in SCHEDULE:
        await sweep_after(worker, moving_clock, wait * 1.21)
    await sweep_after(worker, moving_clock, timedelta(days=1))
    assert len(receiver.requests) == 10
    [dead] = await rows(worker, WebhookRetry)
    assert (dead.state, dead.attempts) == ("dead", 10)
    assert max(await rows(worker, DeliveryAttempt), key=lambda a: a.attempt).outcome == "dead"
    assert (await reload(worker, endpoint)).status == "enabled"


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_honoured(
    worker: Worker, receiver: Receiver, moving_clock: ShiftedClock, as_date: bool
) -> None:
    await make_endpoint(worker, receiver.url)
    receiver.statuses.append(429)
    until = datetime.now(UTC) + timedelta(seconds=120)
    receiver.headers["Retry-After"] = format_datetime(until, usegmt=True) if as_date else "120"
    await happen(worker, 1)
    await turn(worker)
    await sweep_after(worker, moving_clock, timedelta(seconds=110))
    assert len(receiver.requests) == 1
    await sweep_after(worker, moving_clock, timedelta(seconds=15))
    assert len(receiver.requests) == 2


async def test_410_disables_the_endpoint_and_tells_the_others(worker: Worker, receiver: Receiver) -> None:
    gone = await make_endpoint(worker, receiver.url)
    receiver.status = 410
    await happen(worker, 100)
    await turn(worker)
    found = await reload(worker, gone)
    assert (found.status, found.disabled_reason, found.version) == ("disabled", "gone", 2)
    assert len(receiver.requests) <= IN_FLIGHT  # it is not asked again
    async with worker.database.read() as connection:
        told = await connection.execute(text("SELECT body FROM events WHERE type = 'endpoint.disabled'"))
    assert f'"endpoint_id":"{gone.id}","reason":"gone"' in told.scalar_one()


async def test_an_endpoint_enabled_again_gets_everything_it_missed(
    worker: Worker, receiver: Receiver, moving_clock: ShiftedClock
) -> None:
    endpoint = await make_endpoint(worker, receiver.url, "lifecycle.*")
    receiver.status = 410
    await happen(worker, 30)
    await turn(worker)
    receiver.status = 200
    async with worker.database.transaction() as session:
        found = await session.get(WebhookEndpoint, endpoint.id)
        assert found is not None
        found.status, found.disabled_reason = "enabled", None
    await sweep_after(worker, moving_clock, timedelta(seconds=7))
    assert len({request.message_id for request in receiver.requests if request.status == 200}) == 30


async def test_an_endpoint_that_only_fails_is_disabled_after_five_days(
    worker: Worker, receiver: Receiver, moving_clock: ShiftedClock
) -> None:
    endpoint = await make_endpoint(worker, receiver.url)
    receiver.status = 500
    for _ in range(6):
        await happen(worker, 1)
        await sweep_after(worker, moving_clock, timedelta(hours=23))
    assert (await reload(worker, endpoint)).status == "enabled"
    await happen(worker, 1)
    await sweep_after(worker, moving_clock, timedelta(hours=23))
    assert (await reload(worker, endpoint)).disabled_reason == "failing"


async def test_redirects_are_failures_and_never_followed(worker: Worker, receiver: Receiver) -> None:
    await make_endpoint(worker, receiver.url)
    receiver.status = 307
    receiver.headers["Location"] = receiver.url + "/elsewhere"
    await happen(worker, 1)
    await turn(worker)
    assert len(receiver.requests) == 1
    [attempt] = await rows(worker, DeliveryAttempt)
    assert (attempt.status, attempt.error_class, attempt.outcome) == (307, "redirect", "retry")


async def test_a_black_hole_holds_up_nobody_else(worker: Worker, receiver: Receiver) -> None:
    async with Receiver() as hole:
        hole.black_hole = True
        silent = await make_endpoint(worker, hole.url)
        speaking = await make_endpoint(worker, receiver.url)
        await happen(worker, 50)
        await sequence_events(worker)
        stuck = asyncio.create_task(drain_endpoint(worker, str(silent.id)))
        await drain_endpoint(worker, str(speaking.id))
        assert len(receiver.requests) == 50
        assert 1 <= hole.in_flight <= IN_FLIGHT
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)


async def test_two_drains_of_one_endpoint_do_no_harm(worker: Worker, receiver: Receiver) -> None:
    endpoint = await make_endpoint(worker, receiver.url)
    receiver.delay = 0.01
    receiver.statuses.extend([500] * 10)
    await happen(worker, 60)
    await sequence_events(worker)
    await asyncio.gather(*(drain_endpoint(worker, str(endpoint.id)) for _ in range(2)))
    assert len(set(receiver.message_ids)) == 60
    assert (await reload(worker, endpoint)).cursor == 60
    assert len(await rows(worker, DeliveryAttempt)) == len(receiver.requests)


async def test_a_drain_that_was_overtaken_changes_nothing(worker: Worker, receiver: Receiver) -> None:
    endpoint = await make_endpoint(worker, receiver.url)
    receiver.delay = 0.5
    await happen(worker, 5)
    await sequence_events(worker)
    slow = asyncio.create_task(drain_endpoint(worker, str(endpoint.id)))
    await asyncio.sleep(0.1)
    receiver.delay = 0
    await happen(worker, 5)
    await sequence_events(worker)
    await drain_endpoint(worker, str(endpoint.id))
    assert len(receiver.requests) == 10
    receiver.status = 500  # what the slow one will be told
    await slow
    assert [request.status for request in receiver.requests[10:]] == [500] * 5
    assert (await reload(worker, endpoint)).cursor == 10
    assert await rows(worker, WebhookRetry) == []
    assert len(await rows(worker, DeliveryAttempt)) == 15


async def test_a_deleted_endpoint_gets_nothing_more(worker: Worker, receiver: Receiver) -> None:
    endpoint = await make_endpoint(worker, receiver.url)
    receiver.delay = 0.2
    await happen(worker, 1)
    await sequence_events(worker)
    drain = asyncio.create_task(drain_endpoint(worker, str(endpoint.id)))
    await asyncio.sleep(0.05)
    async with worker.database.transaction() as session:
        await delete_endpoint(session, endpoint.id)
    await drain
    await happen(worker, 5)
    await turn(worker)
    assert len(receiver.requests) == 1


async def test_a_test_event_goes_to_its_endpoint_alone(worker: Worker, receiver: Receiver) -> None:
    ours = await make_endpoint(worker, receiver.url + "/ours", "customer.erased")
    await make_endpoint(worker, receiver.url + "/theirs", "*")
    async with worker.database.transaction() as session:
        message = await send_test(session, ours, worker.clock())
    await turn(worker)
    [request] = receiver.requests
    assert request.message_id == message
    assert request.json["type"] == "endpoint.test"
    Webhook(ours.secret).verify(request.body, dict(request.headers))


async def test_the_beginning_of_an_answer_is_kept(worker: Worker, receiver: Receiver) -> None:
    await make_endpoint(worker, receiver.url)
    receiver.status, receiver.text = 400, "no\x00 " + "é" * 5000
    await happen(worker, 1)
    await turn(worker)
    [attempt] = await rows(worker, DeliveryAttempt)
    assert attempt.answer.startswith("no\ufffd éé")
    assert len(attempt.answer.encode()) <= 4100


async def test_requests_in_flight_are_bounded(worker: Worker, receiver: Receiver) -> None:
    await make_endpoint(worker, receiver.url)
    receiver.delay = 0.02
    await happen(worker, 80)
    await turn(worker)
    assert receiver.most_in_flight == IN_FLIGHT


async def test_an_endpoint_whose_network_is_no_longer_allowed_is_not_reached(
    worker: Worker, receiver: Receiver
) -> None:
    await make_endpoint(worker, receiver.url)
    await happen(worker, 1)
    strict = dataclasses.replace(worker, settings=worker.settings.model_copy(update={"webhook_allow": ()}))
    await turn(strict)
    assert receiver.requests == []
    [attempt] = await rows(worker, DeliveryAttempt)
    assert (attempt.status, attempt.error_class) == (None, "address_refused")
