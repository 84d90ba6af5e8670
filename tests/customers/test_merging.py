"""Merging duplicates over HTTP: what moves, what is refused, and what an undo gives back."""

import pytest
from sqlalchemy import text

from app.allocation.engine.defaults import default_questionnaire
from app.config import Settings
from app.main import create_app
from tests.conftest import SECRET
from tests.customers.merging import merge, merged, undo
from tests.factories import funded, make_customer, send, signal

READS = [
    path
    for path, methods in create_app(Settings(), secret_key=SECRET).openapi()["paths"].items()
    if "{customer_id}" in path and "get" in methods
]


async def read(client, customer, part=""):
    return (await client.get(f"/v1/customers/{customer['id']}{part}")).json()


async def test_a_merge_moves_signals_and_external_ids_and_leaves_the_profile(client):
    customer = await make_customer(client, external_ids=["a"], tags=["kept"])
    duplicate = await make_customer(client, external_ids=["b", "c"], email="d@example.com", tags=["gone"])
    await send(client, signal(customer, "login"), signal(duplicate, "trade"))
    answer = await merge(client, customer, duplicate, '"1"')
    assert answer.status_code == 201, answer.text
    assert {**answer.json(), "id": None} == {
        "id": None,
        "customer_id": customer["id"],
        "duplicate_id": duplicate["id"],
        "merged_at": "2026-03-02T10:00:00Z",
        "actor": "key:test",
        "reason": "same passport",
        "undone_at": None,
        "undone_by": None,
        "undone_reason": None,
    }
    after = await client.get(f"/v1/customers/{customer['id']}")
    assert after.headers["etag"] == answer.headers["etag"] == '"2"'
    assert sorted(after.json()["external_ids"]) == ["a", "b", "c"]
    assert (after.json()["email"], after.json()["tags"]) == (None, ["kept"])
    kinds = {item["type"] for item in (await read(client, customer, "/signals"))["items"]}
    assert {"login", "trade"} <= kinds
    assert (await read(client, customer, "/merges"))["items"] == [answer.json()]


async def test_the_survivor_is_judged_at_once_and_the_stay_goes_on(client):
    customer, duplicate = await make_customer(client), await make_customer(client)
    profile, deposit = funded(duplicate)
    await send(client, signal(customer, "account_opened"), {**profile, "customer": {"id": customer["id"]}}, deposit)
    assert (await read(client, customer))["stage"] == "trial"
    await merged(client, duplicate, customer)
    assert (await read(client, duplicate))["stage"] == "growth", "the money was here, the risk profile there"
    [first, second] = (await read(client, duplicate, "/intervals"))["items"]
    assert (first["stage"], second["stage"], second["exited_at"]) == ("prospect", "growth", None)


async def test_what_signals_say_of_a_profile_follows_and_returns(client):
    customer, duplicate = await make_customer(client, kyc_status="none"), await make_customer(client, kyc_status="none")
    await send(client, signal(duplicate, "kyc_passed"), signal(duplicate, "risk_profile_completed"))
    done = await merged(client, customer, duplicate)
    both = await read(client, customer)
    assert (both["kyc_status"], both["suitability"]) == ("passed", "valid")
    assert (await undo(client, done)).status_code == 200
    for person, kyc, suitability in ((customer, "none", "none"), (duplicate, "passed", "valid")):
        alone = await read(client, person)
        assert (alone["kyc_status"], alone["suitability"]) == (kyc, suitability)


async def test_an_edit_of_the_duplicates_profile_says_nothing_of_the_customer(client):
    customer = await make_customer(client, kyc_status="none", segment="mass")
    duplicate = await make_customer(client, kyc_status="passed", segment="affluent")
    await merged(client, customer, duplicate)
    after = await read(client, customer)
    assert (after["kyc_status"], after["segment"]) == ("none", "mass")
    lifecycle = await read(client, customer, "/lifecycle")
    assert {c["actual"] for r in lifecycle["rules"] for c in r["conditions"] if c["fact"] == "kyc_status"} == {"none"}


@pytest.mark.parametrize("path", READS)
async def test_every_read_of_a_duplicate_points_to_the_customer(client, path):
    customer, duplicate = await make_customer(client), await make_customer(client)
    await merged(client, customer, duplicate)
    answer = await client.get(path.format(customer_id=duplicate["id"], recommendation_id=customer["id"]))
    assert (answer.status_code, answer.json()["code"]) == (410, "merged"), answer.text
    assert answer.json()["blockers"] == [{"code": "merged", "into": customer["id"]}]
    assert answer.headers["location"] == f"/v1/customers/{customer['id']}"


