"""Holdings of many customers at once, what is told of them inside, and measuring again."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from app.allocation.holdings.service import Told, measure_drift, money, store_holdings, units_of
from app.events import HoldingsChanged, take_published
from tests.allocation.customers_and_answers import BOLD, MODERATE, accept, complete, create, current
from tests.conftest import NOW
from tests.factories import make_customer

NOBODY = "01900000-0000-7000-8000-000000000000"


def item(customer, positions=None, at=NOW, **more):
    positions = {"cash": "100"} if positions is None else positions
    return {"customer": customer, "as_of": at.isoformat(), "positions": positions, "source": "custody", **more}


async def send(client, *items):
    answer = await client.post("/v1/holdings", json={"items": list(items)})
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert len(results) == len(items)
    return results


async def held(client, customer):
    return (await client.get(f"/v1/customers/{customer}/holdings")).json()["total"]


def amounts(**positions):
    return {code: units_of(amount) for code, amount in positions.items()}


async def test_a_batch_answers_for_every_item_and_stores_what_is_right(client):
    ada = await create(client, external_ids=["core-1"])
    ben, cleo = await create(client), await create(client)
    results = await send(
        client,
        item({"external_id": "core-1"}, {"cash": "10"}),
        item({"id": ben}, {"cash": "20"}),
        item({"external_id": "core-2"}),
        item({"id": NOBODY}),
        item({"id": cleo}, {"bitcoin": "1"}),
        item({"id": cleo}, at=NOW + timedelta(minutes=6)),
    )
    assert [(r["status"], r["customer_id"], r["code"]) for r in results] == [
        ("stored", ada, None),
        ("stored", ben, None),
        ("rejected", None, "unknown_customer"),
        ("rejected", None, "unknown_customer"),
        ("rejected", cleo, "unknown_asset_class"),
        ("rejected", cleo, "in_the_future"),
    ]
    assert [r["detail"] and r["detail"].partition(":")[0] for r in results] == [
        None,
        None,
        "customer.external_id",
        "customer.id",
        "positions.bitcoin",
        "as_of",
    ]
    assert (await held(client, ada), await held(client, ben)) == ("10.00", "20.00")
    shown = (await client.get(f"/v1/customers/{ada}/holdings")).json()
    assert (results[0]["drift"], results[0]["breached"]) == (shown["drift"], shown["breached"])
    assert shown["breached"]


async def test_the_same_batch_again_changes_nothing(client):
    customers = [await create(client) for _ in range(3)]
    items = [item({"id": customer}) for customer in customers]
    first, again = await send(client, *items), await send(client, *items)
    assert {r["status"] for r in first} == {"stored"}
    assert again == [{**r, "status": "unchanged"} for r in first]
    assert (await client.get(f"/v1/customers/{customers[0]}/holdings")).json()["version"] == 1


async def test_of_several_items_of_one_customer_the_latest_counts(client):
    customer = await create(client, external_ids=["core-9"])
    results = await send(
        client,
        item({"id": customer}, {"cash": "1"}, NOW - timedelta(days=1)),
        item({"external_id": "core-9"}, {"cash": "2"}),
        item({"id": customer}, {"cash": "3"}, NOW - timedelta(hours=1)),
        item({"id": customer}, {"cash": "2.0", "gold": "0.00"}),
    )
    assert [r["status"] for r in results] == ["stored", "stored", "outdated", "unchanged"]
    assert {r["customer_id"] for r in results} == {customer}
    assert await held(client, customer) == "2.00"


async def test_merged_and_erased_customers_are_rejected_and_external_ids_follow_a_merge(client):
    kept, gone = await create(client), await create(client)
    duplicate = await create(client, external_ids=["core-7"])
    tag = (await client.get(f"/v1/customers/{kept}")).headers["etag"]
    body = {"duplicate_id": duplicate, "reason": "same person"}
    await client.post(f"/v1/customers/{kept}/merge", json=body, headers={"If-Match": tag})
    tag = (await client.get(f"/v1/customers/{gone}")).headers["etag"]
    await client.delete(f"/v1/customers/{gone}", headers={"If-Match": tag})
    results = await send(client, item({"id": duplicate}), item({"id": gone}), item({"external_id": "core-7"}))
    assert [(r["status"], r["customer_id"], r["code"]) for r in results] == [
        ("rejected", None, "merged"),
        ("rejected", None, "erased"),
        ("stored", kept, None),
    ]


async def test_a_batch_that_cannot_be_read_stores_nothing(client):
    customer = await create(client)
    for wrong, pointer in (
        ([item({"id": customer}), item({"id": customer}, {"cash": "-1"})], "/items/1/positions/cash"),
        ([item({"id": customer}), item({})], "/items/1/customer"),
        ([item({"id": customer})] * 1001, "/items"),
        ([], "/items"),
    ):
        answer = await client.post("/v1/holdings", json={"items": wrong})
        assert answer.status_code == 422
        assert pointer in {error["pointer"] for error in answer.json()["errors"]}
    assert (await client.get(f"/v1/customers/{customer}/holdings")).status_code == 404


async def test_a_batch_takes_the_same_number_of_statements_whatever_its_size(client, statements):
    customers = [(await make_customer(client, external_ids=[f"b-{i}"]))["id"] for i in range(12)]
    counts = []
    for these in (customers[:1], customers[1:]):
        statements.texts.clear()
        items = [item({"id": customer}) for customer in these[::2]]
        await send(client, *items, item({"external_id": f"b-{customers.index(these[-1])}"}, {"gold": "5"}))
        counts.append(len([one for one in statements.texts if "api_keys" not in one]))
    assert counts[0] == counts[1]


async def test_holdings_that_were_told_are_announced_with_those_who_breach(client, session):
    near, far = UUID(await create(client)), UUID(await create(client))
    shown = await current(client, str(near))
    target = {entry["asset_class"]: units_of(entry["weight"]) for entry in shown["weights"]}
    told = [Told(near, NOW, target, "custody"), Told(far, NOW, amounts(cash="1000"), "custody")]
    await store_holdings(session, told, NOW)
    assert take_published(session) == [HoldingsChanged(NOW, (near, far), (far,))]
    await store_holdings(session, told, NOW)
    assert take_published(session) == []


async def test_measuring_again_tells_only_of_those_whose_drift_changed(client, session):
    same, other = await create(client), await create(client)
    for customer in (same, other):
        await complete(client, customer, MODERATE)
        recommendation = await current(client, customer)
        await accept(client, customer, recommendation["id"])
        weights = {entry["asset_class"]: entry["weight"] for entry in recommendation["weights"]}
        await send(client, item({"id": customer}, weights))
    ids = [UUID(same), UUID(other)]
    assert await measure_drift(session, ids, NOW) == []
    await session.execute(
        text('UPDATE recommendations SET weights = \'{"cash": "1.000"}\' WHERE customer_id = :id'), {"id": other}
    )
    assert await measure_drift(session, ids, NOW) == [UUID(other)]
    assert take_published(session) == [HoldingsChanged(NOW, (UUID(other),), (UUID(other),))]
    drift, breached = (
        await session.execute(text("SELECT drift, breached FROM holdings WHERE customer_id = :id"), {"id": other})
    ).one()
    assert drift > 0.5
    assert "cash" in breached


async def test_accepting_and_proposing_measure_the_stored_holdings_again(client, session):
    customer = await create(client)
    await complete(client, customer, MODERATE)
    first = await current(client, customer)
    await send(client, item({"id": customer}, {e["asset_class"]: e["weight"] for e in first["weights"]}))

    async def stored():
        row = await session.execute(
            text("SELECT drift, against FROM holdings WHERE customer_id = :id"), {"id": customer}
        )
        drift, against = row.one()
        return float(drift), str(against)

    assert await stored() == (0.0, first["id"])
    await complete(client, customer, BOLD)
    second = (await current(client, customer))["id"]
    drift, against = await stored()
    assert (drift > 0.02, against) == (True, second)
    await accept(client, customer, second)
    assert (await client.get(f"/v1/customers/{customer}/holdings")).json()["against"]["state"] == "accepted"


def test_money_keeps_what_it_needs_of_four_decimals():
    assert [money(units_of(amount)) for amount in ("0", "1", "1.5", "1.2345", "-3.1010", "-0.0001")] == [
        "0.00",
        "1.00",
        "1.50",
        "1.2345",
        "-3.101",
        "-0.0001",
    ]
