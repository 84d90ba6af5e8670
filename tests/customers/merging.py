"""Short ways to arrange merges."""

from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

_FACTS = {
    "customer_day": "day, inflow, outflow, deposits, trades, logins, activity",
    "customer_totals": "inflow, outflow, trades, first_funded_on, last_active_on, since_on",
    "customer_accounts": "account",
    "account_day": "account, day, balance, occurred_at, source, source_event_id",
    "customer_fact": "name, value, day, occurred_at, source, source_event_id",
}


async def merge(
    client: httpx.AsyncClient, customer: dict[str, Any], duplicate: dict[str, Any], if_match: str = "*"
) -> httpx.Response:
    """The answer to a wish to merge."""
    return await client.post(
        f"/v1/customers/{customer['id']}/merge",
        json={"duplicate_id": duplicate["id"], "reason": "same passport"},
        headers={"If-Match": if_match},
    )


async def merged(client: httpx.AsyncClient, customer: dict[str, Any], duplicate: dict[str, Any]) -> dict[str, Any]:
    """A merge as the API answers it."""
    answer = await merge(client, customer, duplicate)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def undo(client: httpx.AsyncClient, merge: dict[str, Any], if_match: str = "*") -> httpx.Response:
    """The answer to a wish to undo a merge."""
    return await client.post(
        f"/v1/customers/{merge['customer_id']}/merges/{merge['id']}/undo",
        json={"reason": "father and son"},
        headers={"If-Match": if_match},
    )


async def facts_of(session: AsyncSession | AsyncConnection, customer: dict[str, Any], more: str = "") -> dict[str, Any]:
    """Every row of the tables of facts of a customer; `more` narrows customer_fact."""
    found = {}
    for table, columns in _FACTS.items():
        where = more if table == "customer_fact" else ""
        rows = await session.execute(
            text(f"SELECT {columns} FROM {table} WHERE customer_id = :id {where} ORDER BY {columns}"),
            {"id": customer["id"]},
        )
        found[table] = [tuple(row) for row in rows]
    return found


async def stays_of(session: AsyncSession | AsyncConnection, customer: dict[str, Any]) -> list[Any]:
    """Open intervals, when the next evaluation is due, and what the customer was merged into."""
    rows = await session.execute(
        text(
            "SELECT (SELECT count(*) FROM stage_intervals WHERE customer_id = c.id AND exited_at IS NULL),"
            " s.next_evaluation_at IS NOT NULL, c.merged_into IS NOT NULL"
            " FROM customers c JOIN lifecycle_state s ON s.customer_id = c.id WHERE c.id = :id"
        ),
        {"id": customer["id"]},
    )
    return list(rows.one())
