"""View documents and the prior of assumption documents: what they say, what is refused and where, and what follows."""

import copy
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allocation.engine.assumptions import parse_assumptions
from app.allocation.engine.defaults import default_assumptions, default_document
from app.allocation.engine.problems import InvalidDocument
from app.allocation.engine.views import (
    apply_views,
    contradictory_certainties,
    differences,
    excessive_returns,
    parse_views,
    unknown_classes,
)
from tests.allocation.engine_cases import assumption_document

ASSUMPTIONS = default_assumptions()
CODES = ASSUMPTIONS.codes
ENOUGH = {"long": {"gold": 1}, "expected_return": 0.05}


def equilibrium(**changed):
    return {**default_document("assumptions"), "prior": "equilibrium", "market_risk_aversion": 2.5, **changed}


EITHER_PRIOR = pytest.mark.parametrize(
    "assumptions", [ASSUMPTIONS, parse_assumptions(equilibrium())], ids=lambda a: a.prior.kind
)


def document(*views, **fields):
    return {"version": "2026-03", "views": list(views), **fields}


def says(long, expected_return, short=None, **fields):
    return {"long": long, "expected_return": expected_return, **({"short": short} if short else {}), **fields}


def certain(long, expected_return, short=None):
    return says(long, expected_return, short, confidence=1)


def problems_of(parse, content):
    with pytest.raises(InvalidDocument) as error:
        parse(content)
    return [(problem.pointer, problem.code) for problem in error.value.problems]


def earned(assumptions, code):
    return float(assumptions.expected_returns[assumptions.codes.index(code)])


def moved_by(*views, assumptions=ASSUMPTIONS, **fields):
    return differences(assumptions, apply_views(assumptions, parse_views(document(*views, **fields))))


@pytest.mark.parametrize(
    ("content", "pointer", "code"),
    [
        ({}, "/version", "missing"),
        (document(views=None, tau=0.05), "/tau", "unknown_field"),
        (document(uncertainty="gut"), "/uncertainty", "unknown_value"),
        (document(7), "/views/0", "wrong_type"),
        (document({"long": {"gold": 1}}), "/views/0/expected_return", "missing"),
        (document(says({"gold": 1}, None)), "/views/0/expected_return", "missing"),
        (document(says({"gold": 1}, 7.0)), "/views/0/expected_return", "out_of_range"),
        (document(says({"gold": 1}, float("nan"))), "/views/0/expected_return", "out_of_range"),
        (document(says({"gold": 1}, float("-inf"))), "/views/0/expected_return", "out_of_range"),
        (document(says({"gold": 1}, 10**400)), "/views/0/expected_return", "out_of_range"),
        (document(says({"gold": 1}, True)), "/views/0/expected_return", "wrong_type"),
        (document(says({"gold": 1}, "5 %")), "/views/0/expected_return", "wrong_type"),
        (document(says({}, 0.05)), "/views/0/long", "missing"),
        (document(says(None, 0.05)), "/views/0/long", "missing"),
        (document(says(["gold"], 0.05)), "/views/0/long", "wrong_type"),
        (document(says({"gold": 0.5, "bonds": 0.4}, 0.05)), "/views/0/long", "weights_sum"),
        (document(says({"gold": 1}, 0.05, {"cash": 2})), "/views/0/short/cash", "out_of_range"),
        (document(says({"gold": 1}, 0.05, {"cash": -1})), "/views/0/short/cash", "out_of_range"),
        (document(says({"gold": None}, 0.05)), "/views/0/long/gold", "wrong_type"),
        (document(says({"gold": float("nan")}, 0.05)), "/views/0/long/gold", "out_of_range"),
        (document(says({"Gold!": 1}, 0.05)), "/views/0/long/Gold!", "bad_code"),
        (document(says({"gold": 1}, 0.05, {"gold": 1})), "/views/0/short/gold", "duplicate"),
        (document(says({f"c{n}": 1 / 41 for n in range(41)}, 0.05)), "/views/0/long", "wrong_length"),
        (document(says({"gold": 1}, 0.05, confidence=1.01)), "/views/0/confidence", "out_of_range"),
        (document(says({"gold": 1}, 0.05, weight=1)), "/views/0/weight", "unknown_field"),
        (document(says({"gold": 1}, 0.05, source=3)), "/views/0/source", "wrong_type"),
        (document(*[ENOUGH] * 101), "/views", "wrong_length"),
        (document(outlook={"gold": "up"}), "/outlook/gold", "unknown_value"),
        (document(outlook={"gold": None}), "/outlook/gold", "unknown_value"),
        (document(outlook=["gold"]), "/outlook", "wrong_type"),
        (document(outlook_size=0.21), "/outlook_size", "out_of_range"),
        (document(outlook_confidence=-0.1), "/outlook_confidence", "out_of_range"),
        (document({**ENOUGH, "confidence": 0.9}, uncertainty="proportional"), "/views/0/confidence", "not_used"),
        (document(uncertainty="proportional", outlook_confidence=0.9), "/outlook_confidence", "not_used"),
    ],
)
def test_what_is_wrong_in_views_is_named_once_with_its_place(content, pointer, code):
    assert problems_of(parse_views, content) == [(pointer, code)]


