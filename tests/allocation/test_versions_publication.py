"""A draft comes into force: what follows for customers, and what is refused."""

import asyncio

import pytest
from sqlalchemy import text

from app.allocation.versions.schemas import AllocationVersionWritten
from tests.allocation.customers_and_answers import BOLD, complete, create, current, first_answers
from tests.allocation.version_drafts import (
    NAMES,
    PATHS,
    as_other,
    assumptions,
    bring_into_force,
    document_of,
    draft,
    match,
    problem,
    publish,
    without,
)

every_kind = pytest.mark.parametrize("kind", PATHS)


@every_kind
async def test_publishing_brings_a_draft_into_force_and_tells_of_it(client, db, kind):
    drafted = await draft(client, kind)
    before = (await client.get(f"{PATHS[kind]}/1")).headers["etag"]
    answer = await publish(client, kind, drafted)
    assert answer.status_code == 200, answer.text
    version = answer.json()
    AllocationVersionWritten.model_validate(version)
    assert (version["status"], version["in_force"], version["revision"]) == ("published", True, 2)
    assert (version["published_by"], version["published_at"]) == ("key:test", "2026-03-02T10:00:00Z")
    read = await client.get(f"{PATHS[kind]}/2")
    assert {**read.json(), "warnings": []} == version
    assert read.headers["etag"] == answer.headers["etag"]
    former = await client.get(f"{PATHS[kind]}/1", headers={"If-None-Match": before})
    assert (former.status_code, former.json()["in_force"]) == (200, False)
    async with db.read() as connection:
        found = await connection.execute(text("SELECT body::json -> 'data' FROM events WHERE type LIKE 'allocation.%'"))
        assert list(found.scalars()) == [{"kind": kind, "version": 2}]


@every_kind
async def test_what_is_published_can_neither_be_changed_nor_deleted_nor_published_again(client, kind):
    version = await bring_into_force(client, kind, document_of(kind))
    url = f"{PATHS[kind]}/{version['version']}"
    headers = match(await client.get(url))
    for answer in (
        await client.put(url, json={"document": document_of(kind)}, headers=headers),
        await client.delete(url, headers=headers),
        await client.post(f"{url}/publish", headers=headers),
    ):
        problem(answer, 409, "version_published")
    assert (await client.get(url)).headers["etag"] == headers["If-Match"]


@every_kind
async def test_a_draft_below_the_version_in_force_cannot_be_published_but_copied(client, kind):
    low = await draft(client, kind, document_of(kind, **{NAMES[kind]: "low"}))
    high = await draft(client, kind, document_of(kind, **{NAMES[kind]: "high"}))
    assert (await publish(client, kind, high)).status_code == 200
    problem(await publish(client, kind, low), 409, "version_superseded")
    copied = await client.post(PATHS[kind], json={"based_on": 2})
    assert (await publish(client, kind, copied)).status_code == 200
    assert (await client.get(f"{PATHS[kind]}/4")).json()["in_force"] is True


@every_kind
async def test_publishing_needs_the_tag_that_was_read(client, kind):
    drafted = await draft(client, kind)
    url = f"{PATHS[kind]}/2"
    problem(await client.post(f"{url}/publish"), 428, "precondition_required")
    await client.put(url, json={"document": document_of(kind), "note": "Changed."}, headers=match(drafted))
    problem(await publish(client, kind, drafted), 412, "stale")
    assert (await client.get(url)).json()["status"] == "draft"


async def test_where_four_eyes_are_asked_for_a_second_person_publishes(client, settings):
    settings.policy_four_eyes = True
    drafted = await draft(client, "views")
    problem(await publish(client, "views", drafted), 409, "second_person_needed")
    second = await as_other(client, "second", "assumptions:write")
    body = {"document": document_of("views")}
    changed = await client.put(f"{PATHS['views']}/2", json=body, headers={**match(drafted), **second})
    problem(await publish(client, "views", changed, **second), 409, "second_person_needed")
    third = await as_other(client, "third", "assumptions:write")
    assert (await publish(client, "views", changed, **third)).json()["published_by"] == "key:third"