@pytest.mark.parametrize(
    ("method", "part", "body"),
    [
        ("PATCH", "", {"tier": "A"}),
        ("DELETE", "", None),
        ("POST", "/transitions", {"to": "trial", "reason": "because"}),
        ("PUT", "/pin", {"until": "2026-04-01T00:00:00Z", "reason": "because"}),
        ("POST", "/pin/lift", {"reason": "because"}),
        ("POST", "/recommendation/acceptance", {"recommendation_id": "00000000-0000-7000-8000-000000000000"}),
        ("POST", "/merges/00000000-0000-7000-8000-000000000000/undo", {"reason": "because"}),
    ],
)
async def test_every_change_of_a_duplicate_points_to_the_customer(client, method, part, body):
    customer, duplicate = await make_customer(client), await make_customer(client)
    await merged(client, customer, duplicate)
    url = f"/v1/customers/{duplicate['id']}{part}"
    answer = await client.request(method, url, json=body, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (410, "merged"), answer.text


async def test_what_cannot_be_merged_is_said_as_data(client):
    customer, duplicate, third = [await make_customer(client) for _ in range(3)]
    business = await make_customer(client, kind="business")
    held = await make_customer(client, holds=["deceased"])
    await merged(client, customer, duplicate)
    for one, other, codes in (
        (third, duplicate, ["already_merged"]),
        (duplicate, third, ["is_merged"]),
        (duplicate, customer, ["is_merged", "has_duplicates"]),
        (third, customer, ["has_duplicates"]),
        (third, business, ["different_kind"]),
        (third, held, ["hold"]),
    ):
        answer = await merge(client, one, other)
        assert (answer.status_code, answer.json()["code"]) == (409, "merge_not_allowed"), answer.text
        assert [blocker["code"] for blocker in answer.json()["blockers"]] == codes
    assert (await merge(client, held, third)).status_code == 201, "the hold stays"
    itself = await merge(client, third, third)
    assert itself.status_code == 422
    assert (itself.json()["errors"][0]["pointer"], itself.json()["errors"][0]["code"]) == ("/duplicate_id", "self")


async def test_a_merge_needs_both_and_the_present_version(client):
    customer, duplicate, gone = [await make_customer(client) for _ in range(3)]
    await client.delete(f"/v1/customers/{gone['id']}", headers={"If-Match": "*"})
    nobody = {"id": "00000000-0000-7000-8000-000000000000"}
    assert (await merge(client, customer, nobody)).status_code == 404
    assert (await merge(client, nobody, customer)).status_code == 404
    assert (await merge(client, customer, gone)).json()["code"] == "erased"
    assert (await merge(client, customer, duplicate, '"7"')).status_code == 412
    body = {"duplicate_id": duplicate["id"], "reason": "why"}
    url = f"/v1/customers/{customer['id']}/merge"
    assert (await client.post(url, json=body)).status_code == 428
    blank = await client.post(url, json={**body, "reason": "    "}, headers={"If-Match": "*"})
    assert blank.json()["errors"][0]["pointer"] == "/reason"


async def test_signals_and_retractions_sent_for_a_duplicate_reach_the_customer(client, session):
    customer, duplicate = await make_customer(client), await make_customer(client, external_ids=["old"])
    wrong = signal(duplicate, "deposit", amount="500")
    await send(client, wrong)
    await merged(client, customer, duplicate)
    by_name = {**signal(duplicate, "trade"), "customer": {"external_id": "old"}}
    back = signal(duplicate, "signal_retracted", source_event_id=wrong["source_event_id"])
    receipt = await send(client, signal(duplicate, "login"), by_name, back)
    assert {(r["status"], r["customer_id"]) for r in receipt["results"]} == {("accepted", customer["id"])}
    totals = await session.execute(
        text("SELECT inflow, trades FROM customer_totals WHERE customer_id = :id"), {"id": customer["id"]}
    )
    assert tuple(totals.one()) == (0, 1)
    again = await send(client, wrong)
    assert again["results"][0]["status"] == "duplicate"


async def test_an_undo_returns_what_came_and_what_was_sent_since(client):
    customer = await make_customer(client, external_ids=["a"])
    duplicate = await make_customer(client, external_ids=["b"])
    done = await merged(client, customer, duplicate)
    await send(client, signal(duplicate, "trade"), signal(customer, "login"))
    assert (await undo(client, done, '"1"')).status_code == 412
    answer = await undo(client, done, '"2"')
    assert answer.status_code == 200, answer.text
    undone = answer.json()
    assert (undone["undone_by"], undone["undone_reason"]) == ("key:test", "father and son")
    assert undone["undone_at"] == "2026-03-02T10:00:00Z"
    for person, name, kind in ((customer, "a", "login"), (duplicate, "b", "trade")):
        assert (await read(client, person))["external_ids"] == [name]
        kinds = {item["type"] for item in (await read(client, person, "/signals"))["items"]}
        assert kinds == {kind, "profile_changed"}
        assert (await read(client, person, "/merges"))["items"] == [undone]
    assert answer.headers["etag"] == f'"{(await read(client, customer))["version"]}"'
    twice = await undo(client, done)
    assert (twice.status_code, twice.json()["code"]) == (409, "merge_undone")
    assert (await merge(client, duplicate, customer)).status_code == 201, "now the other way round"


async def test_an_unknown_merge_cannot_be_undone(client):
    customer, other, duplicate = [await make_customer(client) for _ in range(3)]
    done = await merged(client, customer, duplicate)
    assert (await undo(client, {**done, "customer_id": other["id"]})).status_code == 404
    await client.delete(f"/v1/customers/{customer['id']}", headers={"If-Match": "*"})
    gone = await undo(client, done)
    assert (gone.status_code, gone.json()["code"]) == (410, "erased")


async def test_deleting_the_customer_deletes_its_duplicates(client, session):
    customer, duplicate = await make_customer(client), await make_customer(client)
    await send(client, signal(duplicate, "login"), signal(customer, "login"))
    await merged(client, customer, duplicate)
    await client.delete(f"/v1/customers/{customer['id']}", headers={"If-Match": "*"})
    for person in (customer, duplicate):
        assert (await client.get(f"/v1/customers/{person['id']}")).json()["code"] == "erased"
        left = text("SELECT count(*) FROM signals WHERE customer_id = :id OR origin_id = :id")
        assert await session.scalar(left, {"id": person["id"]}) == 0
    told = await session.scalars(text("SELECT customer_id FROM events WHERE type = 'customer.erased'"))
    assert {str(who) for who in told} == {customer["id"], duplicate["id"]}


async def test_both_are_told_of_a_merge_and_of_its_undoing(client, session):
    customer, duplicate = await make_customer(client), await make_customer(client)
    done = await merged(client, customer, duplicate)
    await undo(client, done)
    rows = await session.execute(
        text("SELECT body::jsonb AS body FROM events WHERE type LIKE 'customer.merge%' ORDER BY id")
    )
    told = [row.body for row in rows]
    assert [(b["type"], b["data"].pop("customer_id")) for b in told] == [
        (kind, person["id"])
        for kind in ("customer.merged", "customer.merge_undone")
        for person in (customer, duplicate)
    ]
    said = {"merge_id": done["id"], "into": customer["id"], "duplicate_id": duplicate["id"]}
    assert all({**b["data"], **said} == b["data"] for b in told)


async def test_what_was_planned_for_a_duplicate_ends(client, session):
    customer, duplicate = await make_customer(client), await make_customer(client)
    await send(client, *funded(duplicate))
    planned = text("SELECT DISTINCT status, reason FROM actions WHERE customer_id = :id")
    assert ("planned", None) in {tuple(r) for r in await session.execute(planned, {"id": duplicate["id"]})}
    done = await merged(client, customer, duplicate)
    left = {tuple(r) for r in await session.execute(planned, {"id": duplicate["id"]})}
    assert ("cancelled", "merged") in left
    assert {status for status, _ in left} == {"cancelled"}
    await undo(client, done)
    assert {tuple(r) for r in await session.execute(planned, {"id": duplicate["id"]})} == left


async def test_the_risk_profile_of_a_duplicate_makes_the_customers_portfolio_advice(client):
    customer, duplicate = await make_customer(client), await make_customer(client)
    answers = {question.id: question.options[0].id for question in default_questionnaire().questions}
    saved = await client.post(f"/v1/customers/{duplicate['id']}/risk-profile", json={"answers": answers})
    assert saved.status_code == 201, saved.text
    assert (await read(client, customer, "/recommendation"))["basis"] == "indicative"
    done = await merged(client, customer, duplicate)
    assert (await read(client, customer, "/risk-profile"))["id"] == saved.json()["id"]
    assert (await read(client, customer, "/recommendation"))["basis"] == "advised"
    await undo(client, done)
    assert (await client.get(f"/v1/customers/{customer['id']}/risk-profile")).status_code == 404
    assert (await read(client, customer, "/recommendation"))["basis"] == "indicative"
    assert (await read(client, duplicate, "/recommendation"))["basis"] == "advised"
