"""The portfolios of a simulated institution: what a wealth manager would look at before letting anybody see them."""

from collections import defaultdict
from datetime import date, timedelta
from random import Random

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from app.allocation.engine.defaults import default_assumptions, default_document, default_policy, default_questionnaire
from app.allocation.engine.portfolios import FrontierCache
from app.allocation.engine.reasons import reasons_for
from app.allocation.engine.recommend import Recommendations, Status, recommend
from app.allocation.inputs import Inputs, age_on, people_from
from app.allocation.profiles import profile_inputs, score_complete
from app.demo.profiles import answers_of
from app.demo.simulate import simulate

pytestmark = pytest.mark.evidence

END = date(2026, 3, 1)
BANDS = ((30, "under 30"), (45, "30 to 44"), (60, "45 to 59"), (75, "60 to 74"), (200, "75 and over"))
WISHES = (
    ("cash",),
    ("cash",),
    ("cash",),
    ("gold",),
    ("emerging_equity",),
    ("bonds",),
    ("cash",),
    ("cash", "bonds"),
    ("cash", "bonds", "gold"),
)


RARE = Inputs(
    "individual",
    "mass",
    "growth",
    age=45,
    tolerance=21.0,
    capacity=60.0,
    horizon_years=12.0,
    liquidity_need=0.0,
    has_valid_profile=True,
    excluded=("cash",),
)
"""Somebody whose aim lies just below the least risk there is: with the shipped figures no other score comes there, and
the questionnaire, whose points go in steps, does not give that one."""


def inputs_of(customer, truth) -> Inputs:
    """A customer at the end of the simulation. Some have wishes, some are about to leave, some never answered."""
    draws = Random(f"circumstances of {customer.external_id}")
    age = age_on(customer.birth_on, END)
    stage = next(stage for first, stage in reversed(truth.stages) if first <= END)
    answered = {}
    if stage not in ("prospect", "trial") or draws.random() < 0.5:
        answers = answers_of(customer.external_id, customer.birth_on, customer.segment, END)
        answered = profile_inputs(score_complete(default_questionnaire(), [answers], "/answers"), 0)
    return Inputs(
        kind=customer.kind,
        segment=customer.segment,
        stage=stage,
        age=None if draws.random() < 0.03 else age,
        announced_withdrawal=draws.choice((0.1, 0.35, 1.0)) if draws.random() < 0.04 else 0.0,
        excluded=draws.choice(WISHES) if draws.random() < 0.25 else (),
        minimum_cash=draws.choice((0.05, 0.2, 0.4)) if draws.random() < 0.06 else 0.0,
        **answered,
    )


def means(result: Recommendations, groups: dict[str, list[int]]) -> Table:
    """Mean weights in percent of everybody in each group who has a portfolio."""
    table = Table("group", "customers", "class", "risk", *result.codes)
    for name, rows in groups.items():
        held = [i for i in rows if result.status[i] == Status.OK]
        average = result.weights[held].mean(axis=0) * 100
        figures = f"{result.risk_class[held].mean():.1f}", f"{result.volatility[held].mean() * 100:.1f}"
        table.add_row(name, f"{len(held):,}", *figures, *(f"{weight:.1f}" for weight in average))
    return table


def test_the_portfolios_of_an_institution_are_sensible_and_every_reason_is_given():
    institution = simulate(customers=6_000, years=3, end=END + timedelta(days=1))
    truths = {truth.external_id: truth for truth in institution.truth}
    crowd = [inputs_of(c, truths[c.external_id]) for c in institution.customers] + [RARE]
    policy, assumptions = default_policy(), default_assumptions()
    people = people_from(crowd)
    result = recommend(policy, assumptions, people, FrontierCache())

    groups: dict[str, list[int]] = defaultdict(list)
    for i, one in enumerate(crowd):
        band = "age unknown" if one.age is None else next(name for limit, name in BANDS if one.age < limit)
        for name in (f"age {band}", f"segment {one.segment}", f"stage {one.stage}"):
            groups[name].append(i)
    Console(width=180).print(means(result, dict(sorted(groups.items()))))

    present = result.status == Status.OK
    assert (result.risk_level[present] <= result.risk_class[present]).all(), "no R above C"
    assert np.allclose(result.weights[present].sum(axis=1), 1)
    given = {
        reason.code
        for reasons in reasons_for(policy, assumptions, people, result, range(len(crowd)))
        for reason in reasons
    }
    assert set(default_document("reasons")["reasons"]) - given == set()

    growth = result.weights @ assumptions.growth

    def mean_growth(name: str) -> float:
        return float(np.nanmean(growth[groups[name]]))

    by_age = [mean_growth(f"age {name}") for _, name in BANDS]
    assert by_age == sorted(by_age, reverse=True), "the older, the less growth"
    businesses = [i for i in groups["segment small_business"] if present[i]]
    assert result.weights[businesses, result.codes.index("cash")].min() >= 0.15
    domestic, emerging = (
        result.weights[present][:, result.codes.index(c)].mean() for c in ("domestic_equity", "emerging_equity")
    )
    assert domestic > emerging
