"""Lives that once broke an invariant, each as short as it could be made."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from app.lifecycle.core.ledger import Known, State, Totals
from app.lifecycle.core.policy import parse_policy
from app.lifecycle.core.rules import Subject, decide
from app.lifecycle.policies import shipped_document
from app.lifecycle.sweeps import evaluate_due
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal
from tests.lifecycle import replaying
from tests.lifecycle.playing import publish


async def agree(db, settings, clock, *customers):
    return await replaying.agree(db, settings.tz, clock.now, [UUID(c["id"]) for c in customers])


async def sweep(db, settings, clock):
    async with db.transaction() as session:
        await evaluate_due(session, clock.now, settings.tz)


async def change(client, method, customer, path, **body):
    """A change of a customer by somebody who has just read it."""
    url = f"/v1/customers/{customer['id']}"
    headers = {"If-Match": (await client.get(url)).headers["ETag"]}
    answer = await client.request(method, url + path, json={"reason": "as agreed", **body}, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()


async def merge(client, customer, duplicate):
    return await change(client, "POST", customer, "/merge", duplicate_id=duplicate["id"])


async def part(client, customer, merged):
    await change(client, "POST", customer, f"/merges/{merged['id']}/undo")


async def test_invariant_6_holds_before_the_sweep_that_follows_a_step(client, db, clock, settings):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    await agree(db, settings, clock, customer)


async def test_invariant_6_holds_when_a_signal_of_the_duplicate_was_retracted_before_the_merge(
    client, db, clock, settings
):
    customer, duplicate = await make_customer(client), await make_customer(client)
    wrong = signal(duplicate, "deposit", amount="900")
    await send(client, wrong)
    await send(client, signal(duplicate, "signal_retracted", source_event_id=wrong["source_event_id"]))
    await merge(client, customer, duplicate)
    await agree(db, settings, clock, customer)


async def test_invariant_6_holds_when_a_signal_was_retracted_while_its_customer_was_merged(client, db, clock, settings):
    customer, duplicate = await make_customer(client), await make_customer(client)
    wrong = signal(duplicate, "deposit", amount="900")
    await send(client, wrong)
    merged = await merge(client, customer, duplicate)
    await send(client, signal(duplicate, "signal_retracted", source_event_id=wrong["source_event_id"]))
    await agree(db, settings, clock, customer)
    await part(client, customer, merged)
    await agree(db, settings, clock, customer, duplicate)


async def test_invariant_6_holds_when_a_merge_comes_with_an_older_clock(client, db, clock, settings):
    customer, duplicate = await make_customer(client), await make_customer(client, contact_verified=False)
    await send(client, signal(duplicate, "trial_started", NOW))
    clock.now += timedelta(seconds=10)
    await send(client, signal(customer, "contact_in", NOW, topic="fee"))
    clock.now -= timedelta(seconds=5)
    await merge(client, customer, duplicate)
    clock.now += timedelta(seconds=10)
    await sweep(db, settings, clock)
    await agree(db, settings, clock, customer)


async def test_invariant_6_holds_when_time_has_moved_the_duplicate_beyond_the_clock_of_the_merge(
    client, db, clock, settings
):
    customer, duplicate = await make_customer(client), await make_customer(client)
    await send(client, signal(duplicate, "trial_started"))
    clock.now = (NOW + timedelta(days=45)).replace(hour=0)
    await sweep(db, settings, clock)
    clock.now -= timedelta(seconds=3)
    await merge(client, customer, duplicate)
    clock.now += timedelta(seconds=9)
    courses = await agree(db, settings, clock, customer, duplicate)
    assert [move.rule_id for move in courses[UUID(duplicate["id"])].moves] == ["trial_started", "recycled"]


async def test_a_merge_brings_nothing_that_was_known_when_a_step_was_decided(client, db, clock, settings):
    """The duplicate's login came before the late sweep noticed the silence, and was no part of it."""
    customer, duplicate = await make_customer(client), await make_customer(client)
    await send(client, *funded(customer))
    await sweep(db, settings, clock)
    clock.now = NOW + timedelta(days=185)
    await send(client, signal(duplicate, "login", clock.now))
    clock.now = NOW + timedelta(days=190)
    await sweep(db, settings, clock)
    await merge(client, customer, duplicate)
    receipt = await send(client, signal(customer, "social_mention", NOW + timedelta(days=170)))
    assert receipt["transitions"] == []
    await agree(db, settings, clock, customer)


async def test_a_fold_of_what_occurred_leaves_out_what_was_parted_again(client, db, clock, settings):
    customer, duplicate = await make_customer(client), await make_customer(client)
    await send(client, signal(duplicate, "trial_started"))
    await part(client, customer, await merge(client, customer, duplicate))
    clock.now += timedelta(minutes=1)
    await sweep(db, settings, clock)
    ids = [UUID(customer["id"])]
    [course] = (await replaying.replayed(db, settings.tz, ids, clock.now, as_occurred=True)).values()
    assert (course.moves, course.signals[1:]) == ([], [])


