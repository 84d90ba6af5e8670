"""What is in force is found whatever else was looked at before, and nothing that blocks a publication is lost."""

from app.allocation.engine.defaults import default_assumptions, default_document, default_policy, default_questionnaire
from app.allocation.engine.policy import STAGES, parse_policy
from app.allocation.engine.views import parse_views
from app.allocation.versions import store
from app.allocation.versions.review import MOST_TOLD, findings


async def test_what_is_in_force_is_found_however_few_documents_are_remembered(session, monkeypatch):
    known = await store.in_force(session)
    monkeypatch.setattr(store, "_MOST_PARSED", 1)
    monkeypatch.setattr(store, "_parsed", {})
    for number in range(3):
        store.parse("views", {"version": f"draft {number}"})
        assert len(store._parsed) == 1
        again = await store.in_force(session)
        assert (again.versions, again.published, again.views) == (known.versions, known.published, known.views)


def test_what_blocks_a_publication_is_told_before_a_hundred_warnings():
    codes = default_assumptions().codes
    rows = [{"age": 20 + i, "growth_maximum": round(1 - i * 0.05, 2)} for i in range(20)]
    rules = [{"under_years": 1 + i, "maximum_class": "C5", "only": [*codes[: 2 + i % 7], "cash"]} for i in range(20)]
    stages = {stage: {"excluded": [code]} for stage, code in zip(STAGES, codes, strict=False)}
    changes = {"glide_path": rows, "horizon_rules": rules, "stages": stages}
    changes |= {"volatility_ceilings": [0.0001, 0.06, 0.1, 0.14, 0.2]}
    policy = parse_policy({**default_document("policy"), **changes, "volatility_at_zero": 0})
    documents = {
        "assumptions": default_assumptions(),
        "policy": policy,
        "views": parse_views({"version": "flowers", "outlook": {"tulips": "rising"}}),
        "questionnaire": default_questionnaire(),
    }
    found = findings("assumptions", documents, "USD")
    assert len(found) == MOST_TOLD
    assert {finding.code for finding in found[1:]} == {"no_suitable_portfolio"}
    assert (found[0].code, found[0].blocks_publishing) == ("unknown_asset_class", True)
    assert findings("assumptions", {**documents, "policy": default_policy()}, "USD") == found[:1]
