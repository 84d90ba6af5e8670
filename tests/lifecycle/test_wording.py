"""Facts, comparisons and dates in words: readable in both languages, whatever the values are."""

import re
from datetime import UTC, datetime
from math import inf, nan
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lifecycle.core.conditions import LARGEST, OPS
from app.lifecycle.core.facts import FACTS
from app.lifecycle.explaining.obstacles import passes
from app.lifecycle.explaining.wording import (
    Voice,
    condition_text,
    day_text,
    fact_text,
    flip_text,
    language_of,
    moment_text,
    need_text,
    stage_text,
    value_text,
)
from tests.lifecycle.ledgers import LAW

EN = Voice("en", "USD", ZoneInfo("UTC"))
ZH = Voice("zh", "CNY", ZoneInfo("Asia/Shanghai"))
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def leaf(fact, op, value):
    return {"fact": fact, "op": op, "value": value}


def said(fact, op, value, actual):
    """The condition in both languages."""
    found = leaf(fact, op, value)
    return tuple(condition_text(found, actual, voice, holds=passes(found, actual)) for voice in (EN, ZH))


@pytest.mark.parametrize(
    ("comparison", "en", "zh"),
    [
        (
            ("funded_here", ">=", 1000, 780.0),
            "Paid in for this trial: 780 USD, needs at least 1,000 USD (220 USD more)",
            "本次试用入金：780 CNY，需至少 1,000 CNY（还差 220 CNY）",
        ),
        (
            ("aum", "<=", 0, 1234567.5),
            "Assets under management: 1,234,567.50 USD, needs at most 0 USD (1,234,567.50 USD less)",
            "管理资产：1,234,567.50 CNY，需不超过 0 CNY（超出 1,234,567.50 CNY）",
        ),
        (
            ("net_flow_90d_pct", "<=", -0.25, -0.1),
            "Net flow of 90 days, share of the assets before: -10 %, needs at most -25 % (15 percentage points less)",
            "90 天净流入占此前资产比例：-10%，需不超过 -25%（超出 15 个百分点）",
        ),
        (
            ("days_since_activity", ">=", 180, 179.0),
            "Days without activity: 179, needs at least 180 (1 day more)",
            "无活动天数：179，需至少 180（还差 1 天）",
        ),
        (
            ("attrition_score", "<", 30, 45.0),
            "Attrition score: 45, needs less than 30 (over 15 points less)",
            "流失评分：45，需小于 30（超出 15 分）",
        ),
        (("logins_14d", ">=", 3, 3.0), "Logins, 14 days: 3, needs at least 3", "14 天登录数：3，需至少 3"),
        (("complaint_open_days", ">", 14, 14.0), "Days the oldest complaint is open: 14, needs more than 14", "最早投诉未决天数：14，需大于 14"),
        (("kyc_status", "==", "passed", "none"), "Identity check: none, must be passed", "身份核验：无，须为已通过"),
        (
            ("suitability", "in", ["valid", "due"], "expired"),
            "Risk profile: expired, must be valid or due",
            "风险测评：已过期，须为有效或即将到期",
        ),
        (("segment", "!=", "high_net_worth", "mass"), "Segment: mass, must not be high net worth", "客群：大众，不得为高净值"),
        (("entered_by", "in", ["at_risk", "due"], "none"), "Rule that led here: none, must be at_risk or due", "进入规则：无，须为at_risk或due"),
        (("portfolio_accepted", "==", True, False), "Portfolio accepted: no, must be yes", "已接受组合：否，须为是"),
        (
            ("csat_last", "<=", 2, None),
            "Last satisfaction answer, 90 days: cannot be computed yet, needs at most 2",
            "90 天内满意度评分：暂无法计算，需不超过 2",
        ),
    ],
)  # fmt: skip
def test_a_condition_is_said_in_english_and_chinese(comparison, en, zh):
    assert said(*comparison) == (en, zh)


@pytest.mark.parametrize(
    ("actual", "value", "shown"),
    [(0.0996, 0.1, "9.9 %"), (0.1004, 0.1, "10.1 %"), (-0.10001, -0.1, "-10.1 %"), (0.1, 0.1, "10 %"), (-0.0001, 0, "-0.1 %")],
)  # fmt: skip
def test_rounding_never_hides_that_a_share_misses_its_threshold(actual, value, shown):
    text, _ = said("login_drop", ">=", value, actual)
    assert f": {shown}, needs" in text


def test_amounts_are_exact_and_grouped():
    shown = [value_text("aum", value, EN) for value in (1500, 1500.5, 0.0001, -2500.0, -0.0, 1e15)]
    assert shown == ["1,500 USD", "1,500.50 USD", "0.0001 USD", "-2,500 USD", "0 USD", "1,000,000,000,000,000 USD"]


