"""What customers hold, over HTTP: told, replaced, measured, refused."""

from datetime import timedelta

import pytest

from tests.allocation.customers_and_answers import CAUTIOUS, complete, create
from tests.allocation.holding_customers import advised, at_target, put, read, rebalance, refused, told
from tests.conftest import NOW, make_key

NOBODY = "01900000-0000-7000-8000-000000000000"


async def test_holdings_at_the_target_have_no_drift_and_nothing_is_traded(client):
    customer, weights = await advised(client)
    answer = await put(client, customer, at_target(weights), source="custody")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["drift"], shown["breached"], shown["total"], shown["source"]) == (
        "0.000000",
        [],
        "100000.00",
        "custody",
    )
    assert shown["against"]["state"] == "accepted"
    assert {entry["asset_class"] for entry in shown["positions"]} == set(weights)
    found = await rebalance(client, customer)
    assert (found["trades"], found["reason"]["code"]) == ([], "inside_bands")


async def test_later_holdings_replace_older_ones_never(client, clock):
    customer, _ = await advised(client)
    first = (await put(client, customer, {"cash": "1.5"}, NOW - timedelta(days=1), source="a")).json()
    assert [(e["asset_class"], e["amount"]) for e in first["positions"] if e["amount"] != "0.00"] == [("cash", "1.50")]
    clock.now += timedelta(hours=1)
    again = (await put(client, customer, {"cash": "1.5000", "gold": "0"}, NOW - timedelta(days=1), source="a")).json()
    assert again == first
    second = (await put(client, customer, {"cash": "2"}, NOW)).json()
    assert (second["version"], second["total"], second["source"]) == (2, "2.00", "key:test")
    answer = await put(client, customer, {"cash": "1.5"}, NOW - timedelta(seconds=1))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["blockers"] == [{"code": "outdated"}]
    corrected = (await put(client, customer, {"cash": "3"}, NOW)).json()
    assert (corrected["version"], corrected["total"]) == (3, "3.00")


@pytest.mark.parametrize(
    ("positions", "pointer"),
    [
        ({"bonds": "-1"}, "/positions/bonds"),
        ({"bonds": "1.00001"}, "/positions/bonds"),
        ({"bonds": "NaN"}, "/positions/bonds"),
        ({"bonds": "1e3"}, "/positions/bonds"),
        ({"bonds": 12.5}, "/positions/bonds"),
        ({"bonds": "10000000000000"}, "/positions/bonds"),
        ({"bonds": "1\u0662"}, "/positions/bonds"),
        ({"bitcoin": "1"}, "/positions/bitcoin"),
        ({"bitcoin": "0"}, "/positions/bitcoin"),
    ],
)
async def test_positions_that_cannot_be_are_refused_by_name(client, positions, pointer):
    customer = await create(client)
    answer = await put(client, customer, positions)
    code = refused(answer, pointer)
    if "bitcoin" in positions:
        assert code == "unknown_asset_class"
        assert "domestic_equity, " in answer.json()["errors"][0]["detail"]
    assert (await client.get(f"/v1/customers/{customer}/holdings")).status_code == 404


async def test_times_in_the_future_are_refused_beyond_five_minutes(client):
    customer = await create(client)
    assert refused(await put(client, customer, at=NOW + timedelta(seconds=301)), "/as_of") == "in_the_future"
    assert (await put(client, customer, at=NOW + timedelta(seconds=300))).status_code == 200
    assert refused(await put(client, customer, at=NOW.replace(tzinfo=None)), "/as_of") == "timezone_aware"


async def test_a_tag_answers_304_until_something_shown_changes(client, clock):
    customer, weights = await advised(client)
    tag = (await put(client, customer, at_target(weights))).headers["etag"]
    path = f"/v1/customers/{customer}/holdings"
    assert (await client.get(path, headers={"If-None-Match": tag})).status_code == 304
    assert (await client.get(path, params={"language": "zh"}, headers={"If-None-Match": tag})).status_code == 200
    clock.now += timedelta(hours=1)
    await complete(client, customer, CAUTIOUS)
    assert (await client.get(path, headers={"If-None-Match": tag})).status_code == 200


async def test_nobody_the_erased_and_the_merged_hold_nothing(client):
    kept, duplicate, gone = await create(client), await create(client), await create(client)
    for customer in (kept, duplicate, gone):
        assert (await put(client, customer)).status_code == 200
    body = {"duplicate_id": duplicate, "reason": "same person"}
    tag = (await client.get(f"/v1/customers/{kept}")).headers["etag"]
    merged = await client.post(f"/v1/customers/{kept}/merge", json=body, headers={"If-Match": tag})
    assert merged.status_code in (200, 201), merged.text
    tag = (await client.get(f"/v1/customers/{gone}")).headers["etag"]
    assert (await client.delete(f"/v1/customers/{gone}", headers={"If-Match": tag})).status_code == 204
    for customer, status in ((NOBODY, 404), (duplicate, 410), (gone, 410)):
        assert (await put(client, customer)).status_code == status
        assert (await client.get(f"/v1/customers/{customer}/holdings")).status_code == status
        assert (await client.get(f"/v1/customers/{customer}/rebalance")).status_code == status
    assert (await read(client, kept))["total"] == "100000.00"


async def test_scopes_guard_telling_and_reading(client, db):
    customer = await create(client)
    reader, writer = await make_key(db, "allocation:read"), await make_key(db, "allocation:write")
    path = f"/v1/customers/{customer}"
    for key, put_status, get_status in ((reader, 403, 200), (writer, 200, 403)):
        headers = {"Authorization": f"Bearer {key}"}
        await put(client, customer)
        assert (await client.put(f"{path}/holdings", json=told(), headers=headers)).status_code == put_status
        item = {**told(), "customer": {"id": customer}}
        answer = await client.post("/v1/holdings", json={"items": [item]}, headers=headers)
        assert answer.status_code == put_status
        for what in ("holdings", "rebalance"):
            assert (await client.get(f"{path}/{what}", headers=headers)).status_code == get_status
