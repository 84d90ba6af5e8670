"""The playbook that ships holds every measure, and every text of it can be read in both languages."""

import pytest

from app.playbooks.definition import parse
from app.playbooks.gate import ESTATE
from app.playbooks.service import shipped_document
from app.playbooks.texts import Reader, language_of, render

BOOK = parse(shipped_document())

TABLE = {
    "needs_questionnaire": "prospect",
    "social_listening": "prospect",
    "useful_content": "prospect",
    "webinar": "prospect",
    "seminar": "prospect",
    "first_call": "prospect",
    "onboarding": "trial",
    "nudge": "trial",
    "welcome_support": "trial",
    "friction": "trial",
    "trial_survey": "trial",
    "trial_interview": "trial",
    "trial_end": "trial",
    "assign_adviser": "growth",
    "plan": "growth",
    "proposal": "growth",
    "value_added": "growth",
    "promotion": "growth",
    "check_in": "mature",
    "exclusive": "mature",
    "care": "mature",
    "birthday": "mature",
    "referral": "mature",
    "save_call": "decline",
    "coupon": "decline",
    "extension": "decline",
    "exit_interview": "decline",
    "exit_survey": "decline",
    "win_back": "decline",
    "relationship_nps": "any",
    "consultation": "any",
    "portfolio_review": "any",
}


@pytest.mark.parametrize(("key", "stage"), TABLE.items())
def test_every_measure_is_there(key: str, stage: str) -> None:
    found = [d for d in BOOK.actions if d.key == key or d.key.startswith(f"{key}_")]
    assert found
    assert {d.stage for d in found} == {stage}


def test_high_net_worth_customers_and_small_businesses_get_what_is_theirs() -> None:
    for key, segment in (
        ("dedicated_adviser", "high_net_worth"),
        ("alternatives_access", "high_net_worth"),
        ("financing_needs", "small_business"),
        ("financing_plan", "small_business"),
    ):
        assert BOOK.find(key).condition == {"field": "segment", "op": "eq", "value": segment}


def test_the_estate_task_exists_and_is_a_task() -> None:
    assert BOOK.find(ESTATE).kind == "task"


def test_three_returns_ask_the_adviser_for_a_judgement() -> None:
    review = BOOK.find("flapping_review")
    assert (review.kind, review.anchor, review.stage, review.owner) == ("task", "freeze", "any", "adviser")


def test_every_stage_starts_something_at_once_or_while_the_customer_stays() -> None:
    for stage in ("prospect", "trial", "growth", "mature", "decline"):
        assert [d for d in BOOK.of_stage(stage, ("entry", "dwell")) if d.stage == stage]


def test_only_what_the_institution_owes_goes_without_consent() -> None:
    assert {d.action_class for d in BOOK.actions if d.kind in ("offer", "survey", "event_invitation")} <= {
        "promotion",
        "survey",
        "care",
        "retention",
        "service",
    }
    assert [d.key for d in BOOK.actions if d.action_class == "regulatory"] == [ESTATE]


@pytest.mark.parametrize("definition", BOOK.actions, ids=[d.key for d in BOOK.actions])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_text_renders(definition: object, language: str) -> None:
    reader = Reader("欧阳娜娜", "A", None, "growth", "leaving")
    text = render(getattr(definition.content, language), language, reader)
    assert "{" not in text.subject + text.body
    assert "\n" not in text.subject
    chinese = sum("\u4e00" <= c <= "\u9fff" for c in (text.subject + text.body).replace("欧阳娜娜", ""))
    assert chinese > 15 if language == "zh" else chinese == 0


@pytest.mark.parametrize(
    ("tag", "language"),
    [("zh", "zh"), ("zh-Hans-CN", "zh"), ("ZH-hk", "zh"), ("en", "en"), ("de", "en"), ("zha", "en")],
)
def test_every_chinese_reads_chinese_and_everybody_else_english(tag: str, language: str) -> None:
    assert language_of(tag) == language
