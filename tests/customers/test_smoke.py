async def test_create_read_patch(client):
    r = await client.post("/v1/customers", json={"full_name": "Ann Example", "external_ids": ["c-1"]})
    assert r.status_code == 201, r.text
    c = r.json()
    r = await client.get(f"/v1/customers/{c['id']}")
    assert r.json() == c
    r = await client.patch(f"/v1/customers/{c['id']}", json={"full_name": "B"}, headers={"If-Match": r.headers["etag"]})
    assert r.status_code == 200, r.text
    assert r.json()["full_name"] == "B"
    r = await client.get("/v1/customers", params={"q": "c-1"})
    assert [i["id"] for i in r.json()["items"]] == [c["id"]]
    r = await client.post("/v1/customers", content='{"full_name": "a\\u0000"}', headers={"content-type": "application/json"})
    assert r.status_code == 422, r.text
    r = await client.post("/v1/customers", content='{"full_name": NaN}', headers={"content-type": "application/json"})
    assert r.status_code == 400, r.text
    r = await client.get("/openapi.json")
    assert r.status_code == 200
