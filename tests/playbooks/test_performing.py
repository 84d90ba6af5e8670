"""Due actions are done, refused or handed over; every end is stored, and told to the world where it concerns it."""

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.db import Database
from app.events import ActionsFinished, StagesChanged, take_published
from app.jobs import SWEEPS, Worker
from app.playbooks.models import Action, Message
from app.playbooks.performing import run_due
from app.playbooks.service import SWEEP, plan_actions
from tests.playbooks.makers import (
    NOW,
    actions_of,
    add_customer,
    change,
    definition,
    enter,
    leave,
    publish_playbook,
    task,
)

DAY = timedelta(days=1)


async def run_all(session: AsyncSession, now: datetime) -> list[tuple[str, str, str | None]]:
    """Do everything that is due; returns what was published, as (key, outcome, reason)."""
    take_published(session)
    while await run_due(session, now, 50):
        pass
    events = [event for event in take_published(session) if isinstance(event, ActionsFinished)]
    return [(o.key, o.outcome, o.reason) for event in events for o in event.outcomes]


async def started(session: AsyncSession, *actions: dict[str, Any], **customer: Any) -> UUID:
    """A customer who entered growth at NOW, under a playbook of these actions."""
    await publish_playbook(session, *actions)
    customer_id = await add_customer(session, **customer)
    await enter(session, change(customer_id))
    return customer_id


async def ends(session: AsyncSession, customer: UUID) -> dict[str, tuple[str, str | None]]:
    return {key: (a.status, a.reason) for key, a in (await actions_of(session, customer)).items() if "#" not in key}


async def test_nothing_happens_before_it_is_due(session: AsyncSession) -> None:
    customer = await started(session, definition("tip", offset="P1D"))
    assert await run_due(session, NOW + DAY - timedelta(seconds=1), 10) == 0
    assert await run_due(session, NOW + DAY, 10) == 1
    assert await ends(session, customer) == {"tip": ("done", None)}


async def test_a_message_reaches_the_inbox_in_the_language_of_the_customer(session: AsyncSession) -> None:
    customer = await started(session, definition("tip"), full_name="王芳", language="zh-Hans")
    assert await run_all(session, NOW + DAY) == [("tip", "done", None)]
    message = (await session.execute(select(Message))).scalar_one()
    assert (message.subject, message.body, message.language) == ("王芳,您好", "我们的顾问团队", "zh")
    action = (await actions_of(session, customer))["tip"]
    assert (message.action_id, message.created_at) == (action.id, NOW + DAY)
    assert action.content == {"zh": {"subject": "王芳,您好", "body": "我们的顾问团队"}}
    assert (action.claimed_at, action.finished_at, action.version) == (NOW + DAY, NOW + DAY, 2)


async def test_a_due_task_goes_to_its_owners_list_and_is_not_done(session: AsyncSession) -> None:
    customer = await started(session, task("call"))
    await session.execute(text("UPDATE customers SET owner = 'mei' WHERE id = :id"), {"id": customer})
    assert await run_all(session, NOW + DAY) == []
    call = (await actions_of(session, customer))["call"]
    assert (call.status, call.owner, call.claimed_at, call.finished_at) == ("claimed", "mei", NOW + DAY, None)
    assert call.content is not None
    assert call.content["en"]["body"] == "From mei."


async def test_what_nobody_here_performs_is_handed_over_and_never_called_done(session: AsyncSession) -> None:
    customer = await started(
        session,
        definition("mail", channel="email"),
        definition("survey", kind="survey"),
        task("pack", kind="portfolio_review"),
    )
    told = await run_all(session, NOW + DAY)
    assert sorted(told) == [(key, "due", "no_provider") for key in ("mail", "pack", "survey")]
    assert set((await ends(session, customer)).values()) == {("skipped", "no_provider")}
    assert await session.scalar(select(func.count()).select_from(Message)) == 0


async def test_every_refusal_is_stored_with_its_reason(session: AsyncSession) -> None:
    cases = {
        "hold_deceased": {"holds": ["deceased"]},
        "hold_compliance": {"holds": ["compliance"]},
        "no_consent": {"consents": []},
    }
    await publish_playbook(session, definition("tip", **{"class": "care"}))
    for reason, customer_values in cases.items():
        customer = await add_customer(session, **customer_values)
        await enter(session, change(customer))
        assert await run_all(session, NOW + DAY) == [("tip", "skipped", reason)]
        assert await ends(session, customer) == {"tip": ("skipped", reason)}


async def test_what_is_older_than_it_may_be_is_skipped_as_late(session: AsyncSession) -> None:
    customer = await started(session, definition("tip", expires_after="P2D"))
    assert await run_all(session, NOW + 3 * DAY + timedelta(seconds=1)) == [("tip", "skipped", "late")]
    assert await ends(session, customer) == {"tip": ("skipped", "late")}


async def test_a_customer_who_changed_segment_is_not_addressed_as_before(session: AsyncSession) -> None:
    only_mass = {"field": "segment", "op": "eq", "value": "mass"}
    customer = await started(session, definition("tip", condition=only_mass))
    await session.execute(text("UPDATE customers SET segment = 'affluent' WHERE id = :id"), {"id": customer})
    assert await run_all(session, NOW + DAY) == [("tip", "skipped", "not_applicable")]


async def test_the_gate_stops_what_a_left_interval_forgot(session: AsyncSession) -> None:
    customer = await started(session, definition("tip"), definition("letter", survives_exit=True))
    await session.execute(text("UPDATE playbook_pins SET interval_id = gen_random_uuid()"))
    await run_all(session, NOW + DAY)
    assert await ends(session, customer) == {"tip": ("skipped", "left_stage"), "letter": ("done", None)}