def test_a_fact_says_what_was_asked_of_it_unless_it_is_just_that():
    asked = [leaf("net_flow_90d_pct", ">=", -0.1), leaf("net_flow_90d_pct", "<=", 0.1)]
    text = fact_text("net_flow_90d_pct", 0.05, asked, EN)
    assert text == "Net flow of 90 days, share of the assets before: 5 % (needs at least -10 %, needs at most 10 %)"
    assert fact_text("kyc_status", "passed", [leaf("kyc_status", "==", "passed")], ZH) == "身份核验：已通过"
    assert fact_text("on_hold", False, [leaf("on_hold", "==", False)], EN) == "On hold: no"
    assert fact_text("no_longer_declared", 3.0, [], EN) == "no_longer_declared: 3"


def test_days_are_those_of_the_institution():
    moment = datetime(2026, 5, 2, 16, 0, tzinfo=UTC)
    assert (day_text(moment, EN), day_text(moment, ZH)) == ("2 May 2026", "2026年5月3日")
    assert (moment_text(moment, EN), moment_text(moment, ZH)) == ("2 May 2026, 16:00", "2026年5月3日")
    assert flip_text(moment, EN, holds=False) == "comes by time alone on 2 May 2026"
    assert flip_text(moment, ZH, holds=True) == "若无变化，将于2026年5月3日不再满足"
    assert (stage_text("growth", EN), stage_text("growth", ZH)) == ("growth", "成长期")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"), ("en", "en"), ("zh", "zh"), ("ZH-Hans-CN", "zh"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.5, zh;q=0.9", "zh"), ("zh;q=0.2,en;q=0.9", "en"), ("fr, zh;q=0.3", "zh"), ("de, *;q=0.5, zh;q=0.1", "en"),
        ("zh;q=0", "en"), ("zh;q=nonsense, en;q=0.1", "en"), ("zh;q=7", "en"), ("zho-like", "en"), (";;,,q=", "en"),
        ("zh; q=0.5; v=1", "zh"), ("zh;q=nan", "en"),
    ],
)  # fmt: skip
def test_the_language_follows_the_weights_of_the_header(accepted, language):
    assert language_of(accepted) == language


NUMBERS = st.one_of(
    st.integers(-(10**15), 10**15),
    st.floats(-LARGEST, LARGEST),
    st.sampled_from([0, -0.0, 0.005, 1.5, 1000, 0.1, 1e-9]),
)
NAMES = st.sampled_from(["none", "passed", "valid", "high_net_worth", "at_risk", "", "红", "x y", "growth"])
VALUES = {"number": NUMBERS, "bool": st.booleans(), "text": NAMES}


@st.composite
def comparisons(draw):
    """Any comparison that a policy may hold, and any value that its fact may have, absent ones and shares of nothing too."""
    fact = FACTS[draw(st.sampled_from(sorted(FACTS)))]
    op = draw(st.sampled_from([op for op, kinds in OPS.items() if fact.kind in kinds]))
    values = VALUES[fact.kind]
    value = draw(st.lists(values, min_size=1, max_size=4) if op in ("in", "not_in") else values)
    absent = st.sampled_from([None, nan, inf, -inf]) if fact.kind == "number" else st.none()
    return leaf(fact.name, op, value), draw(st.one_of(values, values, values, absent))


def check(text, voice):
    assert text
    assert not re.search(r"None|\bnan\b|\binf\b|[{}\[\]]|(?<![\d,])-0(?![.\d])|\de[+-]?\d", text), text
    assert not re.search(r"(?<![\d.])\d{4,}", text), f"{text}: not grouped"
    assert not re.search(r"\.\d{2,} ?%", text), f"{text}: more than one decimal"
    assert ("，" in text or "（" in text) == (voice is ZH), text


@LAW
@given(comparisons(), st.booleans())
def test_whatever_is_compared_is_said_in_both_languages(comparison, holds):
    asked, actual = comparison
    for voice in (EN, ZH):
        check(condition_text(asked, actual, voice, holds=holds), voice)
        for text in (need_text(asked, voice), value_text(asked["fact"], actual, voice)):
            assert text
            assert "None" not in text
        assert fact_text(asked["fact"], actual, [asked], voice)


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
def test_every_fact_and_operator_has_words(fact):
    samples = {"number": [0, 1000, 0.25, -3.5], "bool": [True, False], "text": ["none", "valid"]}[fact.kind]
    for op in [op for op, kinds in OPS.items() if fact.kind in kinds]:
        for value in samples:
            for actual in (*samples, None):
                for text, voice in zip(
                    said(fact.name, op, [value] if "in" in op else value, actual), (EN, ZH), strict=True
                ):
                    check(text, voice)
                    assert bool(CHINESE.search(text)) == (voice is ZH)
