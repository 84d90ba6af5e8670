"""What was lived is lived again: a replay of what was known when takes exactly the steps that were taken."""

from datetime import timedelta
from uuid import UUID

import pytest

from app.lifecycle.sweeps import evaluate_due
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal
from tests.lifecycle import replaying


async def tick(db, clock, settings, days):
    """Let time pass a day at a time, with the sweep."""
    for _ in range(days):
        clock.now += timedelta(days=1)
        async with db.transaction() as session:
            await evaluate_due(session, clock.now, settings.tz)


async def agree(db, settings, clock, *customers):
    return await replaying.agree(db, settings.tz, clock.now, [UUID(c["id"]) for c in customers])


async def test_a_whole_life_is_replayed_exactly(client, db, clock, settings):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    await tick(db, clock, settings, 200)
    await send(client, signal(customer, "login", clock.now), signal(customer, "enquiry", clock.now))
    await tick(db, clock, settings, 40)
    [course] = (await agree(db, settings, clock, customer)).values()
    assert [m.rule_id for m in course.moves][:2] == ["fast_track", "dormant_growth"]


async def test_a_retracted_cause_is_compensated_and_the_stay_goes_on(client, db, clock, settings):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    await tick(db, clock, settings, 50)
    wrong = signal(customer, "closure_requested", clock.now)
    await send(client, wrong)
    await tick(db, clock, settings, 3)
    taken_back = signal(customer, "signal_retracted", clock.now, source_event_id=wrong["source_event_id"])
    receipt = await send(client, taken_back)
    assert [r["status"] for r in receipt["results"]] == ["accepted"]
    [correction] = receipt["transitions"]
    assert (correction["kind"], correction["to_stage"], correction["corrects_sequence"]) == ("correction", "growth", 2)
    answer = (await client.get(f"/v1/customers/{customer['id']}/lifecycle")).json()
    assert (answer["stage"], answer["days_in_stage"], answer["entered_by"]) == ("growth", 53, "fast_track")
    again = await send(client, taken_back)
    assert again["results"][0]["status"] == "duplicate"
    await tick(db, clock, settings, 20)
    await agree(db, settings, clock, customer)


async def test_a_late_signal_that_removes_the_cause_is_compensated(client, db, clock, settings):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    await tick(db, clock, settings, 50)
    await send(client, signal(customer, "withdrawal", clock.now, amount="16000"))
    moment = clock.now
    await tick(db, clock, settings, 2)
    late = signal(customer, "deposit", moment - timedelta(hours=3), amount="15000")
    [correction] = (await send(client, late))["transitions"]
    assert (correction["kind"], correction["reason"], correction["to_stage"]) == ("correction", "late_signal", "growth")
    await agree(db, settings, clock, customer)


async def test_a_late_signal_that_changes_nothing_about_the_cause_moves_nobody(client, db, clock, settings):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    clock.now += timedelta(days=1)
    receipt = await send(client, signal(customer, "login", NOW - timedelta(days=3)))
    assert receipt["transitions"] == []
    await agree(db, settings, clock, customer)


@pytest.mark.parametrize(("target", "code"), [("never-sent", "unknown_signal"), ("the retraction", "not_retractable")])
async def test_what_cannot_be_taken_back_is_refused_by_the_name_of_the_field(client, target, code):
    customer = await make_customer(client)
    login = signal(customer, "login")
    first = signal(customer, "signal_retracted", source_event_id=login["source_event_id"])
    await send(client, login, first)
    wanted = first["source_event_id"] if target == "the retraction" else target
    receipt = await send(client, signal(customer, "signal_retracted", source_event_id=wanted))
    assert receipt["results"][0]["status"] == "rejected"
    assert receipt["results"][0]["code"] == code
    assert receipt["results"][0]["detail"].startswith("payload.source_event_id")
