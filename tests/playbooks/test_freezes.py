"""When the rules are switched off for a customer, the playbook has something to do: once a freeze."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.events import RulesFrozen
from app.playbooks.models import Action
from app.playbooks.performing import run_due
from app.playbooks.plan import plan_freezes
from app.playbooks.service import load_playbooks, plan_freeze_reviews
from tests.playbooks.makers import NOW, actions_of, add_customer, facts, playbook, publish_playbook, task

DAY = timedelta(days=1)
SHANGHAI = ZoneInfo("Asia/Shanghai")
UNTIL = datetime(2026, 4, 20, 16, tzinfo=UTC)  # midnight in Shanghai, of the 21st
REVIEW = task("review", stage="any", anchor="freeze", offset="PT0M", survives_exit=True)


def frozen(*customers: UUID, until: datetime = UNTIL, at: datetime = NOW) -> RulesFrozen:
    return RulesFrozen(at, tuple((customer, new_id(), until) for customer in customers))


async def test_the_default_playbook_gives_the_adviser_a_task(session: AsyncSession) -> None:
    customer = await add_customer(session, owner="mei", full_name="王芳", language="zh")
    event = frozen(customer)
    await plan_freeze_reviews(session, event, SHANGHAI)
    review = (await actions_of(session, customer))["flapping_review"]
    assert (review.owner, review.status, review.due_at, review.cause) == ("mei", "planned", NOW, "returns")
    assert (review.scope, review.interval_id, review.occurrence) == ("customer", None, "2026-04-21")
    assert review.transition_id == event.items[0][1]
    await run_due(session, NOW)
    review = (await actions_of(session, customer))["flapping_review"]
    assert review.status == "claimed"
    assert review.content is not None
    assert "王芳" in review.content["zh"]["subject"]
    assert "60 days" in review.content["en"]["body"]


async def test_each_freeze_has_its_task_and_only_one(session: AsyncSession) -> None:
    customer = await add_customer(session)
    await plan_freeze_reviews(session, frozen(customer), SHANGHAI)
    await plan_freeze_reviews(session, frozen(customer, at=NOW + DAY), SHANGHAI)
    assert await session.scalar(select(func.count()).select_from(Action)) == 1
    await plan_freeze_reviews(session, frozen(customer, until=UNTIL + 70 * DAY, at=UNTIL + 10 * DAY), SHANGHAI)
    occurrences = await session.scalars(select(Action.occurrence).order_by(Action.occurrence))
    assert occurrences.all() == ["2026-04-21", "2026-06-30"]


async def test_a_customer_who_was_erased_or_whose_freeze_is_over_gets_nothing(session: AsyncSession) -> None:
    customer = await add_customer(session)
    await plan_freeze_reviews(session, frozen(new_id()), SHANGHAI)
    await plan_freeze_reviews(session, frozen(customer, at=UNTIL), SHANGHAI)
    assert await session.scalar(select(func.count()).select_from(Action)) == 0


async def test_a_deceased_customer_is_left_in_peace(session: AsyncSession) -> None:
    customer = await add_customer(session, holds=["deceased"])
    await plan_freeze_reviews(session, frozen(customer), SHANGHAI)
    await run_due(session, NOW)
    review = (await actions_of(session, customer))["flapping_review"]
    assert (review.status, review.reason) == ("skipped", "hold_deceased")


async def test_a_task_that_is_done_is_followed_by_nothing(session: AsyncSession) -> None:
    await publish_playbook(session, REVIEW)
    customer = await add_customer(session, holds=["compliance"])
    await plan_freeze_reviews(session, frozen(customer), SHANGHAI)
    assert await run_due(session, NOW + 60 * DAY) == 1
    assert (await actions_of(session, customer))["review"].reason == "late"
    assert await session.scalar(select(func.count()).select_from(Action)) == 1


@pytest.mark.parametrize(("offset", "wakes"), [("PT0M", True), ("P1D", False)])
async def test_what_is_due_at_once_wakes_the_worker(
    session: AsyncSession, statements: SimpleNamespace, offset: str, wakes: bool
) -> None:
    await publish_playbook(session, {**REVIEW, "offset": offset})
    customer = await add_customer(session)
    statements.texts.clear()
    await plan_freeze_reviews(session, frozen(customer), SHANGHAI)
    assert any("pg_notify" in statement for statement in statements.texts) == wakes


async def test_freezes_take_the_same_statements_for_1_customer_and_for_200(
    session: AsyncSession, statements: SimpleNamespace
) -> None:
    await load_playbooks(session, (), NOW)
    counts = []
    for size in (1, 200):
        customers = [await add_customer(session) for _ in range(size)]
        statements.texts.clear()
        await plan_freeze_reviews(session, frozen(*customers), SHANGHAI)
        counts.append(len(statements.texts))
        assert await session.scalar(text("SELECT count(*) FROM actions")) >= size
    assert counts[0] == counts[1] <= 4


def test_a_condition_reads_the_stage_that_the_customer_is_in_and_the_tier_decides_when() -> None:
    in_decline = {"field": "stage", "op": "eq", "value": "decline"}
    book = playbook({**REVIEW, "condition": in_decline, "offset": {"A": "PT2H", "B": "P1D", "C": "P2D"}})
    rich, calm = new_id(), new_id()
    customers = {rich: (facts(tier="A", owner="mei"), "decline"), calm: (facts(), "growth")}
    [planned] = plan_freezes(book, frozen(rich, calm).items, customers, NOW, SHANGHAI)
    assert (planned.customer_id, planned.due_at, planned.owner) == (rich, NOW + timedelta(hours=2), "mei")
