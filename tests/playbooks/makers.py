"""Makers for tests of playbooks: customers, stage changes and small playbooks, each with sensible defaults."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.customers.models import Customer
from app.events import StageChange, StagesChanged
from app.playbooks.definition import Playbook, parse
from app.playbooks.models import Action, PlaybookRow
from app.playbooks.performing import run_due
from app.playbooks.plan import CustomerFacts
from app.playbooks.service import plan_actions
from tests.conftest import NOW

CONSENTS = [{"channel": "in_app", "purpose": p, "granted": True} for p in ("marketing", "survey")]


def definition(key: str, **changes: Any) -> dict[str, Any]:
    """An action of a playbook document: an in-app service message, one day after entry into growth."""
    texts = {"subject": "Hello {{ name }}", "body": "From {{ adviser }}."}
    given = {
        "key": key,
        "stage": "growth",
        "kind": "message",
        "anchor": "dwell",
        "offset": "P1D",
        "class": "service",
        "measure": "A measure",
        "channel": "in_app",
        "content": {"en": texts, "zh": {"subject": "{{ name }},您好", "body": "{{ adviser }}"}},
        "survives_exit": False,
        "expires_after": "P7D",
        **changes,
    }
    return {name: value for name, value in given.items() if value is not ...}


def task(key: str, **changes: Any) -> dict[str, Any]:
    """A task for the customer's adviser."""
    return definition(key, **{"kind": "task", "channel": ..., **changes})


def document(*actions: dict[str, Any], version: int = 1) -> dict[str, Any]:
    """A playbook document."""
    return {"version": version, "name": "Test", "actions": list(actions)}


def playbook(*actions: dict[str, Any], version: int = 1) -> Playbook:
    """A parsed playbook."""
    return parse(document(*actions, version=version))


def change(customer_id: UUID | None = None, to: str = "growth", **given: Any) -> StageChange:
    """A customer's step into stage `to` at NOW, from nowhere unless `from_stage` is given."""
    values: dict[str, Any] = {
        "customer_id": customer_id or new_id(),
        "transition_id": new_id(),
        "interval_id": new_id(),
        "sequence": 1,
        "from_stage": None,
        "to_stage": to,
        "kind": "automatic",
        "rule_id": "some_rule",
        "policy_version": 1,
        "reason": None,
        "actor": "rules",
        "facts": {},
        "effective_at": NOW,
        "evaluated_at": NOW,
        **given,
    }
    return StageChange(**{"scope_id": values["interval_id"], "left_scope_id": values.get("left_interval_id"), **values})


def leave(before: StageChange, to: str, at: datetime = NOW, **given: Any) -> StageChange:
    """The step out of the interval that `before` began."""
    values = {
        "from_stage": before.to_stage,
        "left_interval_id": before.interval_id,
        "left_scope_id": before.scope_id,
        "sequence": before.sequence + 1,
        "effective_at": at,
    }
    return change(before.customer_id, to, **{**values, **given})


def back(before: StageChange, former: StageChange, at: datetime = NOW, **given: Any) -> StageChange:
    """The step out of the interval that `before` began, by which the stay that `former` began goes on: a false alarm."""
    return leave(before, former.to_stage, at, **{"scope_id": former.scope_id, "rule_id": "false_alarm", **given})


def corrected(before: StageChange, former: StageChange, at: datetime = NOW, **given: Any) -> StageChange:
    """The correction that takes back the step `before`."""
    values = {"kind": "correction", "rule_id": None, "corrects_sequence": before.sequence}
    return back(before, former, at, **{**values, **given})


def facts(**given: Any) -> CustomerFacts:
    """An ordinary customer, as planning sees one."""
    return CustomerFacts(
        **{"name": "Ada Lin", "kind": "individual", "segment": "mass", "tier": "B", "owner": None, **given}
    )


async def add_customer(session: AsyncSession, **given: Any) -> UUID:
    """A stored customer who permits every in-app message."""
    values: dict[str, Any] = {
        "kind": "individual",
        "full_name": "Ada Lin",
        "segment": "mass",
        "tier": "B",
        "language": "en",
        "time_zone": "UTC",
        "consents": CONSENTS,
        "stage": "growth",
        "stage_entered_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    customer = Customer(id=new_id(), **{**values, **given})
    session.add(customer)
    await session.flush()
    return customer.id


async def publish_playbook(session: AsyncSession, *actions: dict[str, Any]) -> int:
    """Make these actions the playbook in force; returns its version."""
    version = 1 + (await session.scalar(select(func.max(PlaybookRow.version))) or 0)
    body = document(*actions, version=version)
    parse(body)
    session.add(
        PlaybookRow(version=version, name="Test", status="published", body=body, digest=str(new_id()), published_at=NOW)
    )
    await session.flush()
    return version


async def enter(session: AsyncSession, *changes: StageChange, at: datetime = NOW) -> None:
    """Let the reaction hear that customers changed stage, and keep the customers' rows in step."""
    for c in changes:
        await session.execute(
            text("UPDATE customers SET stage = :stage WHERE id = :id"), {"stage": c.to_stage, "id": c.customer_id}
        )
    await plan_actions(session, StagesChanged(at, tuple(changes)))


async def actions_of(session: AsyncSession, customer_id: UUID) -> dict[str, Action]:
    """A customer's actions by key, the latest occurrence of each; `key#2` and so on for all of a series."""
    found = select(Action).where(Action.customer_id == customer_id).order_by(Action.due_at)
    rows = (await session.execute(found.execution_options(populate_existing=True))).scalars().all()
    return {row.key: row for row in rows} | {f"{row.key}#{row.occurrence}": row for row in rows}


async def perform(session: AsyncSession, at: datetime) -> None:
    """Do everything that is due."""
    while await run_due(session, at, 100):
        pass


async def states(session: AsyncSession, customer: UUID) -> dict[str, str]:
    """`key` or, of a series, `key#2` -> status and reason."""
    found = {}
    for name, action in (await actions_of(session, customer)).items():
        if "#" in name:
            found[name.removesuffix("#1")] = action.status + (f" {action.reason}" if action.reason else "")
    return found


async def declined(
    session: AsyncSession, *actions: dict[str, Any], after: int = 10
) -> tuple[UUID, StageChange, StageChange]:
    """A customer who came into growth at NOW and into decline `after` days later, by a playbook of these actions."""
    await publish_playbook(session, *actions)
    customer = await add_customer(session)
    growth = change(customer)
    await enter(session, growth)
    for day in range(after + 1):
        await perform(session, NOW + timedelta(days=day))
    decline = leave(growth, "decline", NOW + timedelta(days=after), rule_id="at_risk")
    await enter(session, decline, at=decline.effective_at)
    return customer, growth, decline


async def again(session: AsyncSession, step: StageChange) -> None:
    """Let the reaction hear of a step at the time of the step."""
    await enter(session, step, at=step.effective_at)


async def listed(client: httpx.AsyncClient, address: str = "/v1/actions", **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(address, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]
