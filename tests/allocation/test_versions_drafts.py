"""Drafts of assumptions, views, policy and questionnaire through the front door: the same for all four."""

import asyncio

import pytest

from app.allocation.engine.defaults import default_document
from app.allocation.versions.schemas import AllocationVersionList, AllocationVersionRead, AllocationVersionWritten
from tests.allocation.version_drafts import NAMES, PATHS, document_of, draft, match, problem
from tests.conftest import make_key

KINDS = list(PATHS)
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
async def test_what_is_shipped_is_version_1_and_can_be_read_whole(client, kind):
    listed = (await client.get(PATHS[kind])).json()
    AllocationVersionList.model_validate(listed)
    [first] = listed["items"]
    assert (first["version"], first["status"], first["in_force"]) == (1, "published", True)
    assert (first["created_by"], first["published_by"]) == ("stagefolio", "stagefolio")
    read = (await client.get(f"{PATHS[kind]}/1")).json()
    AllocationVersionRead.model_validate(read)
    assert read == {**first, "document": default_document(kind), "repair": None}


@every_kind
async def test_a_draft_is_stored_with_the_next_number_and_changes_nothing_in_force(client, kind):
    document = document_of(kind)
    answer = await draft(client, kind, document, note="For review.")
    stored = answer.json()
    AllocationVersionWritten.model_validate(stored)
    assert answer.headers["location"] == f"{PATHS[kind]}/2"
    assert stored == {
        "version": 2, "name": "another", "status": "draft", "in_force": False, "note": "For review.", "revision": 1,
        "created_at": "2026-03-02T10:00:00Z", "created_by": "key:test", "updated_at": None, "updated_by": None,
        "published_at": None, "published_by": None, "document": document, "repair": None, "warnings": [],
    }  # fmt: skip
    read = await client.get(f"{PATHS[kind]}/2")
    assert read.json() == {key: value for key, value in stored.items() if key != "warnings"}
    assert read.headers["etag"] == answer.headers["etag"]
    same = await client.get(f"{PATHS[kind]}/2", headers={"If-None-Match": read.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    listed = (await client.get(PATHS[kind])).json()["items"]
    assert [(v["version"], v["in_force"]) for v in listed] == [(2, False), (1, True)]


@every_kind
async def test_versions_of_each_kind_are_listed_in_pages_and_by_status(client, kind):
    for number in range(2):
        await draft(client, kind, document_of(kind, **{NAMES[kind]: f"draft {number}"}))
    await draft(client, KINDS[KINDS.index(kind) - 1])
    first = (await client.get(PATHS[kind], params={"limit": 2})).json()
    cursor = first["next_cursor"]
    rest = (await client.get(PATHS[kind], params={"limit": 2, "cursor": cursor})).json()
    assert [v["version"] for v in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    published = (await client.get(PATHS[kind], params={"status": "published"})).json()
    assert [v["version"] for v in published["items"]] == [1]
    problem(await client.get(PATHS[kind], params={"cursor": cursor, "status": "draft"}), 400, "invalid_cursor")
    other = PATHS[KINDS[KINDS.index(kind) - 1]]
    problem(await client.get(other, params={"cursor": cursor}), 400, "invalid_cursor")
    for query in ({"status": "old"}, {"limit": 0}, {"kind": "views"}):
        problem(await client.get(PATHS[kind], params=query), 422, "invalid")


@every_kind
async def test_a_copy_needs_no_document_and_may_have_another_name(client, kind):
    copied = (await client.post(PATHS[kind], json={"based_on": 1, "name": "copy"})).json()
    assert copied["name"] == "copy"
    assert copied["document"] == {**default_document(kind), NAMES[kind]: "copy"}
    same = (await client.post(PATHS[kind], json={"based_on": 1})).json()
    assert same["document"] == default_document(kind)
    unknown = await client.post(PATHS[kind], json={"based_on": 9})
    assert problem(unknown, 422, "invalid").keys() == {("/based_on", "unknown_version")}
    problem(await client.post(PATHS[kind], json={"note": "nothing"}), 422, "invalid")


async def test_assumptions_may_take_their_name_from_the_request_or_the_version_they_are_based_on(client):
    nameless = {key: value for key, value in document_of("assumptions").items() if key != "name"}
    refused = await client.post(PATHS["assumptions"], json={"document": nameless})
    assert problem(refused, 422, "invalid").keys() == {("/name", "missing")}
    named = await draft(client, "assumptions", nameless, name="spring")
    assert (named.json()["name"], named.json()["document"]["name"]) == ("spring", "spring")
    based = await draft(client, "assumptions", nameless, based_on=1)
    assert based.json()["name"] == "Default assumptions"


async def test_drafts_begun_at_the_same_moment_get_numbers_of_their_own(live_client):
    answers = await asyncio.gather(*(draft(live_client, "views") for _ in range(5)))
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4, 5, 6]


@every_kind
async def test_a_draft_is_replaced_and_deleted_by_whoever_read_it_last(client, kind):
    first = await draft(client, kind, note="First.")
    url = f"{PATHS[kind]}/2"
    body = {"document": document_of(kind), "name": "later"}
    problem(await client.put(url, json=body), 428, "precondition_required")
    replaced = await client.put(url, json=body, headers=match(first))
    assert replaced.status_code == 200, replaced.text
    now = replaced.json()
    assert (now["revision"], now["name"], now["document"][NAMES[kind]], now["note"]) == (2, "later", "later", None)
    assert (now["updated_by"], now["updated_at"]) == ("key:test", "2026-03-02T10:00:00Z")
    for stale in (client.put(url, json=body, headers=match(first)), client.delete(url, headers=match(first))):
        answer = await stale
        problem(answer, 412, "stale")
        assert answer.headers["etag"] == replaced.headers["etag"]
    problem(await client.delete(url), 428, "precondition_required")
    assert (await client.delete(url, headers=match(replaced))).status_code == 204
    problem(await client.get(url), 404, "not_found")
    again = await draft(client, kind, document_of(kind, **{NAMES[kind]: "third"}))
    assert again.json()["version"] == 2
    problem(await client.put(url, json=body, headers=match(first)), 412, "stale")


async def test_what_is_refused_leaves_the_draft_as_it_was(client):
    first = await draft(client, "views")
    broken = {"document": document_of("views", outlook={"gold": "up"})}
    refused = await client.put(f"{PATHS['views']}/2", json=broken, headers=match(first))
    assert problem(refused, 422, "invalid").keys() == {("/document/outlook/gold", "unknown_value")}
    assert (await client.get(f"{PATHS['views']}/2")).headers["etag"] == first.headers["etag"]


@every_kind
async def test_reading_needs_one_scope_and_writing_another(client, db, kind):
    reader = {"Authorization": f"Bearer {await make_key(db, 'allocation:read')}"}
    document = document_of(kind)
    checked = await client.post(f"{PATHS[kind]}/validate", json={"document": document}, headers=reader)
    assert checked.json()["valid"] is True
    for scope in ("allocation:read", "allocation:write", "policies:write"):
        other = {"Authorization": f"Bearer {await make_key(db, scope)}"}
        problem(await client.post(PATHS[kind], json={"based_on": 1}, headers=other), 403, "forbidden")
    writer = {"Authorization": f"Bearer {await make_key(db, 'assumptions:write')}"}
    assert (await client.post(PATHS[kind], json={"based_on": 1}, headers=writer)).status_code == 201
    problem(await client.get(PATHS[kind], headers=writer), 403, "forbidden")


@every_kind
async def test_unknown_versions_are_told_everywhere(client, kind):
    url, tag = f"{PATHS[kind]}/9", {"If-Match": "*"}
    for answer in (
        await client.get(url), await client.get(f"{url}/diff"), await client.delete(url, headers=tag),
        await client.get(f"{PATHS[kind]}/1/diff", params={"against": 9}),
        await client.put(url, json={"document": document_of(kind)}, headers=tag),
        await client.post(f"{url}/publish", headers=tag),
    ):  # fmt: skip
        problem(answer, 404, "not_found")
    problem(await client.get(f"{PATHS[kind]}/0"), 422, "invalid")


@every_kind
async def test_the_difference_to_the_version_in_force_names_each_value(client, kind):
    await client.post(PATHS[kind], json={"based_on": 1, "name": "copy"})
    renamed = (await client.get(f"{PATHS[kind]}/2/diff")).json()
    was = default_document(kind)[NAMES[kind]]
    change = {"pointer": f"/{NAMES[kind]}", "change": "changed", "before": was, "after": "copy"}
    assert renamed == {"version": 2, "against": 1, "changes": [change]}
    back = (await client.get(f"{PATHS[kind]}/1/diff", params={"against": 2})).json()
    assert back["changes"] == [{**change, "before": "copy", "after": was}]
    same = (await client.get(f"{PATHS[kind]}/1/diff")).json()
    assert same == {"version": 1, "against": 1, "changes": []}