@pytest.mark.parametrize("content", [None, [], "text", 5])
def test_something_else_than_views_is_refused(content):
    assert ("", "wrong_type") in problems_of(parse_views, content)


def test_a_hundred_views_are_read_and_everything_wrong_is_reported_together():
    assert len(parse_views(document(*[ENOUGH] * 100)).views) == 100
    wrong = document(says({"gold": 2}, 9), outlook={"cash": 1}, outlook_size="big")
    assert {pointer for pointer, _ in problems_of(parse_views, wrong)} == {
        *("/views/0/long/gold", "/views/0/expected_return", "/outlook/cash", "/outlook_size"),
    }


def test_classes_that_the_assumptions_lack_are_named_and_have_no_effect():
    views = parse_views(
        document(
            says({"art": 1}, 0.1), says({"gold": 1}, 0.1, {"wine": 1}), outlook={"gold": "neutral", "yen": "rising"}
        )
    )
    found = [(problem.pointer, problem.code) for problem in unknown_classes(views, ASSUMPTIONS)]
    places = "/views/0/long/art", "/views/1/short/wine", "/outlook/yen"
    assert found == [(place, "unknown_asset_class") for place in places]
    assert apply_views(ASSUMPTIONS, views) is ASSUMPTIONS


def test_the_shipped_views_and_those_without_confidence_or_direction_change_nothing_at_all():
    assert apply_views(ASSUMPTIONS, parse_views(default_document("views"))) is ASSUMPTIONS
    silent = document({**ENOUGH, "confidence": 0}, outlook={"gold": "neutral"})
    assert apply_views(ASSUMPTIONS, parse_views(silent)) is ASSUMPTIONS
    unsure = document(outlook={"gold": "rising"}, outlook_confidence=0)
    assert apply_views(ASSUMPTIONS, parse_views(unsure)) is ASSUMPTIONS


@EITHER_PRIOR
def test_an_outlook_moves_its_class_by_its_size_times_its_confidence(assumptions):
    found = moved_by(assumptions=assumptions, outlook={"gold": "rising"}, outlook_size=0.03, outlook_confidence=0.4)
    assert found["gold"] == pytest.approx(0.012)
    assert found["bonds"] > 0  # correlated with gold
    fallen = moved_by(assumptions=assumptions, outlook={"gold": "falling"}, outlook_size=0.03, outlook_confidence=0.4)
    assert [fallen[code] for code in CODES] == pytest.approx([-found[code] for code in CODES])


def test_proportional_uncertainty_believes_every_view_by_half_whatever_else_is_said():
    assert moved_by(outlook={"gold": "rising"}, uncertainty="proportional")["gold"] == pytest.approx(0.01)
    views = parse_views(document(GOLD_5, outlook={"cash": "falling"}, outlook_confidence=0.9))
    half = parse_views(document(ENOUGH, outlook={"cash": "falling"}))
    assert apply_views(ASSUMPTIONS, dataclasses.replace(views, proportional=True)) == apply_views(ASSUMPTIONS, half)


