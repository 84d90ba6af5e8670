"""Short ways to arrange what tests need, through the front door."""

import itertools
from datetime import datetime, timedelta
from typing import Any

import httpx

from tests.conftest import NOW

_numbers = itertools.count(1)


async def make_customer(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A customer as the API answers it."""
    number = next(_numbers)
    body = {"full_name": f"Customer {number}", "contact_verified": True, "kyc_status": "passed", **fields}
    answer = await client.post("/v1/customers", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def signal(customer: dict[str, Any], kind: str, at: datetime = NOW, **payload: Any) -> dict[str, Any]:
    """A signal with a fresh event id."""
    return {
        "source": "core-banking",
        "source_event_id": f"e-{next(_numbers)}",
        "type": kind,
        "customer": {"id": customer["id"]},
        "occurred_at": at.isoformat(),
        "payload": payload,
    }


async def send(client: httpx.AsyncClient, *signals: dict[str, Any]) -> dict[str, Any]:
    """Send signals; the receipt."""
    answer = await client.post("/v1/signals", json={"signals": list(signals)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def funded(customer: dict[str, Any], at: datetime = NOW) -> list[dict[str, Any]]:
    """What turns a prospect with a valid risk profile into a growing customer at once: a large first payment."""
    return [
        signal(customer, "risk_profile_completed", at - timedelta(minutes=2)),
        signal(customer, "deposit", at - timedelta(minutes=1), amount="25000", account="main"),
    ]
