"""A draft comes into force: who may publish, what follows, and what is refused."""

import asyncio

from tests.lifecycle.policy_drafts import URL, as_other, make_draft, match, problem, publish, wealth


async def test_what_is_published_can_neither_be_changed_nor_deleted_nor_published_again(client):
    headers = {"If-Match": (await client.get(f"{URL}/1")).headers["etag"]}
    problem(await client.put(f"{URL}/1", json={"document": wealth()}, headers=headers), 409, "policy_published")
    problem(await client.delete(f"{URL}/1", headers=headers), 409, "policy_published")
    problem(await client.post(f"{URL}/1/publish", json={}, headers=headers), 409, "policy_published")


async def test_publishing_brings_a_draft_into_force_and_begins_its_rollout(client):
    draft = await make_draft(client)
    before = (await client.get(f"{URL}/1")).headers["etag"]
    answer = await publish(client, draft, rollout_over_seconds=3600, playbook_mode="dwell_only")
    assert answer.status_code == 202, answer.text
    operation = answer.json()
    assert answer.headers["location"] == f"/v1/operations/{operation['id']}"
    assert (operation["kind"], operation["status"], operation["actor"]) == ("policy_rollout", "queued", "key:test")
    assert operation["params"] == {"version": 2, "rollout_over_seconds": 3600, "playbook_mode": "dwell_only"}
    policy = (await client.get(f"{URL}/2")).json()
    assert (policy["status"], policy["in_force"], policy["revision"]) == ("published", True, 2)
    assert (policy["published_by"], policy["published_at"]) == ("key:test", "2026-03-02T10:00:00Z")
    former = await client.get(f"{URL}/1", headers={"If-None-Match": before})
    assert (former.status_code, former.json()["in_force"]) == (200, False)
    customer = await client.post("/v1/customers", json={"full_name": "New here"})
    assert (await client.get(f"/v1/customers/{customer.json()['id']}/lifecycle")).json()["policy_version"] == 2
    problem(await publish(client, draft), 409, "policy_published")


async def test_a_draft_below_the_version_in_force_cannot_be_published_but_copied(client):
    low, high = await make_draft(client), await make_draft(client)
    assert (await publish(client, high)).status_code == 202
    answer = await publish(client, low)
    problem(answer, 409, "policy_superseded")
    assert "based_on" in answer.json()["detail"]
    copied = await client.post(URL, json={"based_on": 2})
    assert (await publish(client, copied)).status_code == 202
    assert (await client.get(f"{URL}/4")).json()["in_force"] is True


async def test_publishing_needs_the_tag_that_was_read_and_whole_numbers_in_range(client):
    draft = await make_draft(client)
    problem(await client.post(f"{URL}/2/publish", json={}), 428, "precondition_required")
    await client.put(f"{URL}/2", json={"document": wealth()}, headers=match(draft))
    problem(await publish(client, draft), 412, "stale")
    for options in ({"rollout_over_seconds": -1}, {"rollout_over_seconds": 2_592_001}, {"rollout_over_seconds": 1.5},
                    {"rollout_over_seconds": "60"}, {"playbook_mode": "some"}, {"when": "now"}):  # fmt: skip
        [name] = options
        assert {pointer for pointer, _ in problem(await publish(client, draft, **options), 422, "invalid")} == {
            f"/{name}"
        }
    assert (await client.get(f"{URL}/2")).json()["status"] == "draft"


async def test_where_four_eyes_are_asked_for_a_second_person_publishes(client, settings):
    settings.policy_four_eyes = True
    draft = await make_draft(client)
    problem(await publish(client, draft), 409, "second_person_needed")
    second = await as_other(client, "second", "policies:write")
    changed = await client.put(f"{URL}/2", json={"document": wealth()}, headers={**match(draft), **second})
    problem(
        await client.post(f"{URL}/2/publish", json={}, headers={**match(changed), **second}),
        409,
        "second_person_needed",
    )
    problem(await publish(client, changed), 409, "second_person_needed")
    third = await as_other(client, "third", "policies:write")
    assert (await client.post(f"{URL}/2/publish", json={}, headers={**match(changed), **third})).status_code == 202
    assert (await client.get(f"{URL}/2")).json()["published_by"] == "key:third"


async def test_two_who_publish_at_the_same_moment_never_publish_the_lower_one_last(live_client):
    drafts = [await make_draft(live_client) for _ in range(2)]
    codes = [answer.status_code for answer in await asyncio.gather(*(publish(live_client, d) for d in drafts))]
    assert codes in ([202, 202], [409, 202])
    assert (await live_client.get(f"{URL}/3")).json()["in_force"] is True