async def test_two_who_publish_at_the_same_moment_never_publish_the_lower_one_last(live_client):
    drafts = [await draft(live_client, "views", document_of("views", version=name)) for name in ("one", "two")]
    answers = await asyncio.gather(*(publish(live_client, "views", one) for one in drafts))
    assert [answer.status_code for answer in answers] in ([200, 200], [409, 200])
    assert (await live_client.get(f"{PATHS['views']}/3")).json()["in_force"] is True


async def test_recommendations_are_computed_with_what_was_published(client):
    before = await current(client, await create(client))
    await bring_into_force(client, "assumptions", assumptions(bonds={"expected_return": 0.01}))
    await bring_into_force(client, "views", document_of("views", version="gold up", outlook={"gold": "rising"}))
    ceilings = [0.02, 0.04, 0.08, 0.12, 0.18]
    await bring_into_force(client, "policy", document_of("policy", version="calm", volatility_ceilings=ceilings))
    after = await current(client, await create(client))
    names = ("assumption_version", "views_version", "policy_version")
    assert [before[name] for name in names] == [1, 1, "default-2"]
    assert [after[name] for name in names] == [2, 2, "calm"]
    assert float(after["volatility"]) <= 0.04 < float(before["volatility"])


async def test_customers_are_asked_the_questionnaire_that_was_published(client):
    document = document_of("questionnaire", version="shorter")
    asked = [q for q in document["questions"] if q["id"] != "regret"]
    contradictions = [
        c for c in document["contradictions"] if "regret" not in (c["first"]["question"], c["second"]["question"])
    ]
    customer = await create(client)
    first = await complete(client, customer, BOLD)
    await bring_into_force(client, "questionnaire", {**document, "questions": asked, "contradictions": contradictions})
    shown = (await client.get("/v1/allocation/questionnaire")).json()
    assert (shown["version"], len(shown["questions"])) == ("shorter", len(asked))
    refused = await client.post(f"/v1/customers/{customer}/risk-profile", json={"answers": BOLD})
    assert problem(refused, 422, "invalid").keys() == {("/answers/regret", "unknown_question")}
    answers = {key: value for key, value in first_answers().items() if key != "regret"}
    assert (await complete(client, customer, answers))["questionnaire_version"] == "shorter"
    assert first["questionnaire_version"] == "default-1"


def conflicting():
    bounds = {code["code"]: {"maximum": 0.05} for code in document_of("assumptions")["asset_classes"]}
    return document_of("policy", bounds=bounds)


async def refused_publication(client, kind, document):
    """The refusal of a draft that was taken, after comparing it with the warnings that the draft was given."""
    drafted = await draft(client, kind, document)
    answer = await publish(client, kind, drafted)
    found = problem(answer, 422, "invalid")
    warned = [(w["pointer"], w["code"]) for w in drafted.json()["warnings"] if w["blocks_publishing"]]
    assert set(warned) == set(found)
    assert (await client.get(PATHS[kind], params={"status": "published"})).json()["items"][0]["version"] == 1
    return answer.json(), found


async def test_bounds_that_cannot_sum_to_one_leave_everybody_without_a_portfolio_and_are_refused(client):
    told, found = await refused_publication(client, "policy", conflicting())
    assert found.keys() == {("/document", "conflict")}
    assert {b["segment"] for b in told["blockers"]} == {"mass", "affluent", "high_net_worth", "small_business"}
    everybody = next(b for b in told["blockers"] if b["segment"] == "mass" and b["horizon_under_years"] is None)
    assert everybody["code"] == "conflict"
    assert everybody["stages"] == ["prospect", "trial", "growth", "mature", "decline"]
    assert everybody["ages"] == {"after": None, "up_to": None}
    assert "bonds.maximum" in everybody["constraints"]


