"""Questionnaire, capacity and score: what answers come to, and which cap decides."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allocation.engine.defaults import default_document, default_policy, default_questionnaire
from app.allocation.engine.policy import risk_class_of
from app.allocation.engine.problems import InvalidDocument
from app.allocation.engine.profile import Limit, risk_scores
from app.allocation.engine.questionnaire import (
    CAPACITY_FACTS,
    capacity_scores,
    encode_answers,
    parse_questionnaire,
    score_answers,
)
from tests.allocation.engine_cases import mixed_people, people

QUESTIONNAIRE = default_questionnaire()


def answered(**chosen):
    """Answers to every question: the last option, but for those given."""
    return {q.id: q.options[-1].id for q in QUESTIONNAIRE.questions} | chosen


CALM = {"horizon": "over_10", "dependants": "nobody", "debt": "none", "invested_share": "under_25"}
CALM |= {"liquidity_need": "nothing", "largest_loss": "over_20", "fall_reaction": "wait"}


def scored(*answers):
    return score_answers(QUESTIONNAIRE, encode_answers(QUESTIONNAIRE, answers))


def test_the_questionnaire_has_ten_to_thirteen_questions_in_both_languages():
    assert 10 <= len(QUESTIONNAIRE.questions) <= 13
    texts = [t for q in QUESTIONNAIRE.questions for t in (q.texts, *(o.texts for o in q.options))]
    assert all(text["zh"] and text["en"] and text["zh"] != text["en"] for text in texts)


def test_the_boldest_consistent_answers_give_the_highest_scores():
    result = scored(answered(**CALM) | {"fall_reaction": "buy"})
    assert result.tolerance[0] == 100
    assert result.capacity[0] == 99  # full marks in facts of weight 9, and 88 for the share of wealth, of weight 1
    assert result.complete[0]
    assert not result.contradictions.any()


def test_the_most_cautious_answers_give_no_tolerance():
    cautious = {q.id: q.options[0].id for q in QUESTIONNAIRE.questions}
    assert scored(cautious).tolerance[0] == 0


def test_a_contradiction_costs_points_and_is_reported():
    honest = scored(answered(**CALM | {"largest_loss": "up_to_5"}, purpose="grow"))
    torn = scored(answered(**CALM | {"largest_loss": "none"}, purpose="grow"))
    assert [entry.id for entry in QUESTIONNAIRE.contradictions][2] == "grow_but_no_loss"
    assert torn.contradictions.tolist() == [[False, False, True, False, False]]
    points = 2 / 60 * 100  # between the two answers
    assert honest.tolerance[0] - torn.tolerance[0] == pytest.approx(points + QUESTIONNAIRE.contradiction_penalty, abs=1)


def test_a_missing_answer_leaves_its_score_unknown_and_the_profile_incomplete():
    answers = answered(**CALM)
    del answers["regret"], answers["horizon"]
    result = scored(answers)
    assert not result.complete[0]
    assert np.isnan(result.tolerance[0])
    assert np.isnan(result.facts["horizon_years"][0])
    assert result.capacity[0] <= QUESTIONNAIRE.weakest_allowance  # an unknown fact scores nothing


def test_unknown_questions_and_options_are_refused_with_their_place():
    with pytest.raises(InvalidDocument) as error:
        encode_answers(QUESTIONNAIRE, [{"horizon": "someday", "a/b": "x"}], "/answers")
    assert {(p.pointer, p.code) for p in error.value.problems} == {
        ("/answers/horizon", "unknown_option"),
        ("/answers/a~1b", "unknown_question"),
    }


def test_a_weak_fact_is_not_made_up_for_by_strong_ones():
    facts = {name: np.array([1.0]) for name in CAPACITY_FACTS}
    facts |= {"horizon_years": np.array([30.0]), "reserve_months": np.array([0.0])}
    facts |= {"debt_burden": np.array([0.0]), "invested_share": np.array([0.0]), "dependants": np.array([0.0])}
    assert capacity_scores(QUESTIONNAIRE, facts)[0] == QUESTIONNAIRE.weakest_allowance


def test_with_no_fact_known_capacity_is_unknown():
    facts = {name: np.array([np.nan]) for name in CAPACITY_FACTS}
    assert np.isnan(capacity_scores(QUESTIONNAIRE, facts)[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_scores_stay_in_their_range_and_one_customer_equals_a_batch(seed):
    rng = np.random.default_rng(seed)
    answers = np.column_stack([rng.integers(-1, len(q.options), 50) for q in QUESTIONNAIRE.questions]).astype(np.int8)
    result = score_answers(QUESTIONNAIRE, answers)
    for score in (result.tolerance, result.capacity):
        known = score[~np.isnan(score)]
        assert ((known >= 0) & (known <= 100) & (known == np.round(known))).all()
    alone = score_answers(QUESTIONNAIRE, answers[7:8])
    np.testing.assert_array_equal(alone.tolerance, result.tolerance[7:8])
    np.testing.assert_array_equal(alone.capacity, result.capacity[7:8])


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        (lambda d: d.pop("capacity"), "/capacity", "missing"),
        (lambda d: d["questions"].pop(6), "/questions", "wrong_facets"),
        (lambda d: d["questions"][0].update(facet="age"), "/questions/0/facet", "unknown_value"),
        (lambda d: d["questions"][1].update(id="purpose"), "/questions", "duplicate"),
        (lambda d: d["questions"][0]["options"][1].update(id="grow"), "/questions/0/options", "duplicate"),
        (lambda d: d["questions"][0]["options"][1]["texts"].pop("zh"), "/questions/0/options/1/texts/zh", "missing"),
        (lambda d: d["capacity"]["facts"].pop("reserve_months"), "/capacity/facts/reserve_months", "missing"),
        (lambda d: d["capacity"]["facts"].update(age={}), "/capacity/facts/age", "unknown_value"),
        (
            lambda d: d["capacity"]["facts"]["dependants"].update(points=[[1, 5], [1, 6]]),
            "/capacity/facts/dependants/points",
            "wrong_order",
        ),
        (
            lambda d: d["capacity"]["facts"]["dependants"].update(points=[[1], 2]),
            "/capacity/facts/dependants/points/0",
            "wrong_type",
        ),
        (
            lambda d: d["contradictions"][0]["first"].update(question="mood"),
            "/contradictions/0/first/question",
            "unknown_value",
        ),
        (
            lambda d: d["contradictions"][0]["first"].update(options=["mood"]),
            "/contradictions/0/first/options",
            "unknown_value",
        ),
    ],
)
def test_a_questionnaire_that_cannot_work_is_refused_with_the_place(change, pointer, code):
    document = copy.deepcopy(default_document("questionnaire"))
    change(document)
    with pytest.raises(InvalidDocument) as error:
        parse_questionnaire(document)
    assert (pointer, code) in {(p.pointer, p.code) for p in error.value.problems}


@pytest.mark.parametrize(
    ("customer", "score", "limit"),
    [
        ({}, 70, Limit.TOLERANCE),
        ({"tolerance": 59.99}, 59, Limit.TOLERANCE),
        ({"capacity": 33}, 33, Limit.CAPACITY),
        ({"horizon_years": 2.9}, 20, Limit.HORIZON),
        ({"horizon_years": 3.0}, 40, Limit.HORIZON),
        ({"horizon_years": 4.0}, 40, Limit.HORIZON),
        ({"horizon_years": 4.0, "tolerance": 40}, 40, Limit.TOLERANCE),
        ({"liquidity_need": 0.1}, 60, Limit.LIQUIDITY),
        ({"liquidity_need": 0.09}, 70, Limit.TOLERANCE),
        ({"liquidity_need": 0.8}, 20, Limit.LIQUIDITY),
        ({"liquidity_need": None}, 70, Limit.TOLERANCE),
        ({"has_valid_profile": False}, 30, Limit.NO_PROFILE),
        ({"has_valid_profile": False, "segment": "high_net_worth"}, 40, Limit.NO_PROFILE),
        ({"has_valid_profile": False, "segment": "small_business"}, 20, Limit.NO_PROFILE),
        ({"has_valid_profile": False, "segment": "something_new"}, 30, Limit.NO_PROFILE),
        ({"tolerance": None}, 30, Limit.NO_PROFILE),
        ({"capacity": None}, 30, Limit.NO_PROFILE),
        ({"horizon_years": None}, 30, Limit.NO_PROFILE),
    ],
)
def test_the_score_is_the_lowest_of_what_applies(customer, score, limit):
    result = risk_scores(default_policy(), people(customer))
    assert result.score[0] == score
    assert result.limit[0] == limit
    assert result.advised[0] == (limit is not Limit.NO_PROFILE)


def test_classes_begin_above_every_twentieth_point():
    assert risk_class_of(np.array([0, 1, 20, 21, 40, 41, 60, 61, 80, 81, 100])).tolist() == [
        *(1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5),
    ]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_no_score_exceeds_tolerance_or_capacity_and_no_indication_exceeds_its_class(seed):
    crowd = mixed_people(seed, 300, ("a", "b", "c"))
    result = risk_scores(default_policy(), crowd)
    lower = np.minimum(crowd.tolerance, crowd.capacity)[result.advised]
    assert (result.score[result.advised] <= lower + 0.001).all()
    assert (result.score[~result.advised] <= 40).all()