@EITHER_PRIOR
def test_absolute_and_relative_views_held_for_certain_come_true(assumptions):
    views = document(
        certain({"domestic_equity": 0.8, "emerging_equity": 0.2}, 0.10), certain({"gold": 1}, 0.01, {"cash": 1})
    )
    after = apply_views(assumptions, parse_views(views))
    equity = 0.8 * earned(after, "domestic_equity") + 0.2 * earned(after, "emerging_equity")
    assert equity == pytest.approx(0.10, abs=1e-12)
    assert earned(after, "gold") - earned(after, "cash") == pytest.approx(0.01, abs=1e-12)
    assert after.identity != assumptions.identity
    assert after.asset_classes == assumptions.asset_classes  # what was published stays to be shown
    np.testing.assert_array_equal(after.covariance, assumptions.covariance)


def test_an_outlook_and_a_view_on_one_class_both_count():
    view = says({"gold": 1}, earned(ASSUMPTIONS, "gold") + 0.04, confidence=0.5)
    both = moved_by(view, outlook={"gold": "rising"})["gold"]  # to +4 % and to +2 %, each half believed
    assert both == pytest.approx(0.02)
    assert moved_by(view)["gold"] == pytest.approx(0.02)
    assert moved_by(outlook={"gold": "rising"})["gold"] == pytest.approx(0.01)
    against = moved_by(view, outlook={"gold": "falling"})["gold"]
    assert against == pytest.approx((0.04 - 0.02) / 3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_views_in_the_document_is_irrelevant(seed, random):
    assumptions = parse_assumptions(assumption_document(seed, 6))
    views = [says({f"class_{n}": 1}, random.uniform(-0.1, 0.2), confidence=random.random()) for n in range(4)]
    first = moved_by(*views, assumptions=assumptions)
    random.shuffle(views)
    assert moved_by(*views, assumptions=assumptions) == pytest.approx(first, abs=1e-12)


GOLD_5, CASH_2 = certain({"gold": 1}, 0.05), certain({"cash": 1}, 0.02)


@pytest.mark.parametrize(
    ("content", "contradictory"),
    [
        (document(GOLD_5, certain({"gold": 1}, 0.03)), ["/views/1/expected_return"]),
        (document(GOLD_5, CASH_2, certain({"gold": 1}, 0.04, {"cash": 1})), ["/views/2/expected_return"]),
        (document(GOLD_5, outlook={"gold": "rising", "cash": "rising"}, outlook_confidence=1), ["/outlook/gold"]),
        (document(GOLD_5, GOLD_5, CASH_2, certain({"gold": 1}, 0.03, {"cash": 1})), []),
        (document(GOLD_5, says({"gold": 1}, 0.03, confidence=0.99)), []),
        (document({**ENOUGH}, says({"gold": 1}, 0.03), uncertainty="proportional"), []),
        (document(*[certain({code: 1}, 0.05) for code in CODES]), []),
    ],
)
def test_certain_views_must_agree(content, contradictory):
    found = contradictory_certainties(parse_views(content), ASSUMPTIONS)
    assert [(problem.pointer, problem.code) for problem in found] == [(p, "contradictory") for p in contradictory]


def test_a_contradiction_says_what_the_views_before_it_leave():
    (found,) = contradictory_certainties(parse_views(document(GOLD_5, certain({"gold": 1}, 0.03))), ASSUMPTIONS)
    assert found.detail == "3.0000% contradicts the certain views before it, which leave 5.0000%"


@pytest.mark.parametrize("confidence", [0.1, 1])
def test_no_view_can_move_a_class_without_volatility(confidence):
    content = copy.deepcopy(default_document("assumptions"))
    content["asset_classes"][-1]["volatility"] = 0.0
    riskless = parse_assumptions(content)
    views = parse_views(document(says({"cash": 1}, 0.05, confidence=confidence), certain({"gold": 1}, 0.05)))
    found = contradictory_certainties(views, riskless)
    assert [(problem.pointer, problem.code) for problem in found] == [("/views/0/expected_return", "no_volatility")]
    after = apply_views(riskless, views)
    assert (earned(after, "cash"), earned(after, "gold")) == pytest.approx((earned(riskless, "cash"), 0.05))
    same = parse_views(document(says({"cash": 1}, earned(riskless, "cash"), confidence=confidence)))
    assert contradictory_certainties(same, riskless) == []


def test_views_that_carry_a_class_beyond_all_measure_are_named():
    assert excessive_returns(parse_views(document(GOLD_5, CASH_2)), ASSUMPTIONS) == []
    wild = document(certain({"bonds": 1}, 0.9, {"cash": 1}))
    (found,) = excessive_returns(parse_views(wild), ASSUMPTIONS)
    assert (found.pointer, found.code) == ("/views", "out_of_range")
    assert found.detail.endswith(": real_estate 114.4%, gold 141.7%")


def test_an_outlook_may_not_add_to_figures_that_are_as_high_as_any_may_be():
    content = copy.deepcopy(default_document("assumptions"))
    content["asset_classes"][4] |= {"expected_return": 0.99, "return_measure": "arithmetic"}
    views = parse_views(document(outlook={"gold": "rising"}, outlook_size=0.02, outlook_confidence=1))
    (found,) = excessive_returns(views, parse_assumptions(content))
    assert (found.pointer, found.detail.partition(": ")[2]) == ("/outlook", "gold 101.0%")
    content["asset_classes"][4] |= {"volatility": 0.5, "return_measure": "compound"}  # 111.5 % as it stands
    assert excessive_returns(parse_views(document()), parse_assumptions(content)) == []


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"prior": "historic"}, "/prior", "unknown_value"),
        ({"market_risk_aversion": None}, "/market_risk_aversion", "missing"),
        ({"market_risk_aversion": 0}, "/market_risk_aversion", "out_of_range"),
        ({"market_risk_aversion": -1}, "/market_risk_aversion", "out_of_range"),
        ({"market_risk_aversion": 50.1}, "/market_risk_aversion", "out_of_range"),
        ({"market_risk_aversion": float("nan")}, "/market_risk_aversion", "out_of_range"),
        ({"market_risk_aversion": False}, "/market_risk_aversion", "wrong_type"),
        (
            {"market_risk_aversion": 45, "riskless_return": 0.5},
            "/market_risk_aversion",
            "out_of_range",
        ),  # equity above 100 %
        ({"riskless_return": 0.6}, "/riskless_return", "out_of_range"),
        ({"riskless_return": "3 %"}, "/riskless_return", "wrong_type"),
    ],
)
def test_what_is_wrong_in_a_prior_is_named_with_its_place(changed, pointer, code):
    assert problems_of(parse_assumptions, equilibrium(**changed)) == [(pointer, code)]


