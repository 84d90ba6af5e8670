"""Customers over HTTP and complete questionnaires, for the tests of recommendations."""

from typing import Any

import httpx
from sqlalchemy import text

from app.allocation.engine.defaults import default_questionnaire
from app.db import Database

BOLD = {
    "purpose": "grow",
    "fall_reaction": "buy",
    "largest_loss": "over_20",
    "outcome_range": "widest",
    "experience": "equity_long",
    "regret": "missed_rise",
    "horizon": "over_10",
    "income_stability": "secure",
    "dependants": "nobody",
    "reserve": "over_12",
    "debt": "none",
    "invested_share": "under_25",
    "liquidity_need": "nothing",
}
MODERATE = BOLD | {
    "purpose": "balance",
    "fall_reaction": "wait",
    "largest_loss": "up_to_10",
    "outcome_range": "moderate",
    "experience": "bonds_and_funds",
    "regret": "both",
}
CAUTIOUS = BOLD | {
    "purpose": "income",
    "fall_reaction": "sell_some",
    "largest_loss": "up_to_5",
    "outcome_range": "narrow",
    "experience": "deposits",
    "regret": "any_loss",
}
SHORT = BOLD | {"horizon": "years_1_3"}


def first_answers() -> dict[str, str]:
    """The first option of every question."""
    return {question.id: question.options[0].id for question in default_questionnaire().questions}


async def create(client: httpx.AsyncClient, **fields: Any) -> str:
    """A new customer's id."""
    answer = await client.post("/v1/customers", json={"full_name": "Ada Brook", "birth_on": "1986-05-01", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def complete(client: httpx.AsyncClient, customer_id: str, answers: dict[str, str]) -> dict[str, Any]:
    """The risk profile that the answers give."""
    answer = await client.post(f"/v1/customers/{customer_id}/risk-profile", json={"answers": answers})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def current(client: httpx.AsyncClient, customer_id: str, **query: str) -> dict[str, Any]:
    """The customer's latest recommendation."""
    answer = await client.get(f"/v1/customers/{customer_id}/recommendation", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def history(client: httpx.AsyncClient, customer_id: str) -> list[dict[str, Any]]:
    """All the customer's recommendations, newest first."""
    answer = await client.get(f"/v1/customers/{customer_id}/recommendations", params={"limit": 200})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def move(client: httpx.AsyncClient, customer_id: str, stage: str) -> None:
    """Move a customer by hand."""
    tag = (await client.get(f"/v1/customers/{customer_id}")).headers["etag"]
    answer = await client.post(
        f"/v1/customers/{customer_id}/transitions", json={"to": stage, "reason": "agreed"}, headers={"If-Match": tag}
    )
    assert answer.status_code == 201, answer.text


async def change(client: httpx.AsyncClient, customer_id: str, **fields: Any) -> None:
    """Edit a customer's profile."""
    tag = (await client.get(f"/v1/customers/{customer_id}")).headers["etag"]
    answer = await client.patch(f"/v1/customers/{customer_id}", json=fields, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text


async def told(db: Database, customer_id: str) -> list[str]:
    """Types of the public events about the customer's recommendations, oldest first."""
    async with db.read() as connection:
        rows = await connection.execute(
            text("SELECT type FROM events WHERE customer_id = :id AND type LIKE 'recommendation.%' ORDER BY id"),
            {"id": customer_id},
        )
        return list(rows.scalars())


async def accept(client: httpx.AsyncClient, customer_id: str, recommendation_id: str) -> httpx.Response:
    """The answer to accepting a recommendation."""
    return await client.post(
        f"/v1/customers/{customer_id}/recommendation/acceptance", json={"recommendation_id": recommendation_id}
    )


def weights(recommendation: dict[str, Any]) -> dict[str, float]:
    """Shares by asset class."""
    return {entry["asset_class"]: float(entry["weight"]) for entry in recommendation["weights"]}
