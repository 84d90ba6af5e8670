"""Customers over HTTP."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.conftest import NOW
from tests.factories import make_customer, send, signal


async def test_what_was_created_can_be_read_and_lies_at_its_location(client):
    body = {
        "kind": "individual",
        "full_name": "王小明",
        "email": "Wang@Example.com",
        "phone": "+86 138 0000 0000",
        "contact_verified": True,
        "birth_on": "1988-02-29",
        "segment": "affluent",
        "tier": "B",
        "country": "CN",
        "language": "zh-CN",
        "time_zone": "Asia/Shanghai",
        "external_ids": ["crm-1", "core-9", "crm-1"],
        "owner": "li.na",
        "tags": ["esg"],
        "attributes": {"branch": 12, "vip": True, "note": None},
        "consents": [{"channel": "email", "purpose": "marketing", "granted": True, "source": "form 7"}],
        "kyc_status": "pending",
    }
    answer = await client.post("/v1/customers", json=body)
    assert answer.status_code == 201, answer.text
    created = answer.json()
    read = await client.get(answer.headers["location"])
    assert read.json() == created
    assert read.headers["etag"] == answer.headers["etag"] == '"1"'
    assert sorted(created["external_ids"]) == ["core-9", "crm-1"]
    assert created["birth_on"] == "1988-02-29"
    assert created["stage"] == "prospect"
    assert created["consents"][0]["at"] == created["created_at"]
    assert created["suitability"] == "none"


async def test_a_business_is_a_small_business(client):
    assert (await make_customer(client, kind="business"))["segment"] == "small_business"
    answer = await client.post("/v1/customers", json={"full_name": "X", "kind": "business", "segment": "mass"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("full_name", ""),
        ("full_name", "   "),
        ("full_name", 7),
        ("email", "nobody"),
        ("phone", "call me"),
        ("birth_on", "1879-12-31"),
        ("birth_on", "30.1.1990"),
        ("segment", "rich"),
        ("tier", "D"),
        ("country", "de"),
        ("language", "German!"),
        ("time_zone", "Europe/Nowhere"),
        ("external_ids", ["x" * 101]),
        ("attributes", {"nested": {"a": 1}}),
        ("consents", [{"channel": "email", "purpose": "marketing"}]),
        ("consents", [{"channel": "email", "purpose": "survey", "granted": True}] * 2),
        ("holds", ["bored"]),
        ("stage", "growth"),
        ("unheard_of", 1),
    ],
)
async def test_a_bad_field_is_named(client, field, value):
    answer = await client.post("/v1/customers", json={"full_name": "Ada", field: value})
    assert answer.status_code == 422
    problem = answer.json()
    if field != "stage":
        assert any(error["pointer"].startswith(f"/{field}") for error in problem["errors"]), problem
    assert str(value) not in answer.text or len(str(value)) < 3


async def test_an_external_id_belongs_to_one_customer(client):
    first = await make_customer(client, external_ids=["a-1"])
    taken = await client.post("/v1/customers", json={"full_name": "Second", "external_ids": ["a-2", "a-1"]})
    assert (taken.status_code, taken.json()["code"]) == (409, "external_id_taken")
    free = await client.post("/v1/customers", json={"full_name": "Second", "external_ids": ["a-2"]})
    assert free.status_code == 201, "the refused creation left nothing behind"
    url = f"/v1/customers/{first['id']}"
    patched = await client.patch(url, json={"external_ids": ["a-3"]}, headers={"If-Match": "*"})
    assert patched.json()["external_ids"] == ["a-3"]
    assert (await client.post("/v1/customers", json={"full_name": "Third", "external_ids": ["a-1"]})).status_code == 201


async def test_a_patch_changes_what_it_names_and_nothing_else(client):
    customer = await make_customer(client, email="a@example.com", attributes={"x": 1, "y": 2}, tags=["t"])
    url = f"/v1/customers/{customer['id']}"
    answer = await client.patch(
        url,
        json={"email": None, "attributes": {"x": None, "z": "new"}, "tier": "A"},
        headers={"If-Match": '"1"', "Content-Type": "application/merge-patch+json"},
    )
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed["email"] is None
    assert changed["attributes"] == {"y": 2, "z": "new"}
    assert (changed["tier"], changed["tags"], changed["version"]) == ("A", ["t"], 2)
    nothing = await client.patch(url, json={"tier": "A"}, headers={"If-Match": '"2"'})
    assert nothing.json()["version"] == 2, "an edit that changes nothing leaves the version alone"


async def test_a_field_that_may_not_be_empty_cannot_be_cleared(client):
    customer = await make_customer(client)
    answer = await client.patch(
        f"/v1/customers/{customer['id']}", json={"full_name": None}, headers={"If-Match": '"1"'}
    )
    assert answer.status_code == 422


async def test_changes_need_the_present_version(client):
    customer = await make_customer(client)
    url = f"/v1/customers/{customer['id']}"
    assert (await client.patch(url, json={"tier": "A"})).status_code == 428
    stale = await client.patch(url, json={"tier": "A"}, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"1"')
    assert (await client.delete(url)).status_code == 428
    assert (await client.get(url, headers={"If-None-Match": '"1"'})).status_code == 304
    assert (await client.get(url, headers={"If-None-Match": '"2"'})).status_code == 200


async def test_signals_do_not_make_an_editors_version_stale(client):
    customer = await make_customer(client)
    await send(client, signal(customer, "login"), signal(customer, "content_opened"))
    assert (await client.get(f"/v1/customers/{customer['id']}")).headers["etag"] == '"1"'


async def test_kyc_in_a_signal_reaches_the_profile_and_an_edit_reaches_the_rules(client):
    customer = await make_customer(client, kyc_status="none")
    await send(client, signal(customer, "kyc_passed"))
    read = (await client.get(f"/v1/customers/{customer['id']}")).json()
    assert (read["kyc_status"], read["version"]) == ("passed", 2)
    await client.patch(f"/v1/customers/{customer['id']}", json={"kyc_status": "rejected"}, headers={"If-Match": '"2"'})
    lifecycle = (await client.get(f"/v1/customers/{customer['id']}/lifecycle")).json()
    facts = {c["fact"]: c["actual"] for rule in lifecycle["rules"] for c in rule["conditions"]}
    assert facts["kyc_status"] == "rejected"


async def test_an_edit_that_satisfies_a_rule_moves_the_customer_at_once(client):
    customer = await make_customer(client, contact_verified=False)
    await send(client, signal(customer, "account_opened", account="main"))
    url = f"/v1/customers/{customer['id']}"
    assert (await client.get(url)).json()["stage"] == "prospect"
    moved = await client.patch(url, json={"contact_verified": True}, headers={"If-Match": '"1"'})
    assert (moved.json()["stage"], moved.json()["version"]) == ("trial", 3)


async def test_a_deleted_customer_is_gone_and_stays_gone(client, session):
    customer = await make_customer(client, external_ids=["gone-1"])
    await send(client, signal(customer, "login"))
    url = f"/v1/customers/{customer['id']}"
    assert (await client.delete(url, headers={"If-Match": '"1"'})).status_code == 204
    for path in ("", "/lifecycle", "/transitions", "/signals", "/actions"):
        answer = await client.get(url + path)
        assert answer.status_code == 410, (path, answer.text)
    assert (await client.patch(url, json={}, headers={"If-Match": "*"})).status_code == 410
    left = await session.execute(text("SELECT count(*) FROM signals WHERE customer_id = :id"), {"id": customer["id"]})
    assert left.scalar() == 0
    receipt = await send(client, signal(customer, "login"))
    assert receipt["results"][0]["code"] == "unknown_customer"
    feed = (await client.get("/v1/events", params={"limit": 200})).json()["items"]
    assert customer["full_name"] not in str(feed)


async def test_pages_cover_everything_once_in_either_order(client):
    made = [await make_customer(client, full_name=f"Name {i % 4}", owner="pager") for i in range(11)]
    for sort in ("created_at", "-created_at", "full_name", "-full_name", "stage_entered_at"):
        seen, params = [], {"owner": "pager", "sort": sort, "limit": 4}
        while True:
            page = (await client.get("/v1/customers", params=params)).json()
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        assert sorted(seen) == sorted(c["id"] for c in made), sort
        assert len(seen) == 11


async def test_a_cursor_belongs_to_its_list(client):
    for _ in range(3):
        await make_customer(client, owner="cursor")
    page = (await client.get("/v1/customers", params={"owner": "cursor", "limit": 1})).json()
    other = await client.get("/v1/customers", params={"owner": "other", "limit": 1, "cursor": page["next_cursor"]})
    assert (other.status_code, other.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"q": "miller"}, {"Anna Miller"}),
        ({"q": "LER"}, {"Anna Miller", "Otto Adler"}),
        ({"q": "otto@"}, {"Otto Adler"}),
        ({"q": "王"}, {"王小明"}),
        ({"q": "ext-7"}, {"王小明"}),
        ({"q": "%"}, set()),
        ({"segment": ["affluent", "high_net_worth"]}, {"Anna Miller", "Otto Adler"}),
        ({"tag": "esg"}, {"王小明"}),
        ({"external_id": "ext-7"}, {"王小明"}),
        ({"kyc_status": "passed", "tier": "A"}, {"Anna Miller"}),
        ({"stage": ["growth", "decline"]}, set()),
        ({"created_at[gte]": "2030-01-01T00:00:00Z"}, set()),
    ],
)
async def test_filters_find_whom_they_name(client, params, found):
    await make_customer(client, full_name="Anna Miller", segment="affluent", tier="A")
    await make_customer(client, full_name="Otto Adler", email="otto@example.com", segment="high_net_worth", tier="B")
    await make_customer(client, full_name="王小明", external_ids=["ext-7"], tags=["esg"])
    page = (await client.get("/v1/customers", params=params)).json()
    assert {item["full_name"] for item in page["items"]} == found


async def test_answers_fit_their_documented_shape(client):
    from app.customers.schemas import CustomerPage, CustomerRead

    customer = await make_customer(client, consents=[{"channel": "phone", "purpose": "service", "granted": False}])
    CustomerRead.model_validate(customer)
    assert set(customer) == set(CustomerRead.model_fields)
    CustomerPage.model_validate((await client.get("/v1/customers")).json())


async def test_an_expired_profile_is_another_answer_with_another_tag(client, clock):
    customer = await make_customer(client)
    await send(client, signal(customer, "risk_profile_completed"))
    url = f"/v1/customers/{customer['id']}"
    valid = await client.get(url)
    assert valid.json()["suitability"] == "valid"
    assert (await client.get(url, headers={"If-None-Match": valid.headers["etag"]})).status_code == 304
    clock.now = NOW + timedelta(days=366)
    expired = await client.get(url, headers={"If-None-Match": valid.headers["etag"]})
    assert (expired.status_code, expired.json()["suitability"]) == (200, "expired")
    changed = await client.patch(url, json={"tier": "A"}, headers={"If-Match": valid.headers["etag"]})
    assert changed.status_code == 200, "the version that the change is based on is still the present one"


async def test_limits_hold_for_what_a_patch_adds_up_to(client):
    customer = await make_customer(client, attributes={f"a{i}": i for i in range(50)})
    url = f"/v1/customers/{customer['id']}"
    answer = await client.patch(url, json={"attributes": {"b": 1}}, headers={"If-Match": "*"})
    assert answer.json()["errors"][0]["pointer"] == "/attributes"
    answer = await client.patch(url, json={"birth_on": "2090-01-01"}, headers={"If-Match": "*"})
    assert answer.json()["errors"][0]["pointer"] == "/birth_on"