def test_in_equilibrium_each_class_earns_what_its_risk_in_the_market_is_worth():
    found = parse_assumptions(equilibrium(riskless_return=0.03))
    market = np.array([c.market_weight for c in found.asset_classes])
    np.testing.assert_allclose(found.expected_returns, 0.03 + 2.5 * found.covariance @ market, rtol=0, atol=1e-15)
    assert found.asset_classes == ASSUMPTIONS.asset_classes
    assert (found.identity, found) != (ASSUMPTIONS.identity, ASSUMPTIONS)
    for other in (equilibrium(), equilibrium(riskless_return=0.03, market_risk_aversion=2.6)):
        assert parse_assumptions(other).identity != found.identity


def test_published_returns_are_the_prior_unless_equilibrium_is_asked_for():
    noted = parse_assumptions(equilibrium(prior="published", riskless_return=0.03))
    assert noted.identity == ASSUMPTIONS.identity
    assert noted.expected_returns.tolist() == [c.expected_return for c in ASSUMPTIONS.asset_classes]
    assert parse_assumptions({**default_document("assumptions"), "prior": None}) == ASSUMPTIONS


def test_sets_with_the_same_figures_under_other_names_differ_but_share_their_portfolios():
    other = dataclasses.replace(ASSUMPTIONS, currency="EUR")
    assert other != ASSUMPTIONS
    assert other.identity == ASSUMPTIONS.identity
