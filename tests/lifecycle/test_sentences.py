"""An explanation in sentences: every kind of answer in both languages, for any customer."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lifecycle.core.rules import DAY, Subject
from app.lifecycle.explaining.answers import next_answer, rule_answer, score_answer
from app.lifecycle.explaining.explain import explain
from app.lifecycle.explaining.sentences import Past, rule_sentence, why_sentence
from app.lifecycle.explaining.wording import Voice
from tests.lifecycle.ledgers import LAW, NOW, POLICIES, TODAY, ago, fold, stay, subjects
from tests.lifecycle.rule_examples import READY, example
from tests.lifecycle.test_wording import CHINESE

WEALTH = POLICIES["wealth"]
EN = Voice("en", "USD", ZoneInfo("UTC"))
ZH = Voice("zh", "CNY", ZoneInfo("UTC"))
LATER = NOW + timedelta(days=30)


def sentences(subject, rule_id, held=()):
    """What is said of one rule, in English and in Chinese."""
    found = next(found for found in explain(subject, WEALTH).rules if found.rule.id == rule_id)
    return rule_sentence(found, held, EN), rule_sentence(found, held, ZH)


def at_risk():
    known = example("wealth", "at_risk")
    return Subject(known, confirming={WEALTH.rule("at_risk").fingerprint: known.now - 3 * DAY})


@pytest.mark.parametrize(
    ("subject", "rule_id", "held", "en", "zh"),
    [
        (
            at_risk(),
            "at_risk",
            [],
            "Would lead to decline, holds since 27 February 2026, confirmed on 6 March 2026.",
            "将转入衰退期，自2026年2月27日起满足，2026年3月6日确认。",
        ),
        (
            at_risk(),
            "at_risk",
            [("hold", None), ("pin", LATER)],
            (
                "Would lead to decline, holds since 27 February 2026, confirmed on 6 March 2026;"
                " held back by a hold and the pin of the stage until 1 April 2026, 10:00."
            ),
            "将转入衰退期，自2026年2月27日起满足，2026年3月6日确认；但受限于客户处于管控状态、阶段固定（至2026年4月1日 10:00）。",
        ),
        (
            Subject(example("wealth", "lost_in_trial")),
            "lost_in_trial",
            [("daily_limit", LATER)],
            "Leads to decline: all that it needs holds.",
            "转入衰退期：条件均已满足。",
        ),
        (
            Subject(example("wealth", "leaving")),
            "leaving",
            [("hold", None)],
            "Leads to decline: all that it needs holds.",
            "转入衰退期：条件均已满足。",
        ),
        (
            Subject(fold([ago(170, "login")])),
            "dormant_growth",
            [],
            (
                "Would lead to decline, holds by time alone from 12 March 2026 on, until then blocked by:"
                " Days without activity: 170, needs at least 180 (10 days more)."
            ),
            "将转入衰退期，若无变化自2026年3月12日起满足，目前受阻于：无活动天数：170，需至少 180（还差 10 天）。",
        ),
        (
            Subject(fold([ago(1, "login")], stay("decline", 20, stage_before="mature", entered_by="leaving"))),
            "false_alarm",
            [],
            (
                "Cannot lead to mature during this stay, blocked by:"
                " Rule that led here: leaving, must be at_risk, dormant_growth or dormant_mature."
            ),
            "本次停留期间无法转入成熟期，受阻于：进入规则：leaving，须为at_risk、dormant_growth或dormant_mature。",
        ),
        (
            Subject(fold([ago(1, "login")], stay("decline", 20))),
            "false_alarm",
            [],
            "Leads back to the stage before, of which there is none.",
            "返回前一阶段，但没有前一阶段。",
        ),
        (
            Subject(fold([*READY, ago(1, "deposit", amount="500")], stay("prospect", 5))),
            "fast_track",
            [],
            (
                "Would lead to growth, blocked by: Paid in on the first day of funding: 500 USD,"
                " needs at least 10,000 USD (9,500 USD more)."
            ),
            "将转入成长期，目前受阻于：首日入金：500 CNY，需至少 10,000 CNY（还差 9,500 CNY）。",
        ),
    ],
)
def test_a_rule_says_what_it_would_do_and_what_it_waits_for(subject, rule_id, held, en, zh):
    assert sentences(subject, rule_id, held) == (en, zh)


PAST = Past("automatic", "trial", "growth", "converted", None, "rule:converted", NOW, {})
READ = {
    "funded_here": 1500.0, "portfolio_accepted": True, "trades_total": 0.0, "recurring_deposit": True, "logins_14d": 4.0,
    "kyc_status": "passed", "suitability": "valid", "complaint_severity": "none",
}  # fmt: skip


def test_a_step_names_what_made_its_rule_hold_and_nothing_else():
    text = why_sentence(replace(PAST, facts=READ), WEALTH.rule("converted"), EN)
    assert text == (
        "Moved from trial to growth on 2 March 2026 by the rule converted: paid in for this trial: 1,500 USD (needs at"
        " least 1,000 USD); portfolio accepted: yes; has a recurring deposit: yes; logins, 14 days: 4 (needs at least 3);"
        " identity check: passed; risk profile: valid; worst open complaint: none (must not be severe)."
    )


@pytest.mark.parametrize(
    ("past", "en", "zh"),
    [
        (PAST, "Moved from trial to growth on 2 March 2026 by the rule converted.", "于2026年3月2日从试用期转入成长期，规则 converted。"),
        (
            replace(PAST, kind="import", rule_id=None, actor="key:crm", reason="taken over"),
            "Moved from trial to growth on 2 March 2026 by an import of key:crm: taken over",
            "于2026年3月2日从试用期转入成长期，由 key:crm 导入：taken over",
        ),
        (
            replace(PAST, kind="merge", rule_id=None),
            "Moved from trial to growth on 2 March 2026 when duplicates were merged.",
            "于2026年3月2日从试用期转入成长期，因合并重复客户。",
        ),
        (
            replace(PAST, kind="correction", rule_id=None, corrected=(4, "growth", "trial", NOW - timedelta(days=1)), reason="late_signal"),
            ("Back in growth on 2 March 2026: step 4, from growth to trial on 1 March 2026, was taken back, since a late"
            " signal removed its cause."),
            "于2026年3月2日恢复为成长期：迟到的信号使其原因不再成立，第 4 步（2026年3月1日从成长期转入试用期）予以撤销。",
        ),
    ],
)  # fmt: skip
def test_every_kind_of_step_has_its_words(past, en, zh):
    assert (why_sentence(past, None, EN), why_sentence(past, None, ZH)) == (en, zh)


def test_a_rule_that_no_longer_exists_leaves_the_facts_without_what_was_asked():
    assert why_sentence(replace(PAST, facts=READ), None, EN).endswith("by the rule converted.")


def texts_of(answer):
    """Every text in an answer."""
    if isinstance(answer, dict):
        own = [answer["text"]] if "text" in answer else []
        return [*own, *(text for value in answer.values() for text in texts_of(value))]
    return [text for value in answer for text in texts_of(value)] if isinstance(answer, list) else []


@LAW
@given(
    st.sampled_from(sorted(POLICIES)),
    subjects(),
    st.lists(
        st.sampled_from([("hold", None), ("pin", LATER), ("returns", LATER), ("daily_limit", LATER)]), unique=True
    ),
)
def test_whoever_is_explained_is_explained_in_both_languages(name, subject, held):
    found = explain(subject, POLICIES[name])
    answers = {}
    for voice in (EN, ZH):
        rules = [rule_answer(status, held, voice) for status in found.rules]
        coming = next_answer(found, subject, held, voice)
        assert [item["at"] for item in coming] == sorted(item["at"] for item in coming)
        assert [item["kind"] for item in coming].count("moves") <= 1
        answers[voice.language] = [*texts_of(rules), *texts_of([score_answer(found, voice)]), *texts_of(coming)]
    assert len(answers["en"]) == len(answers["zh"]) >= 10
    for text in answers["en"]:
        assert not CHINESE.search(text)
    for text in answers["zh"]:
        assert CHINESE.search(text)
        assert "None" not in text


def test_days_of_the_horizon_are_told_in_the_zone_of_the_institution():
    east = Voice("en", "USD", ZoneInfo("Asia/Shanghai"))
    subject = Subject(fold([ago(170, "login")]))
    status = next(found for found in explain(subject, WEALTH).rules if found.rule.id == "dormant_growth")
    answer = rule_answer(status, [], east)
    assert answer["flips_at"].isoformat() == "2026-03-11T16:00:00+00:00"
    assert "from 12 March 2026 on" in answer["text"]
    assert status.flips_day == TODAY + 10