async def test_a_floor_that_a_cap_by_age_forbids_names_the_ages(client):
    bounds = {**document_of("policy")["bounds"], "domestic_equity": {"minimum": 0.4}}
    told, _ = await refused_publication(client, "policy", document_of("policy", bounds=bounds))
    [old] = [b for b in told["blockers"] if b["segment"] == "mass"]
    assert (old["ages"], old["constraints"]) == (
        {"after": 68.5, "up_to": None}, ["domestic_equity.minimum", "growth.maximum"],
    )  # fmt: skip
    assert told["errors"][0]["detail"] == (
        "mass, at every stage, aged over 68.5 or of unknown age: domestic_equity.minimum, growth.maximum cannot hold "
        "together"
    )
    assert not [b for b in told["blockers"] if b["segment"] == "small_business"]


async def test_a_policy_whose_cash_class_no_assumptions_have_is_refused_either_way_round(client):
    _, found = await refused_publication(client, "policy", document_of("policy", cash_class="money"))
    assert found.keys() == {("/document/cash_class", "missing_cash_class")}
    _, found = await refused_publication(client, "assumptions", without("cash"))
    assert found.keys() == {("/document", "missing_cash_class")}


async def test_views_and_assumptions_must_know_the_same_classes(client):
    _, found = await refused_publication(client, "views", document_of("views", outlook={"tulips": "rising"}))
    assert found.keys() == {("/document/outlook/tulips", "unknown_asset_class")}
    await bring_into_force(client, "views", document_of("views", outlook={"gold": "rising"}))
    drafted = await draft(client, "assumptions", without("gold"))
    refused = problem(await publish(client, "assumptions", drafted), 422, "invalid")
    assert "the views in force, at /outlook/gold" in refused["/document", "unknown_asset_class"]
    await bring_into_force(client, "views", document_of("views", version="no views"))
    published = (await publish(client, "assumptions", drafted)).json()
    assert [(w["code"], w["blocks_publishing"]) for w in published["warnings"]] == [("unknown_asset_class", False)]


async def test_certain_views_that_contradict_each_other_or_go_too_far_are_refused(client):
    def certain(*expected, of="gold"):
        views = [{"long": {of: 1}, "expected_return": value, "confidence": 1} for value in expected]
        return document_of("views", views=views)

    _, found = await refused_publication(client, "views", certain(0.02, 0.08))
    assert found.keys() == {("/document/views/1/expected_return", "contradictory")}
    _, found = await refused_publication(client, "views", certain(1.0, of="cash"))
    assert found.keys() == {("/document/views", "out_of_range")}
    assert (await bring_into_force(client, "views", certain(0.08, 0.08)))["in_force"] is True


async def test_a_name_that_records_show_stands_for_one_document_alone(client):
    version = document_of("policy")["version"]
    await bring_into_force(client, "policy", document_of("policy"))
    drafted = await draft(client, "policy", document_of("policy", version=version, profile_valid_days=200))
    assert problem(await publish(client, "policy", drafted), 422, "invalid").keys() == {
        ("/document/version", "name_taken")
    }
    back = await client.post(PATHS["policy"], json={"based_on": 1})
    assert (await publish(client, "policy", back)).status_code == 200
    assert (await client.get("/v1/allocation/policies/4")).json()["document"]["version"] == "default-2"


async def test_a_warning_keeps_nobody_from_publishing(client):
    bounds = {**document_of("policy")["bounds"], "gold": {"minimum": 0.3, "maximum": 0.5}}
    version = await bring_into_force(client, "policy", document_of("policy", bounds=bounds))
    assert {(w["code"], w["blocks_publishing"]) for w in version["warnings"]} == {("no_suitable_portfolio", False)}
    assert all("no portfolio suits C1" in w["detail"] for w in version["warnings"])
