"""Everybody has a portfolio under the shipped documents, and who would be left without one is found exactly."""

import numpy as np
import pytest

from app.allocation.engine.defaults import default_assumptions, default_document, default_policy
from app.allocation.engine.people import Kind
from app.allocation.engine.policy import POINTS_PER_CLASS, STAGES, parse_policy
from app.allocation.engine.portfolios import FrontierCache
from app.allocation.engine.recommend import recommend
from app.allocation.engine.signatures import growth_steps
from app.allocation.inputs import Inputs, people_from
from app.allocation.versions.feasibility import SEGMENTS, Ages, bands, left_without

GROWN_ROWS = [
    {"age": 30, "growth_maximum": 0.9},
    {"age": 60, "growth_maximum": 0.33},
    {"age": 61, "growth_maximum": 0.1},
]


def policy(**changes):
    return parse_policy({**default_document("policy"), **changes})


def bounded(**bounds):
    return policy(bounds={**default_document("policy")["bounds"], **bounds})


def test_under_the_shipped_documents_nobody_is_left_without_a_portfolio():
    assert left_without(default_policy(), default_assumptions()) == []


@pytest.mark.parametrize(
    "rows", [None, GROWN_ROWS, [{"age": 65, "growth_maximum": 0.5}]], ids=["shipped", "steep", "flat"]
)
def test_all_ages_of_a_band_share_one_cap_and_neighbours_do_not(rows):
    made = policy(glide_path=rows) if rows else default_policy()
    found = bands(made)
    assert (found[0].after, found[-1].up_to) == (None, None)
    assert [band.up_to for band in found[:-1]] == [band.after for band in found[1:]]

    def steps(*ages):
        return growth_steps(made, np.array(ages), np.full(len(ages), Kind.INDIVIDUAL)).tolist()

    caps = []
    for after, up_to in found:
        inside = np.linspace((after or 0) + 1e-3, 130 if up_to is None else up_to, 50)
        [cap] = set(steps(*inside, *([np.nan] if up_to is None else [])))
        caps.append(cap)
    assert caps == sorted(set(caps), reverse=True)
    assert set(caps) == set(steps(*np.linspace(0, 130, 130_001), np.nan))


def test_whoever_the_engine_gives_no_portfolio_because_of_a_conflict_is_named():
    made, given = bounded(domestic_equity={"minimum": 0.5}), default_assumptions()
    groups = [group for group in left_without(made, given) if group.constraints]
    assert groups
    people = [
        (segment, stage, age, score)
        for segment in SEGMENTS
        for stage in STAGES
        for age in (20, 64.9, 65.1, 90, None)
        for score in range(POINTS_PER_CLASS, 101, POINTS_PER_CLASS)
    ]
    rows = [
        Inputs(SEGMENTS[segment], segment, stage, age, score, score, 100.0, 0.0, has_valid_profile=True)
        for segment, stage, age, score in people
    ]
    result = recommend(made, given, people_from(rows), FrontierCache())
    for (segment, stage, age, _), place in zip(people, result.signature.tolist(), strict=True):
        conflict = result.portfolios[place].conflict
        named = [g.constraints for g in groups if g.horizon_under_years is None and covers(g, segment, stage, age)]
        assert named == ([conflict] if conflict else [])


def covers(group, segment, stage, age):
    after, up_to = group.ages
    if (group.segment, stage in group.stages) != (segment, True):
        return False
    known = np.inf if age is None else age
    return (after is None or known > after) and (up_to is None or known <= up_to)


def test_a_conflict_of_a_stage_names_segment_stage_age_and_limits():
    made = policy(
        stages={"decline": {"excluded": ["cash", "bonds"]}},
        bounds={"gold": {"maximum": 0.1}},
        horizon_rules=[{"under_years": 3, "maximum_class": "C1", "only": ["cash", "gold"]}],
    )
    found = {(g.segment, g.horizon_under_years): g for g in left_without(made, default_assumptions()) if g.constraints}
    # Everything but cash and bonds counts as growth, so that the cap of age leaves room for no portfolio.
    retired = found["mass", None]
    assert (retired.stages, retired.ages) == (("decline",), Ages(None, None))
    assert "growth.maximum" in retired.constraints
    assert retired.who == "mass, at decline"
    soon = found["affluent", 3]
    assert soon.who == "affluent, at decline, with a horizon under 3 years"
    assert {"cash.maximum", "gold.maximum"} <= set(soon.constraints)
    assert "growth.maximum" not in found["small_business", 3].constraints
    assert soon.data() == {
        "segment": "affluent", "stages": ["decline"], "ages": {"after": None, "up_to": None},
        "horizon_under_years": 3, "constraints": list(soon.constraints),
    }  # fmt: skip


def test_a_least_risky_portfolio_above_the_ceiling_of_c1_is_told_with_its_volatility():
    made = bounded(gold={"minimum": 0.3, "maximum": 0.5})
    found = left_without(made, default_assumptions())
    assert {group.constraints for group in found if group.volatility} == {()}
    assert all(group.volatility > made.volatility_ceilings[0] for group in found if group.volatility)
    assert {group.segment for group in found if group.volatility} == set(SEGMENTS)
    rows = [Inputs("individual", "mass", "mature", 30, 20.0, 20.0, 100.0, 0.0, has_valid_profile=True)]
    assert recommend(made, default_assumptions(), people_from(rows), FrontierCache()).status.tolist() == [1]