async def test_a_series_goes_on_one_at_a_time_until_the_stage_is_left(session: AsyncSession) -> None:
    await publish_playbook(session, definition("letter", every="P30D"))
    customer = await add_customer(session)
    entered = change(customer)
    await enter(session, entered)
    for day in range(1, 100):
        await run_all(session, NOW + day * DAY)
    letters = [a for key, a in (await actions_of(session, customer)).items() if "#" in key]
    assert [(a.occurrence, (a.due_at - NOW).days, a.status) for a in letters] == [
        ("1", 1, "done"),
        ("2", 31, "done"),
        ("3", 61, "done"),
        ("4", 91, "done"),
        ("5", 121, "planned"),
    ]
    await enter(session, leave(entered, "decline", NOW + 100 * DAY), at=NOW + 100 * DAY)
    assert await run_all(session, NOW + 400 * DAY) == []


async def test_a_pause_does_not_end_in_a_flood(session: AsyncSession) -> None:
    customer = await started(session, definition("letter", every="P1D", expires_after="PT12H"))
    assert await run_all(session, NOW + 200 * DAY + timedelta(hours=1)) == [("letter", "skipped", "late")]
    assert (await actions_of(session, customer))["letter#2"].due_at == NOW + 201 * DAY


async def test_a_series_of_the_customer_outlives_stages_and_waits_for_its_condition(session: AsyncSession) -> None:
    funded = {"field": "stage", "op": "in", "value": ["growth", "decline"]}
    review = task("review", stage="any", every="P90D", offset="P90D", survives_exit=True, condition=funded)
    message = definition("note", stage="any", every="P90D", offset="P90D", survives_exit=True, condition=funded)
    await publish_playbook(session, review, message)
    customer = await add_customer(session)
    entered = change(customer)
    await enter(session, entered)
    back = leave(entered, "prospect", NOW + DAY)
    await enter(session, back, at=NOW + DAY)
    assert ("note", "skipped", "not_applicable") in await run_all(session, NOW + 90 * DAY)
    await enter(session, leave(back, "growth", NOW + 91 * DAY), at=NOW + 91 * DAY)
    assert ("note", "done", None) in await run_all(session, NOW + 180 * DAY)
    assert (await actions_of(session, customer))["review#2"].status == "claimed"


async def test_a_batch_is_never_larger_than_asked(session: AsyncSession) -> None:
    await started(session, *(definition(f"tip{i}") for i in range(7)))
    taken = [await run_due(session, NOW + DAY, 3) for _ in range(4)]
    assert taken == [3, 3, 1, 0]


async def test_performing_takes_the_same_statements_for_5_customers_and_for_300(
    session: AsyncSession, statements: SimpleNamespace
) -> None:
    await publish_playbook(session, definition("tip", every="P30D"), task("call"), definition("mail", channel="email"))
    counts = []
    for round_, size in enumerate((5, 300)):
        at = NOW + round_ * 10 * DAY
        customers = [await add_customer(session) for _ in range(size)]
        await plan_actions(session, StagesChanged(at, tuple(change(c, effective_at=at) for c in customers)))
        await run_due(session, at, 5)
        statements.texts.clear()
        assert await run_due(session, at + DAY, 1000) == 3 * size
        counts.append(len(statements.texts))
    assert counts[0] == counts[1] <= 7


async def _many(live: Database, size: int) -> None:
    async with live.transaction() as session:
        await publish_playbook(session, definition("tip"), task("call"))
        customers = [await add_customer(session) for _ in range(size)]
        await plan_actions(session, StagesChanged(NOW, tuple(change(c) for c in customers)))


async def test_workers_beside_each_other_do_everything_exactly_once(live: Database) -> None:
    await _many(live, 60)

    async def worker() -> int:
        done = 0
        for _ in range(40):
            async with live.transaction() as session:
                done += await run_due(session, NOW + DAY, 10)
        return done

    counts = await asyncio.gather(*(worker() for _ in range(4)))
    assert sum(counts) == 120
    async with live.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(Message)) == 60
        assert await connection.scalar(select(func.count()).where(Action.status == "claimed")) == 60


async def test_a_customer_who_is_being_changed_is_left_for_later(live: Database) -> None:
    await _many(live, 2)
    async with live.transaction() as other:
        held = await other.scalar(text("SELECT id FROM customers ORDER BY id LIMIT 1 FOR UPDATE"))
        async with live.transaction() as session:
            assert await run_due(session, NOW + DAY, 10) == 2
            left = await session.execute(select(Action.customer_id).where(Action.status == "planned").distinct())
            assert left.scalars().all() == [held]
    async with live.transaction() as session:
        assert await run_due(session, NOW + DAY, 10) == 2


async def test_the_sweep_reads_the_workers_clock(live: Database, settings: Settings) -> None:
    await _many(live, 1)
    early = Worker(live, settings, lambda: NOW, None)  # type: ignore[arg-type]
    later = Worker(live, settings, lambda: NOW + DAY, None)  # type: ignore[arg-type]
    assert await SWEEPS[SWEEP](early) is False
    async with live.read() as connection:
        assert await connection.scalar(select(func.count()).where(Action.status == "planned")) == 2
    assert await SWEEPS[SWEEP](later) is False
    async with live.read() as connection:
        assert await connection.scalar(select(func.count()).where(Action.status == "planned")) == 0
