"""The questionnaire, what answers to it say, and what is wrong with bad ones."""

import pytest

from app.allocation.engine.defaults import default_questionnaire
from app.allocation.schemas import QuestionnaireRead, RiskProfileRead
from tests.allocation.customers_and_answers import BOLD, MODERATE, complete, create, first_answers
from tests.conftest import NOW, make_key


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_questionnaire_can_be_asked_in_both_languages(client, language):
    answer = await client.get("/v1/allocation/questionnaire", params={"language": language})
    read = QuestionnaireRead.model_validate(answer.json())
    assert read.version == default_questionnaire().version
    assert [q.id for q in read.questions] == [q.id for q in default_questionnaire().questions]
    assert '"value"' not in answer.text, "what an answer counts is not shown to those who answer"


async def test_answers_become_a_profile_that_can_be_read_again(client):
    customer = await create(client)
    profile = await complete(client, customer, BOLD)
    RiskProfileRead.model_validate(profile)
    assert (profile["tolerance"], profile["risk_class"], profile["status"]) == (100, "C5", "valid")
    assert profile["answers"] == BOLD
    assert profile["score"] <= min(profile["tolerance"], profile["capacity"])
    assert profile["valid_until"] > NOW.isoformat()
    read = await client.get(f"/v1/customers/{customer}/risk-profile")
    assert read.json() == profile
    tag = read.headers["etag"]
    again = await client.get(f"/v1/customers/{customer}/risk-profile", headers={"If-None-Match": tag})
    assert again.status_code == 304


async def test_the_latest_profile_counts(client):
    customer = await create(client)
    bold = await complete(client, customer, BOLD)
    moderate = await complete(client, customer, MODERATE)
    assert moderate["score"] < bold["score"]
    assert (await client.get(f"/v1/customers/{customer}/risk-profile")).json() == moderate


async def test_contradictory_answers_lower_the_score_and_are_named(client):
    entry = default_questionnaire().contradictions[0]
    questions = default_questionnaire().questions
    sides = {questions[q].id: questions[q].options[options[0]].id for q, options in (entry.first, entry.second)}
    profile = await complete(client, await create(client), BOLD | sides)
    named = {found["id"]: found["text"] for found in profile["contradictions"]}
    assert named[entry.id] == entry.texts["en"]


async def test_a_customer_without_answers_has_no_profile(client):
    answer = await client.get(f"/v1/customers/{await create(client)}/risk-profile")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"answers": {k: v for k, v in BOLD.items() if k != "debt"}}, "/answers/debt", "missing"),
        ({"answers": BOLD | {"debt": "plenty"}}, "/answers/debt", "unknown_option"),
        ({"answers": BOLD | {"star_sign": "lion"}}, "/answers/star_sign", "unknown_question"),
        ({"answers": BOLD, "questionnaire_version": "older"}, "/questionnaire_version", "outdated"),
        ({"answers": BOLD | {"debt": 3}}, "/answers/debt", "string_type"),
        ({"answers": []}, "/answers", "dict_type"),
        ({}, "/answers", "missing"),
        ({"answers": BOLD, "score": 100}, "/score", "extra_forbidden"),
    ],
)
async def test_bad_answers_are_refused_with_the_place_and_the_reason(client, body, pointer, code):
    customer = await create(client)
    answer = await client.post(f"/v1/customers/{customer}/risk-profile", json=body)
    assert answer.status_code == 422
    assert (pointer, code) in [(e["pointer"], e["code"]) for e in answer.json()["errors"]]
    assert (await client.get(f"/v1/customers/{customer}/risk-profile")).status_code == 404


async def test_every_unanswered_question_is_named(client):
    answer = await client.post(f"/v1/customers/{await create(client)}/risk-profile", json={"answers": {}})
    assert [e["pointer"] for e in answer.json()["errors"]] == [f"/answers/{name}" for name in first_answers()]


async def test_answers_of_nobody_are_not_found(client):
    answer = await client.post(
        "/v1/customers/01900000-0000-7000-8000-000000000000/risk-profile", json={"answers": BOLD}
    )
    assert answer.status_code == 404


async def test_reading_and_writing_need_their_scopes(client, db):
    customer = await create(client)
    reader = {"Authorization": f"Bearer {await make_key(db, 'allocation:read')}"}
    path = f"/v1/customers/{customer}"
    assert (await client.get(f"{path}/recommendation", headers=reader)).status_code == 200
    assert (await client.post(f"{path}/risk-profile", json={"answers": BOLD}, headers=reader)).status_code == 403
    stranger = {"Authorization": f"Bearer {await make_key(db, 'customers:read')}"}
    assert (await client.get(f"{path}/recommendation", headers=stranger)).status_code == 403
