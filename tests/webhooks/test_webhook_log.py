"""The event log: appended with the change, numbered after the commit, read by position."""

import json
from collections import defaultdict
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, text

from app.clock import new_id
from app.customers.models import Customer
from app.db import Database
from app.events import (
    PUBLIC_TYPES,
    ActionOutcome,
    ActionsFinished,
    AllocationVersionPublished,
    CustomersCreated,
    CustomersErased,
    CustomersMerged,
    CustomersUnmerged,
    EndpointDisabled,
    Event,
    Merge,
    NewCustomer,
    NewRecommendation,
    OperationsFinished,
    PortfolioReviewsOpened,
    PublicEvent,
    RecommendationsAccepted,
    RecommendationsCreated,
    RulesFrozen,
)
from app.jobs import Worker
from app.webhooks.catalogue import MODELS, matching, unknown_patterns
from app.webhooks.event_log import append, render
from tests.conftest import NOW
from tests.webhooks.arrange import make_customers, moved, updated


async def bodies(database: Database) -> list[Any]:
    async with database.transaction() as session:
        return [json.loads(body) for body in await session.scalars(text("SELECT body FROM events ORDER BY id"))]


async def test_an_event_is_rendered_thin_with_its_customer_and_number(db: Database) -> None:
    async with db.transaction() as session:
        [customer] = await make_customers(session, 1, NOW)
        event = moved([customer], NOW)
        await append(session, event)
    [body] = await bodies(db)
    assert list(body) == ["id", "type", "timestamp", "data"]
    assert body["timestamp"] == "2026-03-02T09:55:00Z"
    assert body["data"] == {
        "customer_id": str(customer),
        "sequence": 1,
        "transition_id": str(event.changes[0].transition_id),
        "transition_sequence": 1,
        "from": "prospect",
        "to": "trial",
        "kind": "automatic",
        "rule_id": "first_deposit",
        "policy_version": 1,
        "corrects_sequence": None,
    }


async def test_each_customers_events_are_numbered_without_gaps(db: Database) -> None:
    async with db.transaction() as session:
        ada, bob = await make_customers(session, 2, NOW)
        await append(session, updated([ada, bob, ada], NOW))
    async with db.transaction() as session:
        await append(session, moved([bob, ada], NOW))
        await append(session, updated([ada], NOW))
    numbers = defaultdict(list)
    for body in await bodies(db):
        numbers[body["data"]["customer_id"]].append(body["data"]["sequence"])
    assert numbers == {str(ada): [1, 2, 3, 4], str(bob): [1, 2]}


async def test_the_erasure_of_a_customer_has_the_next_number(db: Database) -> None:
    async with db.transaction() as session:
        ada, bob = await make_customers(session, 2, NOW)
        await append(session, updated([ada, ada], NOW))
    async with db.transaction() as session:
        await session.execute(delete(Customer).where(Customer.id.in_([ada, bob])))
        await append(session, CustomersErased(NOW, (ada, bob)))
    erased = [body for body in await bodies(db) if body["type"] == "customer.erased"]
    assert [(e["data"]["customer_id"], e["data"]["sequence"]) for e in erased] == [(str(ada), 3), (str(bob), 1)]


async def test_what_has_no_public_side_leaves_no_trace(db: Database) -> None:
    async with db.transaction() as session:
        await append(session, Event(NOW))
        await append(session, CustomersCreated(NOW, (NewCustomer(new_id(), (), "trial", "none", {}, silent=True),)))
    assert await bodies(db) == []


async def test_a_rolled_back_change_has_no_event(worker: Worker) -> None:
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with worker.database.transaction() as session:
            await append(session, EndpointDisabled(NOW, new_id(), "owner"))
            raise RuntimeError("changed my mind")
    assert await bodies(worker.database) == []


@pytest.mark.parametrize("count", [1, 500])
async def test_however_many_customers_three_statements_append(
    db: Database, statements: SimpleNamespace, count: int
) -> None:
    async with db.transaction() as session:
        customers = await make_customers(session, count, NOW)
        statements.texts.clear()
        await append(session, moved(customers, NOW))
        assert len(statements.texts) == 3  # counters, events, wake


def every_event(customer: UUID) -> list[Event]:
    outcomes = [
        ActionOutcome(customer, new_id(), "welcome", "message", outcome, reason, "email")
        for outcome, reason in (("due", None), ("done", None), ("skipped", "no_consent"))
    ]
    return [
        CustomersCreated(NOW, (NewCustomer(customer, (), "prospect", "full", {}),)),
        updated([customer], NOW, "email", "phone"),
        CustomersMerged(NOW, (Merge(new_id(), customer, new_id()),)),
        CustomersUnmerged(NOW, (Merge(new_id(), customer, new_id()),)),
        moved([customer], NOW),
        RulesFrozen(NOW, ((customer, new_id(), NOW),)),
        ActionsFinished(NOW, tuple(outcomes)),
        RecommendationsCreated(NOW, (NewRecommendation(customer, new_id(), "indicative", None, "R2"),)),
        RecommendationsAccepted(NOW, ((customer, new_id()),)),
        CustomersErased(NOW, (customer,)),
        PortfolioReviewsOpened(NOW, ((customer, new_id(), "drift"),)),
        AllocationVersionPublished(NOW, "views", 2),
        OperationsFinished(NOW, ((new_id(), "import", "succeeded"),)),
        EndpointDisabled(NOW, new_id(), "failing"),
    ]


def test_every_event_is_what_the_catalogue_says() -> None:
    public = [p for event in every_event(new_id()) for p in event.public()]
    public.append(PublicEvent("endpoint.test", None, NOW, {"endpoint_id": str(new_id())}))
    assert {p.type for p in public} == set(PUBLIC_TYPES) == set(MODELS)
    for event in public:
        body = json.loads(render(event, 1 if event.customer_id else None))
        model = MODELS[event.type].model_validate(body)
        assert model.model_dump(mode="json", by_alias=True) == body


def test_wildcards_name_groups() -> None:
    assert matching(["*"]) == list(PUBLIC_TYPES)
    assert matching(["action.*", "customer.erased"]) == [
        "customer.erased",
        "action.due",
        "action.done",
        "action.skipped",
    ]
    assert unknown_patterns(["customer.*", "customer", "action.du*", "nothing.*", "action.due"]) == [1, 2, 3]
