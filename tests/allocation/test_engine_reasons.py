"""Reasons: every code is given to whom it concerns, and reads well in both languages."""

import json

import numpy as np
import pytest

from app.allocation.engine.defaults import default_assumptions, default_document, default_policy
from app.allocation.engine.people import Restriction
from app.allocation.engine.portfolios import FrontierCache
from app.allocation.engine.reasons import Reason, reasons_for, render
from app.allocation.engine.recommend import recommend
from tests.allocation.engine_cases import mixed_people, people

POLICY, ASSUMPTIONS = default_policy(), default_assumptions()
CACHE = FrontierCache()
CODES = set(default_document("reasons")["reasons"])
BONDS_ONLY = Restriction(("domestic_equity", "emerging_equity", "cash", "gold"))  # a volatility of 3.4 %

CASES = [
    ({"tolerance": 50}, "tolerance_bound", {"tolerance": 50.0, "risk_class": "C3", "ceiling": 10.0}),
    ({"capacity": 30}, "capacity_bound", {"capacity": 30.0, "tolerance": 70.0, "risk_class": "C2"}),
    ({"horizon_years": 4}, "horizon_bound", {"years": 4.0, "risk_class": "C2"}),
    ({"horizon_years": 2}, "horizon_classes", {"asset_classes": ["cash", "bonds"], "under_years": 3.0}),
    ({"liquidity_need": 0.3}, "liquidity_bound", {"need": 30.0, "risk_class": "C2"}),
    ({"has_valid_profile": False}, "no_profile", {"risk_class": "C2"}),
    ({"age": 75}, "age_bound", {"age": 75, "growth_maximum": 30.0}),
    ({"age": None}, "age_unknown", {"growth_maximum": 30.0}),
    ({"announced_withdrawal": 0.82}, "minimum_cash_bound", {"cash": 85.0}),
    ({"announced_withdrawal": 0.12}, "withdrawal_in_cash", {"withdrawal": 12.0, "cash": 15.0}),
    ({"restriction": Restriction(("domestic_equity", "emerging_equity"))}, "permitted_classes_bound", {}),
    ({"tolerance": 21, "restriction": BONDS_ONLY}, "least_risk", {"volatility": 3.4}),
    (
        {"tolerance": 20, "restriction": BONDS_ONLY},
        "no_suitable_portfolio",
        {"risk_class": "C1", "ceiling": 3.0, "lowest": 3.4},
    ),
    (
        {"announced_withdrawal": 0.3, "restriction": Restriction(("cash",))},
        "constraints_conflict",
        {"limits": {"zh": "现金的下限、现金的上限", "en": "the minimum of Cash, the maximum of Cash"}},
    ),
    ({}, "segment_no_alternatives", {"asset_classes": ["real_estate", "commodities", "hedge_funds"]}),
    ({"segment": "high_net_worth", "tolerance": 30.0}, "class_no_alternatives", {"risk_class": "C3"}),
    ({"segment": "small_business", "is_business": True}, "segment_minimum_cash", {"cash": 15.0}),
    ({"segment": "small_business", "is_business": True}, "segment_minimum_liquid", {"liquid": 60.0}),
    ({"segment": "high_net_worth", "stage": "trial"}, "stage_excluded", {"asset_classes": ["hedge_funds"]}),
    ({"restriction": Restriction(("gold",))}, "restriction_excluded", {"classes": {"zh": "黄金", "en": "Gold"}}),
    ({"restriction": Restriction((), 0.125)}, "restriction_minimum_cash", {"cash": 12.5}),
    ({"tolerance": 70}, "class_capped", {"asset_classes": ["emerging_equity"], "maximum": 10.0}),
    ({"contradictions": 2}, "contradictory_answers", {"count": 2}),
]


def reasons_of(customer):
    crowd = people(customer)
    return reasons_for(POLICY, ASSUMPTIONS, crowd, recommend(POLICY, ASSUMPTIONS, crowd, CACHE), [0])[0]


@pytest.mark.parametrize(("customer", "code", "params"), CASES, ids=[code for _, code, _ in CASES])
def test_a_customer_whom_it_concerns_is_given_the_reason(customer, code, params):
    (reason,) = [reason for reason in reasons_of(customer) if reason.code == code]
    assert {name: reason.params[name] for name in params} == params
    assert json.loads(json.dumps(dict(reason.params))) == reason.params
    for language in ("zh", "en"):
        text = render(reason, language)
        assert "{" not in text
        assert "nan" not in text


def test_the_cases_above_exercise_every_code_there_is():
    assert {code for _, code, _ in CASES} == CODES


def test_a_reason_reads_as_a_sentence():
    (reason,) = [reason for reason in reasons_of({"age": 75}) if reason.code == "age_bound"]
    assert render(reason, "en") == "At the age of 75, growth assets are limited to 30 %."
    assert render(reason, "zh") == "按照75岁的人生阶段，增长类资产不超过30%。"


def test_an_indication_never_calls_itself_advice():
    first, *_ = reasons_of({"has_valid_profile": False})
    assert first.code == "no_profile"
    assert "not advice" in render(first, "en")
    assert "不构成投资建议" in render(first, "zh")


def test_nobody_is_told_about_classes_they_could_not_hold_anyway():
    assert "stage_excluded" not in {reason.code for reason in reasons_of({"stage": "prospect"})}


def test_a_crowd_gets_the_same_reasons_as_each_alone():
    crowd = mixed_people(5, 300, ASSUMPTIONS.codes)
    result = recommend(POLICY, ASSUMPTIONS, crowd, CACHE)
    rows = np.arange(0, 300, 3)
    together = reasons_for(POLICY, ASSUMPTIONS, crowd, result, rows)
    for row, reasons in zip(rows.tolist(), together, strict=True):
        assert reasons == reasons_for(POLICY, ASSUMPTIONS, crowd, result, [row])[0]
        assert reasons
        assert all(render(reason, language) for reason in reasons for language in ("zh", "en"))


def test_another_language_is_refused():
    with pytest.raises(ValueError, match="no texts in fr"):
        render(Reason("age_unknown", {"growth_maximum": 30.0}), "fr")
