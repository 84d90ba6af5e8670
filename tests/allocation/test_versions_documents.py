"""What is wrong with a document is told at once, by its place; what is repaired is reported."""

import numpy as np
import pytest

from app.allocation.versions.schemas import AllocationVersionCheck
from tests.allocation.version_drafts import (
    NAMES,
    PATHS,
    assumptions,
    check,
    correlated,
    document_of,
    draft,
    match,
    problem,
    without,
)


def policy(**changes):
    return document_of("policy", **changes)


def lopsided():
    document = document_of("assumptions")
    document["correlation"][0][1] = 0.1
    return document


def short_of_a_fact():
    document = document_of("questionnaire")
    document["questions"] = [q for q in document["questions"] if q["facet"] != "horizon_years"]
    return document


MISTAKES = [
    ("assumptions", lopsided(), "/correlation/0/1", "not_symmetric"),
    ("assumptions", correlated(document_of("assumptions"), "bonds", "gold", 1.2), "/correlation/2/4", "out_of_range"),
    ("assumptions", assumptions(bonds={"expected_return": 7.0}), "/asset_classes/2/expected_return", "out_of_range"),
    ("assumptions", assumptions(bonds={"volatility": -0.1}), "/asset_classes/2/volatility", "out_of_range"),
    ("assumptions", assumptions(bonds={"volatility": None}), "/asset_classes/2/volatility", "null"),
    ("assumptions", assumptions(bonds={"code": "cash"}), "/asset_classes/7/code", "duplicate"),
    ("assumptions", assumptions(bonds={"market_weight": 0.9}), "/asset_classes", "weights_sum"),
    ("assumptions", document_of("assumptions", as_of="soon"), "/as_of", "bad_date"),
    ("assumptions", document_of("assumptions", prior="equilibrium"), "/market_risk_aversion", "missing"),
    ("assumptions", document_of("assumptions", asset_classes=[]), "/asset_classes", "wrong_length"),
    ("assumptions", document_of("assumptions", source="x" * 2001), "/source", "too_long"),
    ("views", document_of("views", views=[{"long": {"gold": 0.5}, "expected_return": 0.1}]), "/views/0/long", "weights_sum"),
    ("views", document_of("views", views=[{"long": {"gold": 1}, "expected_return": 7}]), "/views/0/expected_return", "out_of_range"),
    ("views", document_of("views", tau=0.05), "/tau", "unknown_field"),
    ("policy", policy(volatility_at_zero=None), "/volatility_at_zero", "missing"),
    ("policy", policy(volatility_ceilings=[0.03, 0.02, 0.1, 0.14, 0.2]), "/volatility_ceilings", "wrong_order"),
    ("policy", policy(bounds={"gold": {"minimum": 0.3, "maximum": 0.1}}), "/bounds/gold", "wrong_order"),
    ("policy", policy(bounds={"a/b~c": {}}), "/bounds/a~1b~0c", "bad_code"),
    ("policy", policy(segments={"mass": {}}), "/segments", "missing"),
    ("questionnaire", short_of_a_fact(), "/questions", "wrong_facets"),
    ("questionnaire", document_of("questionnaire", contradiction_penalty="10"), "/contradiction_penalty", "wrong_type"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "document", "pointer", "code"), MISTAKES, ids=[f"{m[0]}{m[2]}" for m in MISTAKES])
async def test_a_document_that_cannot_be_used_is_refused_at_the_place_of_its_mistake(
    client, kind, document, pointer, code
):
    found = problem(await client.post(PATHS[kind], json={"document": document}), 422, "invalid")
    assert (f"/document{pointer}", code) in found
    checked = await check(client, kind, document)
    AllocationVersionCheck.model_validate(checked)
    assert (checked["valid"], checked["warnings"], checked["repair"]) == (False, [], None)
    assert {(p["pointer"], p["code"]): p["detail"] for p in checked["problems"]} == found
    base = await draft(client, kind)
    url = f"{PATHS[kind]}/{base.json()['version']}"
    assert problem(await client.put(url, json={"document": document}, headers=match(base)), 422, "invalid") == found
    assert len((await client.get(PATHS[kind])).json()["items"]) == 2


async def test_every_problem_of_a_document_is_told_at_once(client):
    document = assumptions(bonds={"expected_return": 7, "liquid": "yes"}, gold={"risk_level": "R9"})
    document["horizont"] = document.pop("horizon")
    found = problem(await client.post(PATHS["assumptions"], json={"document": document}), 422, "invalid")
    assert found.keys() == {
        ("/document/horizon", "missing"), ("/document/horizont", "unknown_field"),
        ("/document/asset_classes/2/expected_return", "out_of_range"),
        ("/document/asset_classes/2/liquid", "wrong_type"), ("/document/asset_classes/4/risk_level", "unknown_value"),
    }  # fmt: skip


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("document", [[], "text", 5, None, {}, {"x": [[]]}], ids=repr)
async def test_what_is_no_such_document_at_all_is_refused(client, kind, document):
    for path in ("", "/validate"):
        body = {"document": document}
        problem(await client.post(PATHS[kind] + path, json=body), 422, "invalid")


