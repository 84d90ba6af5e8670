"""Stage changes plan actions in PostgreSQL: once, all together, and only while the customer stays."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database
from app.events import StagesChanged
from app.playbooks.models import Action, PlaybookPin, PlaybookRow
from app.playbooks.service import ensure_default_playbook, load_playbooks, plan_actions
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


async def test_a_new_growth_customer_of_the_default_playbook_gets_a_plan_and_an_adviser(session: AsyncSession) -> None:
    customer = await add_customer(session, segment="high_net_worth", owner="mei", full_name="王芳")
    entered = change(customer)
    await enter(session, entered)
    actions = await actions_of(session, customer)
    assert {"assign_adviser", "dedicated_adviser", "plan", "proposal", "promotion", "portfolio_review"} <= set(actions)
    assert "financing_plan" not in actions
    plan = actions["plan"]
    assert (plan.owner, plan.status, plan.stage, plan.interval_id) == ("mei", "planned", "growth", entered.interval_id)
    assert plan.content is not None
    assert "王芳" in plan.content["zh"]["subject"]
    assert "王芳" in plan.content["en"]["subject"]
    assert actions["portfolio_review"].scope == "customer"
    assert actions["promotion"].content is None


async def test_hearing_of_the_same_changes_twice_plans_nothing_twice(session: AsyncSession) -> None:
    customer = await add_customer(session)
    event = StagesChanged(NOW, (change(customer),))
    await plan_actions(session, event)
    once = await session.scalar(select(func.count()).select_from(Action))
    await plan_actions(session, event)
    assert await session.scalar(select(func.count()).select_from(Action)) == once > 0


async def test_leaving_a_stage_cancels_what_does_not_survive_and_plans_the_exit(session: AsyncSession) -> None:
    await publish_playbook(
        session,
        definition("tip"),
        definition("statement", survives_exit=True),
        definition("bye", anchor="exit", survives_exit=True),
        definition("nps", stage="any", survives_exit=True),
        task("save", stage="decline"),
    )
    customer, neighbour = await add_customer(session), await add_customer(session)
    entered = change(customer)
    await enter(session, entered, change(neighbour))
    later = NOW + timedelta(hours=3)
    await enter(session, leave(entered, "decline", later), at=later)
    actions = await actions_of(session, customer)
    assert {key: a.status for key, a in actions.items() if "#" not in key} == {
        "tip": "cancelled",
        "statement": "planned",
        "bye": "planned",
        "nps": "planned",
        "save": "planned",
    }
    assert (actions["tip"].reason, actions["tip"].finished_at, actions["tip"].version) == ("left_stage", later, 2)
    assert (await actions_of(session, neighbour))["tip"].status == "planned"


async def test_an_interval_keeps_the_version_that_it_began_with_for_its_exit(session: AsyncSession) -> None:
    await publish_playbook(session, definition("old_bye", anchor="exit", survives_exit=True))
    customer = await add_customer(session)
    entered = change(customer)
    await enter(session, entered)
    newest = await publish_playbook(session, definition("new_bye", anchor="exit", survives_exit=True))
    declined = leave(entered, "decline")
    await enter(session, declined)
    await enter(session, leave(declined, "growth"))
    assert {key for key in await actions_of(session, customer) if "#" not in key} == {"old_bye"}
    pin = (await session.execute(select(PlaybookPin).where(PlaybookPin.customer_id == customer))).scalar_one()
    await session.refresh(pin)
    assert pin.playbook_version == newest


async def test_an_import_without_a_playbook_starts_nothing_but_the_next_stage_does(session: AsyncSession) -> None:
    customer = await add_customer(session)
    imported = change(customer, kind="import", playbook_mode="none")
    await enter(session, imported)
    assert await actions_of(session, customer) == {}
    await enter(session, leave(imported, "decline"))
    assert "save_call" in await actions_of(session, customer)


async def test_changes_of_customers_who_were_erased_are_passed_over(session: AsyncSession) -> None:
    gone = change()
    customer = await add_customer(session)
    await plan_actions(session, StagesChanged(NOW, (gone, change(customer))))
    assert await actions_of(session, customer) != {}
    assert await session.scalar(select(func.count()).select_from(PlaybookPin)) == 1


async def test_several_steps_of_one_customer_in_one_event_end_in_the_last_stage(session: AsyncSession) -> None:
    customer = await add_customer(session)
    first = change(customer, "prospect")
    second = leave(first, "trial")
    await enter(session, first, second)
    stages = {a.stage for a in (await actions_of(session, customer)).values() if a.status == "planned"}
    assert stages == {"trial", "any"}
    assert await session.scalar(select(PlaybookPin.interval_id)) == second.interval_id


async def test_deleting_a_customer_takes_the_actions_along(session: AsyncSession) -> None:
    customer = await add_customer(session)
    await enter(session, change(customer))
    await session.execute(text("DELETE FROM customers WHERE id = :id"), {"id": customer})
    assert await session.scalar(select(func.count()).select_from(Action)) == 0


async def test_planning_takes_the_same_statements_for_5_changes_and_for_500(
    session: AsyncSession, statements: SimpleNamespace
) -> None:
    await load_playbooks(session, (), NOW)
    counts = []
    for size in (5, 500):
        customers = [await add_customer(session, owner="mei") for _ in range(size)]
        entered = [change(customer) for customer in customers]
        statements.texts.clear()
        await plan_actions(session, StagesChanged(NOW, tuple(entered)))
        await plan_actions(session, StagesChanged(NOW, tuple(leave(c, "decline") for c in entered)))
        counts.append(len(statements.texts))
        planned = select(func.count()).select_from(Action).where(Action.customer_id.in_(customers))
        assert await session.scalar(planned) >= 15 * size
    assert counts[0] == counts[1] <= 12


async def test_an_empty_event_asks_the_database_nothing(session: AsyncSession, statements: SimpleNamespace) -> None:
    await plan_actions(session, StagesChanged(NOW, ()))
    assert statements.texts == []


async def test_the_shipped_playbook_is_never_stored_over_another(session: AsyncSession) -> None:
    await session.execute(delete(PlaybookRow))
    own = await publish_playbook(session, definition("own", **{"class": "care"}))
    await ensure_default_playbook(session, NOW)
    stored = (await session.execute(select(PlaybookRow.version, PlaybookRow.name))).all()
    assert [tuple(row) for row in stored] == [(own, "Test")]


async def test_a_database_without_a_playbook_gets_the_shipped_one(session: AsyncSession) -> None:
    await session.execute(delete(PlaybookRow))
    customer = await add_customer(session)
    await enter(session, change(customer))
    assert "assign_adviser" in await actions_of(session, customer)
    assert await session.scalar(select(PlaybookRow.name)) == "Default playbook"


async def test_processes_that_start_together_store_it_once(live: Database) -> None:
    async with live.transaction() as session:
        await session.execute(delete(PlaybookRow))

    async def start() -> int:
        async with live.transaction() as session:
            await ensure_default_playbook(session, NOW)
            newest, _ = await load_playbooks(session, (), NOW)
            return newest.version

    assert await asyncio.gather(*(start() for _ in range(4))) == [1, 1, 1, 1]


async def test_the_pins_and_the_plan_refuse_rows_of_no_customer(session: AsyncSession) -> None:
    from sqlalchemy.exc import IntegrityError

    row = change()
    with pytest.raises(IntegrityError):
        session.add(PlaybookPin(customer_id=row.customer_id, interval_id=row.interval_id, playbook_version=1))
        await session.flush()
