"""Bad input at every route: a problem document with the right status, never a 500."""

import re

import httpx
import pytest

from app.config import Settings
from app.main import create_app
from tests.conftest import SECRET, make_key
from tests.contract.test_openapi import METHODS
from tests.factories import make_customer

DOCUMENT = create_app(Settings(), secret_key=SECRET).openapi()
OPERATIONS = [
    (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if method in METHODS
]
WITH_BODY = [o for o in OPERATIONS if "requestBody" in o[2]]
NOBODY = "00000000-0000-7000-8000-000000000000"


def named(operations):
    return pytest.mark.parametrize(
        ("method", "path", "operation"), operations, ids=[o[2]["operationId"] for o in operations]
    )


def filled(path: str, value: str = NOBODY) -> str:
    return re.sub(r"\{\w+\}", value, path)


def media_type(operation) -> str:
    return next(iter(operation["requestBody"]["content"]))


def is_problem(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]


@named(OPERATIONS)
async def test_without_a_key_nothing_is_answered(client, method, path, operation):
    answer = await client.request(method, filled(path), headers={"Authorization": ""})
    is_problem(answer, 401)
    answer = await client.request(method, filled(path), headers={"Authorization": "Bearer sf_live_wrong"})
    is_problem(answer, 401)


@named(OPERATIONS)
async def test_a_key_without_the_scope_is_refused(client, db, method, path, operation):
    [needed] = [scope for entry in operation["security"] for scopes in entry.values() for scope in scopes]
    other = "keys:manage" if needed != "keys:manage" else "customers:read"
    key = await make_key(db, other)
    answer = await client.request(method, filled(path), headers={"Authorization": f"Bearer {key}"})
    is_problem(answer, 403)


@named([o for o in OPERATIONS if "{" in o[1]])
async def test_an_unknown_or_impossible_id_is_refused(client, method, path, operation):
    for value in (NOBODY, "not-an-id", "%00", "٣"):
        answer = await client.request(method, filled(path, value), headers={"If-Match": '"1"'})
        is_problem(answer, 404, 422)


@named(WITH_BODY)
@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"", (422,)),
        (b"{", (400,)),
        (b'{"a": NaN}', (400,)),
        (b"[" * 100_000, (400,)),
        (b'{"a": "\\ud800"}', (400,)),
        (b"\xff\xfe", (400,)),
        (b'{"a": "x\\u0000y"}', (422,)),
        (b'{"no_such_field": 1}', (422,)),
        (b"null", (422,)),
        (b"[]", (422,)),
        (b'"text"', (422,)),
    ],
    ids=["empty", "cut off", "NaN", "deep", "surrogate", "not utf-8", "NUL", "unknown field", "null", "list", "text"],
)
async def test_a_bad_body_is_refused(client, method, path, operation, body, statuses):
    customer = await make_customer(client)
    answer = await client.request(
        method,
        filled(path, customer["id"]),
        content=body,
        headers={"Content-Type": media_type(operation), "If-Match": "*"},
    )
    required = operation["requestBody"].get("required", False)
    # A body that may be absent may also be empty; what follows then is about the resource.
    is_problem(
        answer, *statuses, *(() if required and body else (404, 409, 422, 400)), *((404,) if b"no_such" in body else ())
    )


@named(WITH_BODY)
async def test_another_media_type_is_refused(client, method, path, operation):
    answer = await client.request(method, filled(path), content=b"a,b", headers={"Content-Type": "text/csv"})
    is_problem(answer, 415)


@named(WITH_BODY)
async def test_wrong_types_in_every_field_are_refused(client, method, path, operation):
    schema = operation["requestBody"]["content"][media_type(operation)]["schema"]
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    if name not in DOCUMENT["components"]["schemas"]:
        pytest.fail(f"{operation['operationId']} has an inline body")
    for field in DOCUMENT["components"]["schemas"][name]["properties"]:
        for value in ({"x": [[]]}, [[{"x": 1}]], -(10**30), 1e308, True):
            answer = await client.request(
                method,
                filled(path),
                json={field: value},
                headers={"Content-Type": media_type(operation), "If-Match": "*"},
            )
            is_problem(answer, 404, 409, 422, 400)


@named([o for o in OPERATIONS if o[0] == "get"])
async def test_unknown_and_bad_query_parameters_are_refused(client, method, path, operation):
    known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
    customer = await make_customer(client)
    url = filled(path, customer["id"])
    if "cursor" in known:
        is_problem(await client.get(url, params={"no_such_filter": "1"}), 404, 422)
        is_problem(await client.get(url, params={"cursor": "bm8"}), 400, 404)
        is_problem(await client.get(url, params={"limit": "0"}), 404, 422)
        is_problem(await client.get(url, params={"limit": "201"}), 404, 422)
    for name in known:
        for value in ("\x00", "\ud800".encode("utf-8", "surrogatepass"), "9" * 400):
            answer = await client.get(url, params={name: value})
            assert answer.status_code < 500, (name, answer.text)


async def test_what_is_not_there_and_what_is_not_offered(client):
    is_problem(await client.get("/v1/no-such-thing"), 404)
    is_problem(await client.get("/v1/customers/"), 404)
    answer = await client.put("/v1/customers", json={})
    is_problem(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


async def test_a_body_that_is_too_large_is_refused(client):
    answer = await client.post("/v1/signals", content=b"x" * 4_000_001, headers={"Content-Type": "application/json"})
    is_problem(answer, 413)


async def test_problems_speak_chinese(client):
    answer = await client.get(f"/v1/customers/{NOBODY}", headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert answer.json()["title"] == "未找到"
