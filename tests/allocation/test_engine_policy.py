"""The policy document, and which constraints it lays on whom."""

import copy

import numpy as np
import pytest

from app.allocation.engine.constraints import Group
from app.allocation.engine.defaults import default_assumptions, default_document, default_policy
from app.allocation.engine.people import Kind, Restriction
from app.allocation.engine.policy import parse_policy, unmatched_classes
from app.allocation.engine.portfolios import FrontierCache
from app.allocation.engine.problems import InvalidDocument
from app.allocation.engine.profile import risk_scores
from app.allocation.engine.recommend import recommend
from app.allocation.engine.signatures import constraints_of, growth_steps, signatures_of
from tests.allocation.engine_cases import mixed_people, people

POLICY, ASSUMPTIONS = default_policy(), default_assumptions()
CODES = ASSUMPTIONS.codes
CACHE = FrontierCache()


def constraints_for(**customer):
    crowd = people(customer)
    (signature,), _ = signatures_of(POLICY, crowd, risk_scores(POLICY, crowd))
    return constraints_of(POLICY, ASSUMPTIONS, signature)


def upper(constraints, code):
    return constraints.upper[CODES.index(code)]


def lower(constraints, code):
    return constraints.lower[CODES.index(code)]


def group(constraints, name):
    return next((g for g in constraints.groups if g.name == name), None)


