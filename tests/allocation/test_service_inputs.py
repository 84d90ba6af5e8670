"""Ages, and the keys that recommendations are compared by."""

import itertools
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.allocation.engine.defaults import default_assumptions, default_policy
from app.allocation.inputs import Inputs, age_on
from app.allocation.records import NO_PORTFOLIO, compute, portfolio_keys, standing_keys

SHARES = st.sampled_from([0.0, 0.2, 1.0])


@pytest.mark.parametrize(
    ("birth_on", "today", "age"),
    [
        (date(1986, 3, 2), date(2026, 3, 2), 40),
        (date(1986, 3, 3), date(2026, 3, 2), 40 - 1 / 365),
        (date(2004, 2, 29), date(2026, 2, 28), 22 - 1 / 365),
        (date(2004, 2, 29), date(2026, 3, 1), 22),
        (date(2004, 2, 29), date(2028, 2, 29), 24),
        (date(2030, 1, 1), date(2026, 3, 2), 0),
        (None, date(2026, 3, 2), None),
    ],
)
def test_an_age_is_whole_on_birthdays_only(birth_on, today, age):
    assert age_on(birth_on, today) == (age if age is None else pytest.approx(age, abs=1e-4))


@given(st.dates(date(1900, 1, 1), date(2020, 12, 31)), st.dates(date(2021, 1, 1), date(2040, 12, 31)))
def test_nobody_grows_younger_and_nobody_ages_early(birth_on, today):
    ages = [age_on(birth_on, today + timedelta(days=days)) for days in range(3)]
    assert ages == sorted(ages)
    birthday = (today.month, today.day) >= (birth_on.month, birth_on.day)
    assert int(ages[0]) == today.year - birth_on.year - (not birthday)


people = st.builds(
    Inputs,
    kind=st.just("individual"),
    segment=st.sampled_from(["mass", "high_net_worth"]),
    stage=st.sampled_from(["prospect", "mature"]),
    age=st.sampled_from([None, 30.0, 68.0]),
    tolerance=st.integers(0, 100).map(float),
    capacity=st.integers(0, 100).map(float),
    horizon_years=st.sampled_from([1.0, 15.0]),
    liquidity_need=SHARES,
    has_valid_profile=st.booleans(),
    minimum_cash=SHARES,
)


@given(st.lists(people, min_size=2, max_size=8))
def test_keys_are_equal_exactly_if_what_they_name_is_equal(described):
    result = compute(default_policy(), default_assumptions(), described).result
    portfolios, standings = portfolio_keys(result), standing_keys(result)
    for i, j in itertools.combinations(range(len(described)), 2):
        same = np.array_equal(result.weights[i], result.weights[j], equal_nan=True)
        assert (portfolios[i] == portfolios[j]) is same
        columns = (result.basis, result.risk_class, result.risk_level, result.limit)
        assert (standings[i] == standings[j]) is all(c[i] == c[j] for c in columns)
    assert [key == NO_PORTFOLIO for key in portfolios] == result.status.astype(bool).tolist()