async def test_invariant_6_holds_when_a_former_duplicate_has_been_merged_into_somebody_else(
    client, db, clock, settings
):
    """A simulation replays customers chunk by chunk: what a life consists of must not depend on who is loaded with it."""
    customer, duplicate, other = [await make_customer(client) for _ in range(3)]
    await send(client, signal(duplicate, "trial_started"))
    await part(client, customer, await merge(client, customer, duplicate))
    await merge(client, other, duplicate)
    await agree(db, settings, clock, customer)


async def test_a_step_caused_by_a_signal_for_a_duplicate_stands_though_its_clock_was_ahead(client, db, clock, settings):
    """A sender's clock may be minutes ahead; what was known when the step was decided is its cause all the same."""
    customer, duplicate = await make_customer(client), await make_customer(client)
    await send(client, *funded(customer))
    await merge(client, customer, duplicate)
    clock.now += timedelta(days=2)
    await send(client, signal(duplicate, "closure_requested", clock.now + timedelta(minutes=2)))
    receipt = await send(client, signal(customer, "social_mention", NOW))
    assert receipt["transitions"] == []
    await agree(db, settings, clock, customer)


async def test_invariant_8_holds_when_a_late_sweep_finds_a_pin_that_has_ended_meanwhile(client, db, clock, settings):
    document = shipped_document("wealth")
    forgiven = {"id": "forgiven", "from": ["decline"], "to": "growth", "priority": 5, "min_dwell_days": 14}
    document["rules"].append(forgiven | {"when": {"fact": "days_in_stage", "op": ">=", "value": 14}})
    await publish(db, 2, document, NOW)
    customer = await make_customer(client)
    await send(client, *funded(customer))
    await sweep(db, settings, clock)
    clock.now = NOW + timedelta(days=1)
    await send(client, signal(customer, "withdrawal", clock.now, amount="20000"))
    end = NOW + timedelta(days=60)
    await change(client, "PUT", customer, "/pin", until=end.isoformat())
    clock.now = NOW + timedelta(days=70)
    await sweep(db, settings, clock)
    steps = await replaying.lived(db, UUID(customer["id"]))
    assert [step[3] for step in steps] == ["fast_track", "leaving", "forgiven"]
    assert steps[-1][5] == end
    await agree(db, settings, clock, customer)


async def test_a_fact_and_the_profile_follow_the_same_signal(client):
    """Two systems may number their events alike; at the same moment the later source decides, whatever is listed last."""
    customer = await make_customer(client)
    at = NOW + timedelta(minutes=1)
    one, other = signal(customer, "kyc_rejected", at), signal(customer, "kyc_passed", at)
    one |= {"source": "b", "source_event_id": "1"}
    other |= {"source": "a", "source_event_id": "1"}
    await send(client, one, other)
    read = (await client.get(f"/v1/customers/{customer['id']}")).json()
    assert read["kyc_status"] == "rejected"


FUNDED = {"fact": "funded_total", "op": ">=", "value": 1}


async def test_a_retracted_signal_that_caused_two_steps_in_a_row_is_the_cause_of_neither(client, db, clock, settings):
    """The second step is taken back at once; the first is the last one then, and its cause is gone as well."""
    rules = [
        {"id": "begun", "from": ["prospect"], "to": "trial", "when": FUNDED},
        {"id": "kept", "from": ["trial"], "to": "growth", "when": FUNDED},
    ]
    await publish(db, 2, {"name": "two steps", "rules": rules}, NOW)
    customer = await make_customer(client)
    wrong = signal(customer, "deposit", amount="500")
    await send(client, wrong)
    clock.now += timedelta(days=1)
    await sweep(db, settings, clock)
    assert [step[3] for step in await replaying.lived(db, UUID(customer["id"]))] == ["begun", "kept"]
    await send(client, signal(customer, "signal_retracted", clock.now, source_event_id=wrong["source_event_id"]))
    await sweep(db, settings, clock)
    steps = await replaying.lived(db, UUID(customer["id"]))
    assert [step[:3] for step in steps[2:]] == [("growth", "trial", "correction"), ("trial", "prospect", "correction")]
    await agree(db, settings, clock, customer)


@given(st.integers(0, 2_000_000_000_000_000).map(lambda n: NOW + timedelta(microseconds=n)), st.integers(1, 60))
@example(datetime(2038, 1, 15, 15, 54, 17, 957916, UTC), 7)
def test_a_confirm_window_has_ended_at_the_moment_that_was_foreseen_for_it(begun, days):
    """Else that moment would be due again and again. Epoch seconds lose a digit of their fraction in January 2038."""
    rule = {"id": "kept", "from": ["prospect"], "to": "trial", "when": FUNDED, "confirm_days": days}
    policy = parse_policy({"name": "patient", "rules": [rule]}, 1)
    state = State("prospect", 0, 0.0)
    known = Known(today=1, now=begun.timestamp(), state=state, totals=Totals(inflow=50_000, first_funded_day=0))
    [waiting] = decide([Subject(known)], policy)
    foreseen = datetime.fromtimestamp(waiting.look_again_at, UTC)
    then = Subject(replace(known, now=foreseen.timestamp()), confirming=waiting.confirming)
    assert decide([then], policy)[0].rule is not None
