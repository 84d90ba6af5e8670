"""What customers hold, told and asked for over HTTP, for the tests of holdings and of trades."""

from decimal import Decimal

from tests.allocation.customers_and_answers import MODERATE, accept, complete, create, current
from tests.conftest import NOW

FIFTY_FIFTY = {"bonds": "50000.00", "domestic_equity": "50000.00"}


def told(positions=FIFTY_FIFTY, at=NOW, **more):
    """Holdings as they are sent."""
    return {"as_of": at.isoformat(), "positions": positions, **more}


async def put(client, customer, positions=FIFTY_FIFTY, at=NOW, **more):
    """The answer to telling what a customer holds."""
    return await client.put(f"/v1/customers/{customer}/holdings", json=told(positions, at, **more))


async def read(client, customer, **query):
    """What a customer holds."""
    answer = await client.get(f"/v1/customers/{customer}/holdings", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def rebalance(client, customer, **query):
    """The trades proposed to a customer."""
    answer = await client.get(f"/v1/customers/{customer}/rebalance", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def advised(client, answers=MODERATE, **fields):
    """A customer with an accepted portfolio, and its weights."""
    customer = await create(client, **fields)
    await complete(client, customer, answers)
    recommendation = await current(client, customer)
    assert (await accept(client, customer, recommendation["id"])).status_code == 200
    return customer, {entry["asset_class"]: Decimal(entry["weight"]) for entry in recommendation["weights"]}


def at_target(weights, total=100_000, **off):
    """Holdings of `total` at the target, with some classes off by an amount."""
    amounts = {code: weight * total for code, weight in weights.items()}
    for code, by in off.items():
        amounts[code] = amounts.get(code, Decimal(0)) + by
    return {code: f"{amount:.2f}" for code, amount in amounts.items()}


def refused(answer, pointer):
    """The code of a 422 about exactly this field."""
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    return error["code"]
