"""Recommendations for a crowd: the laws that no customer's portfolio may break."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allocation.engine.assumptions import parse_assumptions
from app.allocation.engine.constraints import Constraints, Group
from app.allocation.engine.defaults import default_assumptions, default_document, default_policy
from app.allocation.engine.people import Restriction
from app.allocation.engine.policy import parse_policy
from app.allocation.engine.portfolios import FrontierCache
from app.allocation.engine.problems import InvalidDocument
from app.allocation.engine.profile import Limit
from app.allocation.engine.recommend import Basis, Status, one_step, recommend
from app.allocation.engine.rounding import UNITS, round_weights
from tests.allocation.engine_cases import assumption_document, mixed_people, people

POLICY, ASSUMPTIONS = default_policy(), default_assumptions()
CODES = ASSUMPTIONS.codes
CACHE = FrontierCache()
BONDS_ONLY = Restriction(("cash", "gold", "domestic_equity", "emerging_equity"))  # a volatility of 3.4 %
seeds = st.integers(0, 10**6)


def recommended(*customers):
    return recommend(POLICY, ASSUMPTIONS, people(*customers), CACHE)


def weight(result, code, row=0):
    return result.weights[row, CODES.index(code)]


def check_laws(policy, assumptions, crowd, result):
    """Everything that holds for every customer whatever the assumptions."""
    fine = result.status == Status.OK
    weights = result.weights[fine]
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(weights * UNITS, np.round(weights * UNITS), atol=1e-9)
    for place, portfolios in enumerate(result.portfolios):
        assert not portfolios.constraints.violated(result.weights[fine & (result.signature == place)]).any()
    assert (result.risk_level <= result.risk_class).all()
    assert (result.risk_level[result.basis == Basis.INDICATIVE] <= 2).all()
    volatility = np.sqrt(((weights @ assumptions.covariance) * weights).sum(axis=1))
    np.testing.assert_allclose(result.volatility[fine], volatility, atol=1e-12)
    np.testing.assert_allclose(result.expected_return[fine], weights @ assumptions.expected_returns, atol=1e-12)
    np.testing.assert_allclose(result.annual_cost[fine], weights @ assumptions.annual_costs, atol=1e-12)
    assert (volatility <= np.array(policy.volatility_ceilings)[result.risk_class[fine] - 1] + 1e-12).all()
    assert np.isnan(result.weights[~fine]).all()
    assert np.isnan(result.volatility[~fine]).all()
    assert (result.risk_level[~fine] == 0).all()
    assert np.isin(result.limit[~fine], [Limit.CLASS_CEILING, Limit.CONFLICT]).all()
    for row in np.flatnonzero(fine & (crowd.restriction == 1)).tolist():
        assert result.weights[row, 0] == 0  # the class that these customers excluded


@settings(max_examples=12, deadline=None)
@given(seeds)
def test_every_portfolio_obeys_every_rule(seed):
    crowd = mixed_people(seed, 400, CODES)
    check_laws(POLICY, ASSUMPTIONS, crowd, recommend(POLICY, ASSUMPTIONS, crowd, CACHE))


@settings(max_examples=6, deadline=None)
@given(seeds, st.integers(3, 40))
def test_any_set_of_up_to_forty_classes_serves(seed, size):
    assumptions = parse_assumptions(assumption_document(seed, size))
    crowd = mixed_people(seed, 25, assumptions.codes)
    check_laws(POLICY, assumptions, crowd, recommend(POLICY, assumptions, crowd, FrontierCache()))


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_one_customer_equals_a_batch_of_one(seed):
    crowd = mixed_people(seed, 60, CODES)
    together = recommend(POLICY, ASSUMPTIONS, crowd, CACHE)
    for row in (0, 17, 59):
        alone = recommend(POLICY, ASSUMPTIONS, crowd.take([row]), FrontierCache())
        for name in ("weights", "expected_return", "volatility", "score", "risk_level", "basis", "status", "limit"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[row])


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_more_tolerance_never_means_less_risk(seed):
    crowd = mixed_people(seed, 40, CODES)
    last = np.full(40, -np.inf)
    for tolerance in (0.0, 7.0, 19.9, 20.0, 20.5, 39.0, 41.0, 60.0, 61.0, 77.0, 100.0):
        tolerant = dataclasses.replace(crowd, tolerance=np.full(40, tolerance))
        result = recommend(POLICY, ASSUMPTIONS, tolerant, CACHE)
        volatility = np.where(result.status == Status.OK, result.volatility, last)
        assert (volatility >= last).all()
        last = volatility


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_older_never_means_more_growth(seed):
    crowd = mixed_people(seed, 40, CODES)
    last = np.full(40, np.inf)
    for age in (25.0, 41.0, 48.0, 55.0, 63.0, 66.0, 69.0, 80.0, np.nan):
        result = recommend(POLICY, ASSUMPTIONS, dataclasses.replace(crowd, age=np.full(40, age)), CACHE)
        growth = np.where(result.status == Status.OK, result.weights @ ASSUMPTIONS.growth, last)
        assert (growth <= last + 0.002).all()  # rounding may move a unit or two
        last = growth


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_a_stage_never_raises_risk(seed):
    crowd = mixed_people(seed, 60, CODES)
    free = recommend(POLICY, ASSUMPTIONS, dataclasses.replace(crowd, stage=np.full(60, 3)), CACHE)
    for stage in (0, 1, 2, 4):
        bound = recommend(POLICY, ASSUMPTIONS, dataclasses.replace(crowd, stage=np.full(60, stage)), CACHE)
        assert (bound.risk_class <= free.risk_class).all()
        fine = (free.status == Status.OK) & (bound.status == Status.OK)
        ceilings = np.array(POLICY.volatility_ceilings)[free.risk_class - 1]
        assert (bound.volatility[fine] <= ceilings[fine]).all()


def test_an_ordinary_customer_is_served_on_the_volatility_of_their_score():
    result = recommended({"tolerance": 50, "capacity": 90})
    assert result.volatility[0] == pytest.approx(0.08, abs=0.001)  # half-way through C3, between 6 % and 10 %
    assert (result.risk_class[0], result.risk_level[0]) == (3, 3)
    assert result.basis[0] == Basis.ADVISED
    assert result.limit[0] == Limit.TOLERANCE


@pytest.mark.parametrize(
    ("customer", "limit"),
    [
        ({"capacity": 50}, Limit.CAPACITY),
        ({"horizon_years": 4}, Limit.HORIZON),
        ({"liquidity_need": 0.3}, Limit.LIQUIDITY),
        ({"has_valid_profile": False}, Limit.NO_PROFILE),
        ({"age": 75}, Limit.AGE),
        ({"age": None}, Limit.AGE),
        ({"announced_withdrawal": 0.8}, Limit.MINIMUM_CASH),
        ({"restriction": Restriction(("domestic_equity", "emerging_equity"))}, Limit.PERMITTED_CLASSES),
        ({"tolerance": 21, "restriction": BONDS_ONLY}, Limit.LEAST_RISK),
        ({"tolerance": 20, "restriction": BONDS_ONLY}, Limit.CLASS_CEILING),
        ({"announced_withdrawal": 0.3, "restriction": Restriction(("cash",))}, Limit.CONFLICT),
    ],
)
def test_the_limit_that_binds_is_named(customer, limit):
    assert recommended(customer).limit[0] == limit


def test_a_closure_announced_is_all_cash():
    assert weight(recommended({"announced_withdrawal": 1.0}), "cash") == 1.0


def test_without_a_suitable_portfolio_there_are_no_weights():
    result = recommended({"tolerance": 5, "restriction": BONDS_ONLY}, {})
    assert result.status.tolist() == [Status.NO_SUITABLE_PORTFOLIO, Status.OK]
    assert np.isnan(result.weights[0]).all()
    assert result.risk_level.tolist()[0] == 0


def test_the_rules_that_conflict_are_named():
    result = recommended({"announced_withdrawal": 0.3, "restriction": Restriction(("cash",))})
    assert set(result.portfolios[0].conflict) == {"cash.minimum", "cash.maximum"}


def test_nobody_at_all_is_a_set_too():
    result = recommend(POLICY, ASSUMPTIONS, people({}).take([]), CACHE)
    assert result.weights.shape == (0, 8)
    assert len(result) == 0
    assert one_step(result, [], 1).weights.shape == (0, 8)


def test_a_step_safer_and_a_step_bolder_lie_on_the_same_frontier():
    result = recommended({"tolerance": 50}, {"tolerance": 5}, {"tolerance": 100, "capacity": 100})
    safer, bolder = one_step(result, [0, 1, 2], -1), one_step(result, [0, 1, 2], 1)
    assert safer.score.tolist()[:2] == [30, 0]
    assert safer.score[2] < 80  # the frontier ends below the class of the boldest, so the step begins where it ends
    assert safer.volatility[2] < result.volatility[2]
    assert bolder.score.tolist() == [70, 25, 100]
    assert safer.volatility[0] < result.volatility[0] < bolder.volatility[0]
    assert bolder.risk_level[0] == 4
    assert safer.differs.tolist() == [True, True, True]
    assert bolder.differs.tolist() == [True, True, False]
    np.testing.assert_allclose(bolder.weights.sum(axis=1), 1.0)


def test_a_policy_whose_cash_class_is_missing_is_refused():
    document = default_document("policy")
    document["cash_class"] = "money"
    with pytest.raises(InvalidDocument, match="money"):
        recommend(parse_policy(document), ASSUMPTIONS, people({}), FrontierCache())


def test_the_cache_keeps_what_was_used_last_and_no_more_than_its_size():
    cache = FrontierCache(size=2)
    for age in (30, 50, 70, 30):
        recommend(POLICY, ASSUMPTIONS, people({"age": age}), cache)
    assert len(cache) == 2


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("segment", np.array([5]), "segment"),
        ("stage", np.array([-1]), "stage"),
        ("tolerance", np.zeros(2), "tolerance"),
    ],
)
def test_columns_that_do_not_fit_are_named(column, value, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(people({}), **{column: value})


def test_an_unknown_stage_is_named():
    with pytest.raises(ValueError, match="unknown stage retired"):
        people({"stage": "retired"})


def test_largest_remainders_get_the_units_that_are_left():
    free = Constraints(("a", "b", "c"), (0, 0, 0), (1, 1, 1))
    units, fine = round_weights(np.array([[1 / 3, 1 / 3, 1 / 3], [0.33349, 0.33326, 0.33325]]), free)
    assert units.tolist() == [[334, 333, 333], [334, 333, 333]]
    assert fine.all()


def test_rounding_gives_way_to_the_limit_of_a_group():
    capped = Constraints(("a", "b", "c"), (0, 0, 0), (1, 1, 1), (Group("growth", (0, 1), 0, 0.5),))
    units, fine = round_weights(np.array([[0.20046, 0.29954, 0.5], [0.2008, 0.2987, 0.5005]]), capped)
    assert units[0].tolist() == [200, 300, 500]
    assert units[:, :2].sum(axis=1).max() <= 500
    assert fine.all()


def test_limits_that_no_whole_units_meet_are_reported():
    narrow = Constraints(("a", "b"), (0, 0), (1, 1), (Group("a", (0,), 0.3002, 0.3008),))
    _, fine = round_weights(np.array([[0.3005, 0.6995]]), narrow)
    assert not fine.any()