@pytest.mark.parametrize(
    ("age", "percent"),
    [(18, 90), (40, 90), (40.1, 85), (52.5, 70), (65, 50), (67, 40), (68.5, 40), (72, 30), (99, 30), (np.nan, 30)],
)
def test_the_growth_cap_falls_with_age_in_steps_and_is_strictest_for_an_unknown_age(age, percent):
    assert growth_steps(POLICY, np.array([age]), np.array([Kind.INDIVIDUAL])).tolist() == [percent // 5]


def test_a_business_has_no_glide_path():
    assert growth_steps(POLICY, np.array([70.0, np.nan]), np.array([Kind.BUSINESS] * 2)).tolist() == [20, 20]


def test_older_never_means_a_higher_cap():
    ages = np.linspace(0, 120, 2401)
    assert (np.diff(growth_steps(POLICY, ages, np.zeros(len(ages), np.int8))) <= 0).all()


def test_alternatives_are_for_high_net_worth_only():
    for segment in ("mass", "affluent", "small_business", "unheard_of"):
        constraints = constraints_for(segment=segment)
        assert [upper(constraints, code) for code in POLICY.alternatives] == [0, 0, 0]
        assert group(constraints, "alternatives") is None
    rich = constraints_for(segment="high_net_worth")
    assert upper(rich, "real_estate") == 0.1
    assert upper(rich, "hedge_funds") == 0.1
    assert group(rich, "alternatives").maximum == 0.2


def test_prospects_and_trials_are_offered_no_hedge_funds():
    for stage in ("prospect", "trial"):
        constraints = constraints_for(segment="high_net_worth", stage=stage)
        assert upper(constraints, "hedge_funds") == 0
        assert upper(constraints, "real_estate") == 0.1
        assert group(constraints, "alternatives") is None  # 20 % and 10 % are all that is left
    assert constraints_for(stage="prospect") == constraints_for(stage="decline")


def test_a_small_business_keeps_cash_and_liquid_assets():
    constraints = constraints_for(segment="small_business", is_business=True)
    assert lower(constraints, "cash") == 0.15
    assert group(constraints, "growth") is None
    assert group(constraints, "liquid") is None  # without alternatives everything it may hold is liquid


def test_a_liquid_minimum_binds_where_something_illiquid_may_be_held():
    document = default_document("policy")
    document["segments"]["high_net_worth"]["minimum_liquid"] = 0.8
    policy = parse_policy(document)
    crowd = people({"segment": "high_net_worth"})
    (signature,), _ = signatures_of(policy, crowd, risk_scores(policy, crowd))
    liquid = group(constraints_of(policy, ASSUMPTIONS, signature), "liquid")
    assert liquid == Group("liquid", (0, 1, 2, 4, 5, 7), 0.8, 1.0)


def test_a_short_horizon_leaves_cash_and_bonds():
    constraints = constraints_for(horizon_years=2.0)
    assert {code for code in CODES if upper(constraints, code) > 0} == {"cash", "bonds"}


def test_an_indication_knows_no_horizon():
    assert upper(constraints_for(horizon_years=2.0, has_valid_profile=False), "domestic_equity") == 1


@pytest.mark.parametrize(("withdrawal", "cash"), [(None, 0), (0, 0), (0.05, 0.05), (0.051, 0.1), (1, 1), (7, 1)])
def test_an_announced_withdrawal_is_kept_in_cash_in_steps_of_five_points(withdrawal, cash):
    assert lower(constraints_for(announced_withdrawal=withdrawal), "cash") == pytest.approx(cash)


def test_personal_restrictions_exclude_classes_and_keep_cash():
    constraints = constraints_for(restriction=Restriction(("gold", "not_in_this_set"), 0.12345))
    assert upper(constraints, "gold") == 0
    assert lower(constraints, "cash") == 0.124
    assert lower(constraints_for(segment="small_business", restriction=Restriction((), 0.1)), "cash") == 0.15


def test_every_customer_gets_the_signature_of_their_own():
    crowd = mixed_people(3, 400, CODES)
    signatures, places = signatures_of(POLICY, crowd, risk_scores(POLICY, crowd))
    assert len(set(signatures)) == len(signatures)
    for row in range(0, 400, 13):
        alone = crowd.take([row])
        assert signatures_of(POLICY, alone, risk_scores(POLICY, alone))[0] == [signatures[places[row]]]


def test_the_two_ways_to_find_distinct_signatures_agree():
    crowd = mixed_people(4, 400, CODES)
    many = mixed_people(4, 20_000, CODES)  # enough to use a table instead of sorting
    some, _ = signatures_of(POLICY, crowd, risk_scores(POLICY, crowd))
    signatures, places = signatures_of(POLICY, many, risk_scores(POLICY, many))
    assert len(set(signatures)) == len(signatures)
    assert np.unique(places).tolist() == list(range(len(signatures)))
    one = many.take([777])
    assert signatures_of(POLICY, one, risk_scores(POLICY, one))[0] == [signatures[places[777]]]
    assert some


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        (lambda d: d.pop("segments"), "/segments", "missing"),
        (lambda d: d["segments"].pop("default"), "/segments", "missing"),
        (lambda d: d.update(volatility_ceilings=[0.1, 0.2]), "/volatility_ceilings", "wrong_length"),
        (lambda d: d.update(volatility_ceilings=[0.03, 0.02, 0.1, 0.2, 0.3]), "/volatility_ceilings", "wrong_order"),
        (lambda d: d["glide_path"].reverse(), "/glide_path", "wrong_order"),
        (lambda d: d["glide_path"][2].update(growth_maximum=0.8), "/glide_path", "wrong_order"),
        (lambda d: d["horizon_rules"].reverse(), "/horizon_rules", "wrong_order"),
        (lambda d: d["liquidity_rules"].reverse(), "/liquidity_rules", "wrong_order"),
        (lambda d: d["stages"].update(retired={"excluded": []}), "/stages/retired", "unknown_value"),
        (lambda d: d["bounds"].update({"Gold!": {}}), "/bounds/Gold!", "bad_code"),
        (lambda d: d["bounds"].update(gold={"minimum": 0.5, "maximum": 0.1}), "/bounds/gold", "wrong_order"),
        (lambda d: d["bounds"].update(gold={"maximum": 0.12345}), "/bounds/gold/maximum", "not_a_multiple"),
        (lambda d: d.update(bounds=[]), "/bounds", "wrong_type"),
        (lambda d: d.update(profile_valid_days=1.5), "/profile_valid_days", "wrong_type"),
        (lambda d: d.update(indicative_maximum_class="C9"), "/indicative_maximum_class", "unknown_value"),
        (lambda d: d.update(alternatives=["gold", 5]), "/alternatives/1", "bad_code"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_with_the_place(change, pointer, code):
    document = copy.deepcopy(default_document("policy"))
    change(document)
    with pytest.raises(InvalidDocument) as error:
        parse_policy(document)
    assert (pointer, code) in {(p.pointer, p.code) for p in error.value.problems}


def test_classes_that_the_assumptions_lack_are_named():
    document = default_document("policy")
    document["cash_class"] = "money"
    document["alternatives"].append("art")
    found = {(p.pointer, p.code) for p in unmatched_classes(parse_policy(document), ASSUMPTIONS)}
    assert found == {("/cash_class", "missing_cash_class"), ("/alternatives", "unknown_asset_class")}
    assert unmatched_classes(POLICY, ASSUMPTIONS) == []


@pytest.mark.parametrize(("tolerance", "held"), [(20.0, False), (40.0, False), (41.0, True), (60.0, True)])
def test_alternatives_begin_with_the_class_that_the_policy_names(tolerance, held):
    result = recommend(POLICY, ASSUMPTIONS, people({"segment": "high_net_worth", "tolerance": tolerance}), CACHE)
    alternatives = [result.codes.index(code) for code in POLICY.alternatives]
    assert bool(result.weights[0, alternatives].sum() > 0) is held
