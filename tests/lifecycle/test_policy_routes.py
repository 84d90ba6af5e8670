"""Versions of the policy through the front door: drafts, checks, differences, pictures, facts."""

import asyncio
from xml.etree import ElementTree as ET

import pytest

from app.lifecycle.core.facts import FACTS
from tests.conftest import make_key
from tests.lifecycle.policy_drafts import AT_RISK, STRICTER, URL, make_draft, match, place_of, problem, wealth


async def test_a_draft_is_stored_with_the_next_number_and_changes_nothing_in_force(client):
    answer = await make_draft(client, note="Earlier warning.")
    draft = answer.json()
    assert answer.headers["location"] == f"{URL}/2"
    assert draft == {
        "version": 2, "name": "wealth", "status": "draft", "in_force": False, "note": "Earlier warning.", "revision": 1,
        "created_at": "2026-03-02T10:00:00Z", "created_by": "key:test", "updated_at": None, "updated_by": None,
        "published_at": None, "published_by": None, "document": STRICTER,
    }  # fmt: skip
    read = await client.get(f"{URL}/2")
    assert (read.json(), read.headers["etag"]) == (draft, answer.headers["etag"])
    assert (await client.get(f"{URL}/2", headers={"If-None-Match": read.headers["etag"]})).status_code == 304
    listed = (await client.get(URL)).json()
    assert [(p["version"], p["status"], p["in_force"]) for p in listed["items"]] == [
        (2, "draft", False), (1, "published", True),
    ]  # fmt: skip
    assert listed["items"][0] == {key: value for key, value in draft.items() if key != "document"}
    assert listed["next_cursor"] is None


