"""API keys: as text, and over HTTP."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.auth.keys import hash_key, new_key, well_formed
from tests.conftest import NOW


def test_new_keys_are_well_formed_and_differ():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(well_formed(key) for key in keys)


@given(st.integers(8, 45), st.characters(codec="utf-8"))
def test_a_mistyped_key_is_noticed(position, character):
    key = new_key()
    typed = key[:position] + character + key[position + 1 :]
    assert well_formed(typed) == (typed == key)


def test_the_hash_depends_on_the_secret():
    key = new_key()
    assert hash_key(key, "a" * 32) != hash_key(key, "b" * 32)


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(client):
    created = await client.post("/v1/api-keys", json={"name": "crm", "scopes": ["customers:read"]})
    assert created.status_code == 201, created.text
    key = created.json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    assert (await client.get("/v1/customers", headers=headers)).status_code == 200
    assert (await client.post("/v1/customers", json={"full_name": "A"}, headers=headers)).status_code == 403
    listed = (await client.get("/v1/api-keys")).json()["items"]
    assert key not in str(listed)
    assert listed[0]["hint"] == f"…{key[-4:]}"
    assert (await client.delete(f"/v1/api-keys/{created.json()['id']}")).status_code == 204
    client._transport.app.state.principals.clear()  # what five seconds would do
    assert (await client.get("/v1/customers", headers=headers)).status_code == 401


async def test_an_expired_key_is_refused(client, clock):
    created = await client.post(
        "/v1/api-keys",
        json={"name": "x", "scopes": ["all"], "expires_at": (NOW + timedelta(days=1)).isoformat()},
    )
    headers = {"Authorization": f"Bearer {created.json()['key']}"}
    assert (await client.get("/v1/customers", headers=headers)).status_code == 200
    clock.now = NOW + timedelta(days=2)
    client._transport.app.state.principals.clear()
    assert (await client.get("/v1/customers", headers=headers)).status_code == 401


async def test_unknown_scopes_and_past_expiry_are_refused(client):
    answer = await client.post("/v1/api-keys", json={"name": "x", "scopes": ["all", "fly"]})
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/scopes/1"]
    answer = await client.post(
        "/v1/api-keys", json={"name": "x", "scopes": ["all"], "expires_at": "2001-01-01T00:00:00Z"}
    )
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/expires_at"]


async def test_nobody_gives_away_what_they_do_not_hold(client):
    created = await client.post("/v1/api-keys", json={"name": "ops", "scopes": ["keys:manage"]})
    headers = {"Authorization": f"Bearer {created.json()['key']}"}
    for scopes, status in ((["all"], 403), (["customers:read"], 403), (["keys:manage"], 201)):
        answer = await client.post("/v1/api-keys", json={"name": "x", "scopes": scopes}, headers=headers)
        assert answer.status_code == status
