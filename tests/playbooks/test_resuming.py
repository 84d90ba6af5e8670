"""A correction or a false alarm resumes a stay: what was done stays done, what was called off goes on, nothing twice."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import StagesChanged
from app.playbooks.models import Action, PlaybookPin
from app.playbooks.service import load_playbooks, plan_actions
from tests.playbooks.makers import (
    NOW,
    actions_of,
    add_customer,
    again,
    back,
    change,
    corrected,
    declined,
    definition,
    enter,
    leave,
    perform,
    publish_playbook,
    states,
    task,
)

DAY = timedelta(days=1)
BYE = definition("bye", anchor="exit", offset="P3D", survives_exit=True)
SAVE = task("save", stage="decline", anchor="entry", offset="PT0H")
KEEP = definition("keep", stage="decline", offset="P5D", survives_exit=True)
END = definition("end", stage="decline", anchor="exit", offset="P3D", survives_exit=True)


@pytest.mark.parametrize("step", [back, corrected])
async def test_what_was_done_stays_done_and_what_was_called_off_goes_on(session: AsyncSession, step: Any) -> None:
    customer, growth, decline = await declined(
        session,
        definition("welcome", anchor="entry", offset="PT0H"),
        definition("tip", offset="P40D"),
        definition("news", offset="P12D"),
        definition("flash", offset="P11D", expires_after="P1D"),
    )
    assert await states(session, customer) == {
        "welcome": "done",
        "tip": "cancelled left_stage",
        "news": "cancelled left_stage",
        "flash": "cancelled left_stage",
    }
    await again(session, step(decline, growth, NOW + 16 * DAY))
    assert await states(session, customer) == {
        "welcome": "done",
        "tip": "planned",
        "news": "planned",
        "flash": "cancelled left_stage",
    }
    actions = await actions_of(session, customer)
    assert (actions["tip"].due_at, actions["tip"].version) == (NOW + 40 * DAY, 3)
    assert (actions["news"].due_at, actions["news"].expires_at) == (NOW + 16 * DAY, NOW + 19 * DAY)
    assert {a.finished_at for a in (actions["tip"], actions["news"])} == {None}
    for day in (16, 40):
        await perform(session, NOW + day * DAY)
    assert {key: s for key, s in (await states(session, customer)).items() if s != "done"} == {
        "flash": "cancelled left_stage"
    }


async def test_a_false_alarm_is_a_real_exit_and_a_correction_is_none(session: AsyncSession) -> None:
    given = (BYE, SAVE, KEEP, END)
    customer, growth, decline = await declined(session, *given)
    assert await states(session, customer) == {"bye": "planned", "save": "planned", "keep": "planned"}
    await again(session, back(decline, growth, NOW + 11 * DAY))
    assert await states(session, customer) == {
        "bye": "planned",
        "save": "cancelled left_stage",
        "keep": "planned",
        "end": "planned",
    }
    customer, growth, decline = await declined(session, *given)
    await again(session, corrected(decline, growth, NOW + 11 * DAY))
    assert await states(session, customer) == {
        "bye": "cancelled corrected",
        "save": "cancelled left_stage",
        "keep": "cancelled corrected",
    }


async def test_what_a_correction_called_off_begins_when_the_stage_is_really_left(session: AsyncSession) -> None:
    customer, growth, decline = await declined(session, BYE, SAVE)
    restored = corrected(decline, growth, NOW + 11 * DAY)
    await again(session, restored)
    left = leave(restored, "decline", NOW + 30 * DAY)
    await again(session, left)
    bye = (await actions_of(session, customer))["bye"]
    assert (bye.status, bye.reason, bye.finished_at, bye.due_at) == ("planned", None, None, NOW + 33 * DAY)
    assert bye.transition_id == left.transition_id
    await perform(session, NOW + 33 * DAY)
    assert (await actions_of(session, customer))["bye"].status == "done"


async def test_what_an_exit_started_once_is_not_started_again_by_the_next_of_the_same_stay(
    session: AsyncSession,
) -> None:
    customer, growth, decline = await declined(session, BYE)
    await perform(session, NOW + 13 * DAY)
    restored = back(decline, growth, NOW + 25 * DAY)
    await again(session, restored)
    await again(session, leave(restored, "decline", NOW + 60 * DAY))
    assert await states(session, customer) == {"bye": "done"}


async def test_what_somebody_called_off_by_hand_stays_called_off(session: AsyncSession) -> None:
    customer, growth, decline = await declined(session, definition("tip", offset="P40D"), BYE)
    by_hand = {"status": "cancelled", "reason": "left_stage", "finished_by": "key:mei"}
    await session.execute(update(Action).where(Action.key == "tip").values(**by_hand))
    await session.execute(update(Action).where(Action.key == "bye").values({**by_hand, "reason": "corrected"}))
    restored = corrected(decline, growth, NOW + 11 * DAY)
    for step in (restored, leave(restored, "decline", NOW + 12 * DAY)):
        await again(session, step)
        assert await states(session, customer) == {"tip": "cancelled left_stage", "bye": "cancelled corrected"}


async def test_what_a_wrong_exit_has_done_already_stays_done(session: AsyncSession) -> None:
    customer, growth, decline = await declined(session, BYE)
    await perform(session, NOW + 13 * DAY)
    await again(session, corrected(decline, growth, NOW + 14 * DAY))
    assert await states(session, customer) == {"bye": "done"}


async def test_a_series_goes_on_although_an_occurrence_was_missed(session: AsyncSession) -> None:
    customer, growth, decline = await declined(session, definition("letter", offset="P5D", every="P10D"), after=8)
    assert await states(session, customer) == {"letter": "done", "letter#2": "cancelled left_stage"}
    await again(session, back(decline, growth, NOW + 30 * DAY))
    actions = await actions_of(session, customer)
    assert await states(session, customer) == {
        "letter": "done",
        "letter#2": "cancelled left_stage",
        "letter#3": "planned",
    }
    assert actions["letter#3"].due_at == NOW + 35 * DAY


async def test_a_series_goes_on_whose_task_was_completed_meanwhile(session: AsyncSession) -> None:
    customer, growth, decline = await declined(session, task("call", offset="P5D", every="P30D"))
    assert await states(session, customer) == {"call": "claimed"}
    restored = back(decline, growth, NOW + 11 * DAY)
    await session.execute(update(Action).values(status="done", finished_at=NOW + 11 * DAY, finished_by="key:mei"))
    await again(session, restored)
    call = (await actions_of(session, customer))["call#2"]
    assert (call.status, call.due_at) == ("planned", NOW + 35 * DAY)
    await again(session, leave(restored, "mature", NOW + 20 * DAY))
    await perform(session, NOW + 90 * DAY)
    assert await states(session, customer) == {"call": "done", "call#2": "cancelled left_stage"}


async def test_a_task_that_is_still_on_the_list_is_the_one_of_its_series(session: AsyncSession) -> None:
    customer, growth, decline = await declined(session, task("call", offset="P5D", every="P30D"))
    await again(session, back(decline, growth, NOW + 11 * DAY))
    assert await states(session, customer) == {"call": "claimed"}


async def test_going_to_and_fro_often_plans_everything_once(session: AsyncSession) -> None:
    customer, growth, decline = await declined(session, definition("tip", offset="P90D", every="P30D"), SAVE)
    day = 11
    for _ in range(4):
        restored = back(decline, growth, NOW + day * DAY)
        await again(session, restored)
        decline = leave(restored, "decline", NOW + (day + 1) * DAY)
        await again(session, decline)
        day += 2
    await again(session, back(decline, growth, NOW + day * DAY))
    saves = await session.execute(select(Action.status).where(Action.key == "save"))
    assert saves.scalars().all() == ["cancelled"] * 5
    tip = (await actions_of(session, customer))["tip"]
    assert (tip.occurrence, tip.status, tip.due_at) == ("1", "planned", NOW + 90 * DAY)


async def test_hearing_of_a_resumption_twice_changes_nothing_more(session: AsyncSession) -> None:
    customer, growth, decline = await declined(session, definition("tip", offset="P40D"), BYE, SAVE, END)
    for step in (back(decline, growth, NOW + 11 * DAY), corrected(decline, growth, NOW + 11 * DAY)):
        await again(session, step)
        once = await states(session, customer)
        await again(session, step)
        assert await states(session, customer) == once


@pytest.mark.parametrize("step", [back, corrected])
async def test_a_resumed_stay_keeps_the_version_that_it_began_with(session: AsyncSession, step: Any) -> None:
    customer, growth, decline = await declined(session, definition("tip", offset="P90D"), BYE)
    await publish_playbook(session, definition("new_tip"), definition("new_bye", anchor="exit", survives_exit=True))
    restored = step(decline, growth, NOW + 11 * DAY)
    await again(session, restored)
    pin = (await session.execute(select(PlaybookPin).where(PlaybookPin.customer_id == customer))).scalar_one()
    await session.refresh(pin)
    tip = (await actions_of(session, customer))["tip"]
    assert (pin.interval_id, pin.playbook_version) == (growth.interval_id, tip.playbook_version)
    await again(session, leave(restored, "mature", NOW + 20 * DAY))
    assert await states(session, customer) == {"tip": "cancelled left_stage", "bye": "planned"}


async def test_the_gate_takes_a_resumed_stay_for_the_present_one(session: AsyncSession) -> None:
    customer, growth, decline = await declined(session, definition("tip", offset="P40D", every="P30D"))
    restored = back(decline, growth, NOW + 20 * DAY)
    assert restored.interval_id != growth.interval_id
    await again(session, restored)
    await perform(session, NOW + 40 * DAY)
    assert await states(session, customer) == {"tip": "done", "tip#2": "planned"}


async def test_a_corrected_false_alarm_resumes_the_decline(session: AsyncSession) -> None:
    stays = definition("statement", offset="P50D", survives_exit=True)
    customer, growth, decline = await declined(
        session, definition("tip", offset="P40D"), stays, BYE, SAVE, END, task("call", stage="decline", offset="P20D")
    )
    restored = back(decline, growth, NOW + 11 * DAY)
    await again(session, restored)
    await again(session, corrected(restored, decline, NOW + 12 * DAY))
    assert await states(session, customer) == {
        "tip": "cancelled left_stage",
        "statement": "planned",
        "bye": "planned",
        "save": "planned",
        "call": "planned",
        "end": "cancelled corrected",
    }


@pytest.mark.parametrize(
    ("mode", "planned"), [("none", set()), ("dwell_only", {"tip"}), ("full", {"tip", "welcome", "end"})]
)
async def test_the_playbook_mode_says_how_much_of_a_stay_goes_on(
    session: AsyncSession, mode: str, planned: set[str]
) -> None:
    welcome = definition("welcome", anchor="entry", offset="P20D")
    customer, growth, decline = await declined(session, welcome, definition("tip", offset="P40D"), SAVE, END)
    await again(session, back(decline, growth, NOW + 11 * DAY, playbook_mode=mode))
    assert {key for key, state in (await states(session, customer)).items() if state == "planned"} == planned


async def test_a_stay_that_planned_nothing_has_nothing_to_resume(session: AsyncSession) -> None:
    newest = await publish_playbook(session, definition("tip"))
    customer = await add_customer(session)
    growth = change(customer, kind="import", playbook_mode="none")
    await enter(session, growth)
    decline = leave(growth, "decline")
    await enter(session, decline)
    await enter(session, corrected(decline, growth), corrected(change(), change()))
    assert await states(session, customer) == {}
    assert await session.scalar(select(PlaybookPin.playbook_version)) == newest


@pytest.mark.parametrize(("due", "wakes"), [("P12D", True), ("P40D", False)])
async def test_what_is_due_at_once_again_wakes_the_worker(
    session: AsyncSession, statements: SimpleNamespace, due: str, wakes: bool
) -> None:
    _, growth, decline = await declined(session, definition("tip", offset=due))
    statements.texts.clear()
    await again(session, corrected(decline, growth, NOW + 13 * DAY))
    assert any("pg_notify" in statement for statement in statements.texts) == wakes


async def test_resuming_takes_the_same_statements_for_5_customers_and_for_300(
    session: AsyncSession, statements: SimpleNamespace
) -> None:
    await publish_playbook(session, definition("tip", offset="P40D"), definition("news", every="P3D"), BYE, SAVE, END)
    await load_playbooks(session, (), NOW)
    counts = []
    for size in (5, 300):
        growth = [change(await add_customer(session)) for _ in range(size)]
        decline = [leave(c, "decline") for c in growth]
        await plan_actions(session, StagesChanged(NOW, tuple(growth)))
        await plan_actions(session, StagesChanged(NOW, tuple(decline)))
        half = size // 2
        steps = [(corrected if n < half else back)(d, g) for n, (d, g) in enumerate(zip(decline, growth, strict=True))]
        statements.texts.clear()
        await plan_actions(session, StagesChanged(NOW + DAY, tuple(steps)))
        counts.append(len(statements.texts))
        resumed = select(Action.id).where(Action.key == "tip", Action.status == "planned")
        assert len((await session.execute(resumed)).all()) >= size
    assert counts[0] == counts[1] <= 9