async def test_versions_are_listed_in_pages_and_by_status(client):
    for _ in range(2):
        await make_draft(client)
    first = (await client.get(URL, params={"limit": 2})).json()
    rest = (await client.get(URL, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [p["version"] for p in first["items"] + rest["items"]] == [3, 2, 1]
    published = (await client.get(URL, params={"status": "published"})).json()
    assert [p["version"] for p in published["items"]] == [1]
    other = await client.get(URL, params={"cursor": first["next_cursor"], "status": "draft"})
    problem(other, 400, "invalid_cursor")


async def test_a_copy_needs_no_document_and_may_have_another_name(client):
    copied = await client.post(URL, json={"based_on": 1, "name": "wealth, spring"})
    assert copied.status_code == 201
    assert copied.json()["document"] == {**wealth(), "name": "wealth, spring"}
    assert (await client.post(URL, json={"based_on": 1})).json()["name"] == "wealth"
    nameless = {key: value for key, value in wealth().items() if key != "name"}
    both = await client.post(URL, json={"based_on": 1, "document": nameless})
    assert both.json()["document"]["name"] == "wealth"
    assert problem(await client.post(URL, json={"document": nameless}), 422, "invalid").keys() == {("/name", "missing")}
    unknown = await client.post(URL, json={"based_on": 9})
    assert problem(unknown, 422, "invalid").keys() == {("/based_on", "unknown_version")}
    assert problem(await client.post(URL, json={"note": "x"}), 422, "invalid")


async def test_drafts_begun_at_the_same_moment_get_numbers_of_their_own(live_client):
    answers = await asyncio.gather(*(make_draft(live_client) for _ in range(5)))
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4, 5, 6]


MISTAKES = [
    (wealth("at_risk", when={"fact": "atrition_score", "op": ">=", "value": 60}), "/when/fact", "unknown_fact", "did you mean attrition_score?"),
    (wealth("at_risk", when={"fact": "attrition_score", "op": ">", "value": 100}), "", "unreachable", "at_risk: no value of attrition_score"),
    (wealth("at_risk", min_dwell_days=0, confirm_days=0), "", "circle", None),
    (wealth("at_risk", confirm_day=3), "/confirm_day", "unknown_field", "did you mean confirm_days?"),
    (wealth("at_risk", **{"from": ["growth", "growth"]}), "/from/1", "twice", "the stage is named twice"),
    (wealth("at_risk", why=5), "/why", "not_a_text", "must be a text"),
    (wealth("at_risk", why="x" * 2001), "/why", "too_long", "texts have at most 2000 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "pointer", "code", "told"), MISTAKES, ids=[m[2] for m in MISTAKES])
async def test_a_document_that_cannot_work_is_refused_at_the_place_of_its_mistake(
    client, document, pointer, code, told
):
    if code == "circle":
        document["rules"][place_of(document, "false_alarm")]["confirm_days"] = 0
    found = problem(await client.post(URL, json={"document": document}), 422, "invalid")
    where = f"/document/rules/{AT_RISK}{pointer}"
    assert code in {c for p, c in found if p == where}
    assert told is None or told in found[where, code]
    assert len((await client.get(URL)).json()["items"]) == 1
    checked = (await client.post(f"{URL}/validate", json={"document": document})).json()
    assert (checked["valid"], checked["warnings"]) == (False, [])
    assert {(p["pointer"], p["code"]): p["detail"] for p in checked["problems"]} == found
    assert {p["rule_id"] for p in checked["problems"] if p["pointer"].startswith(where)} == {"at_risk"}


async def test_every_problem_is_told_at_once_and_nothing_is_too_large_to_check(client):
    document = wealth("at_risk", to="retired")
    document["rules"][0]["when"]["fact"] = "trial_startd"
    document["tarkets"] = {}
    found = problem(await client.post(URL, json={"document": document}), 422, "invalid")
    assert found.keys() == {
        ("/document/tarkets", "unknown_field"), (f"/document/rules/{AT_RISK}/to", "unknown_stage"),
        ("/document/rules/0/when/fact", "unknown_fact"),
    }  # fmt: skip
    wide = wealth("at_risk", when={"any": [{"fact": "age", "op": ">=", "value": n} for n in range(2000)]})
    assert problem(await client.post(URL, json={"document": wide}), 422, "invalid").keys() == {
        ("/document", "too_large")
    }
    many = {"rules": [wealth()["rules"][0]] * 101}
    assert problem(await client.post(URL, json={"document": many}), 422, "invalid").keys() == {
        ("/document/rules", "too_long")
    }


async def test_a_check_stores_nothing_and_warns_of_what_looks_like_a_slip(client):
    fine = (await client.post(f"{URL}/validate", json={"document": wealth()})).json()
    assert fine == {"valid": True, "problems": [], "warnings": []}
    document = wealth("at_risk", why=" ")
    document["rules"][place_of(document, "false_alarm")]["when"]["all"][0]["value"][1] = "dormant_grown"
    document["rules"] = [rule for rule in document["rules"] if rule["to"] != "mature"]
    found = (await client.post(f"{URL}/validate", json={"document": document})).json()
    assert found["valid"] is True
    back = place_of(document, "false_alarm")
    assert {(w["pointer"], w["code"], w["rule_id"]) for w in found["warnings"]} == {
        ("/document/rules", "no_way_in", None),
        (f"/document/rules/{place_of(document, 'at_risk')}/why", "no_reason", "at_risk"),
        (f"/document/rules/{back}/when/all/0/value/1", "never_so", "false_alarm"),
    }
    assert "did you mean dormant_growth?" in next(w["detail"] for w in found["warnings"] if w["code"] == "never_so")
    empty = (await client.post(f"{URL}/validate", json={"document": {**wealth(), "rules": []}})).json()
    assert [(p["pointer"], p["code"]) for p in empty["problems"]] == [("/document/rules", "missing")]
    one_way = {**wealth(), "rules": [wealth()["rules"][0]]}
    alone = (await client.post(f"{URL}/validate", json={"document": one_way})).json()
    assert {w["code"] for w in alone["warnings"]} == {"no_way_in", "no_way_out", "score_unused"}
    assert len((await client.get(URL)).json()["items"]) == 1


async def test_a_draft_is_replaced_and_deleted_by_whoever_read_it_last(client):
    draft = await make_draft(client, note="First.")
    body = {"document": wealth(), "name": "wealth again"}
    problem(await client.put(f"{URL}/2", json=body), 428, "precondition_required")
    replaced = await client.put(f"{URL}/2", json=body, headers=match(draft))
    assert replaced.status_code == 200
    now = replaced.json()
    assert (now["revision"], now["name"], now["document"]["name"], now["note"]) == (
        2,
        "wealth again",
        "wealth again",
        None,
    )
    assert (now["updated_by"], now["updated_at"]) == ("key:test", "2026-03-02T10:00:00Z")
    for stale in (
        client.put(f"{URL}/2", json=body, headers=match(draft)),
        client.delete(f"{URL}/2", headers=match(draft)),
    ):
        answer = await stale
        problem(answer, 412, "stale")
        assert answer.headers["etag"] == replaced.headers["etag"]
    broken = await client.put(f"{URL}/2", json={"document": MISTAKES[0][0]}, headers=match(replaced))
    assert problem(broken, 422, "invalid").keys() == {(f"/document/rules/{AT_RISK}/when/fact", "unknown_fact")}
    assert (await client.get(f"{URL}/2")).json() == now
    problem(await client.delete(f"{URL}/2"), 428, "precondition_required")
    assert (await client.delete(f"{URL}/2", headers=match(replaced))).status_code == 204
    problem(await client.get(f"{URL}/2"), 404, "not_found")


async def test_the_tag_of_a_deleted_draft_does_not_fit_the_one_that_took_its_number(client):
    old = await make_draft(client)
    await client.delete(f"{URL}/2", headers=match(old))
    new = await make_draft(client, wealth("at_risk", priority=81))
    assert new.json()["version"] == 2
    problem(await client.put(f"{URL}/2", json={"document": wealth()}, headers=match(old)), 412, "stale")


async def test_reading_needs_one_scope_and_writing_another(client, db):
    reader = {"Authorization": f"Bearer {await make_key(db, 'lifecycle:read')}"}
    assert (await client.post(f"{URL}/validate", json={"document": wealth()}, headers=reader)).status_code == 200
    problem(await client.post(URL, json={"based_on": 1}, headers=reader), 403, "forbidden")
    writer = {"Authorization": f"Bearer {await make_key(db, 'policies:write')}"}
    problem(await client.get(URL, headers=writer), 403, "forbidden")


async def test_unknown_versions_are_told_everywhere(client):
    tag = {"If-Match": "*"}
    for answer in (
        await client.get(f"{URL}/9"), await client.get(f"{URL}/9/diff"), await client.get(f"{URL}/9/diagram"),
        await client.get(f"{URL}/1/diff", params={"against": 9}), await client.delete(f"{URL}/9", headers=tag),
        await client.put(f"{URL}/9", json={"document": wealth()}, headers=tag),
        await client.post(f"{URL}/9/publish", json={}, headers=tag),
    ):  # fmt: skip
        problem(answer, 404, "not_found")


async def test_the_difference_to_the_version_in_force_is_told_as_data_and_in_words(client):
    await make_draft(client, {**STRICTER, "target_days": {**STRICTER["target_days"], "trial": 40}})
    found = (await client.get(f"{URL}/2/diff")).json()
    assert found == {
        "version": 2,
        "against": 1,
        "rules": [{
            "rule_id": "at_risk", "change": "changed", "keeps_confirm_window": False,
            "fields": [{
                "field": "/when/value", "before": 60, "after": 50,
                "text": "at_risk: when it fires: attrition score ≥ 60 becomes attrition score ≥ 50.",
            }],
            "text": "Rule at_risk differs in 1 place. Confirm windows that run begin anew.",
        }],
        "score": [],
        "target_days": [
            {"stage": "trial", "before": 30, "after": 40, "text": "Days that Trial should take: 30 becomes 40."}
        ],
        "texts": [],
    }  # fmt: skip
    chinese = (await client.get(f"{URL}/2/diff", headers={"Accept-Language": "zh-CN"})).json()
    assert chinese["rules"][0]["fields"][0]["text"] == "at_risk：触发条件：流失评分 ≥ 60 改为 流失评分 ≥ 50。"
    back = (await client.get(f"{URL}/1/diff", params={"against": 2})).json()
    assert [(f["before"], f["after"]) for f in back["rules"][0]["fields"]] == [(50, 60)]
    same = (await client.get(f"{URL}/1/diff")).json()
    assert same == {"version": 1, "against": 1, "rules": [], "score": [], "target_days": [], "texts": []}


async def test_a_version_is_drawn_as_mermaid_and_as_svg(client):
    await make_draft(client)
    source = await client.get(f"{URL}/2/diagram")
    assert source.headers["content-type"] == "text/plain; charset=utf-8"
    assert source.text.startswith("stateDiagram-v2\n")
    assert "growth --> decline : at_risk<br/>attrition score ≥ 50<br/>" in source.text
    picture = await client.get(f"{URL}/2/diagram", params={"format": "svg", "language": "zh"})
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    texts = [element.text for element in ET.fromstring(picture.text).iter() if element.tag.endswith("}text")]
    assert {"潜在客户", "at_risk", "流失评分 ≥ 50"} <= set(texts)
    for query in ({"format": "png"}, {"language": "de"}, {"colour": "red"}):
        problem(await client.get(f"{URL}/1/diagram", params=query), 422, "invalid")


async def test_editors_can_list_every_fact_with_what_it_can_be_compared_with(client):
    listed = (await client.get("/v1/lifecycle/facts")).json()["items"]
    assert [fact["name"] for fact in listed] == list(FACTS)
    by_name = {fact["name"]: fact for fact in listed}
    assert by_name["net_flow_90d_pct"] == {
        "name": "net_flow_90d_pct", "kind": "number", "unit": "share", "ops": [">=", ">", "<=", "<", "=="], "values": None,
        "label": "Net flow of 90 days, share of the assets before",
    }  # fmt: skip
    assert by_name["kyc_status"]["ops"] == ["==", "!=", "in", "not_in"]
    assert by_name["kyc_status"]["values"] == ["none", "pending", "passed", "rejected"]
    chinese = (await client.get("/v1/lifecycle/facts", headers={"Accept-Language": "zh"})).json()["items"]
    assert chinese[0]["label"] == "管理资产"