@pytest.mark.parametrize("kind", PATHS)
async def test_a_document_without_end_is_refused(client, kind):
    wide = document_of(kind, **{NAMES[kind]: "wide", "padding": [0] * 20_001})
    found = problem(await client.post(PATHS[kind], json={"document": wide}), 422, "invalid")
    assert found.keys() == {("/document", "too_large")}
    heavy = document_of(kind, padding="x" * 5_000_000)
    for path in ("", "/validate"):
        problem(await client.post(PATHS[kind] + path, json={"document": heavy}), 413, "too_large")
    named = await client.post(PATHS[kind], json={"document": document_of(kind), "name": "x" * 101})
    assert ("/name", "string_too_long") in problem(named, 422, "invalid")


async def test_a_matrix_that_is_nearly_one_of_correlations_is_repaired_and_each_change_reported(client):
    document = correlated(document_of("assumptions"), "domestic_equity", "emerging_equity", 0.1)
    matrix = np.array(document["correlation"])
    eigenvalue = np.linalg.eigvalsh(matrix)[0]
    assert eigenvalue < 0
    checked = await check(client, "assumptions", document)
    repair = checked["repair"]
    assert (checked["valid"], [w["code"] for w in checked["warnings"]]) == (True, ["correlation_repaired"])
    assert repair["smallest_eigenvalue"] == pytest.approx(eigenvalue)
    assert 0 < repair["largest_change"] <= 0.05
    moves = [abs(change["after"] - change["before"]) for change in repair["changes"]]
    assert moves == sorted(moves, reverse=True)
    assert moves[0] == pytest.approx(repair["largest_change"], abs=2e-6)
    codes = [c["code"] for c in document["asset_classes"]]
    for change in repair["changes"]:
        i, j = (codes.index(code) for code in change["asset_classes"])
        assert matrix[i, j] == change["before"]
        matrix[i, j] = matrix[j, i] = change["after"]
    assert np.linalg.eigvalsh(matrix)[0] > -1e-5
    stored = (await draft(client, "assumptions", document)).json()
    assert (stored["repair"], stored["document"]) == (repair, document)
    assert (await client.get(f"{PATHS['assumptions']}/2")).json()["repair"] == repair


async def test_a_matrix_too_far_from_one_of_correlations_is_refused_with_its_eigenvalue(client):
    document = correlated(document_of("assumptions"), "domestic_equity", "emerging_equity", -0.9)
    found = problem(await client.post(PATHS["assumptions"], json={"document": document}), 422, "invalid")
    eigenvalue = np.linalg.eigvalsh(np.array(document["correlation"]))[0]
    detail = found["/document/correlation", "not_positive_semidefinite"]
    assert f"smallest eigenvalue {eigenvalue:.6g}" in detail
    assert "more than 0.05" in detail


async def test_a_check_warns_of_what_publishing_would_meet_and_stores_nothing(client):
    assert await check(client, "assumptions", document_of("assumptions")) == {
        "valid": True, "problems": [], "warnings": [], "repair": None,
    }  # fmt: skip
    unknown = document_of("views", outlook={"tulips": "rising"})
    [warning] = (await check(client, "views", unknown))["warnings"]
    assert warning == {
        "pointer": "/document/outlook/tulips", "code": "unknown_asset_class", "blocks_publishing": True,
        "detail": "the assumption set has no class tulips",
    }  # fmt: skip
    shrunk = (await check(client, "assumptions", without("gold")))["warnings"]
    assert [(w["code"], w["blocks_publishing"]) for w in shrunk] == [("unknown_asset_class", False)]
    assert "the policy in force, at /bounds" in shrunk[0]["detail"]
    euro = (await check(client, "assumptions", document_of("assumptions", currency="EUR")))["warnings"]
    assert [(w["pointer"], w["code"]) for w in euro] == [("/document/currency", "other_currency")]
    segments = policy()["segments"]
    strange = policy(segments={**segments, "royal": segments["default"]})
    told = (await check(client, "policy", strange))["warnings"]
    assert [(w["pointer"], w["code"]) for w in told] == [("/document/segments/royal", "unknown_segment")]
    for kind in PATHS:
        assert len((await client.get(PATHS[kind])).json()["items"]) == 1
