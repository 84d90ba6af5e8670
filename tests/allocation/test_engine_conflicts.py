"""Constraints that no portfolio obeys: those in conflict are named, and no others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from app.allocation.engine.constraints import Constraints, Group, InfeasibleConstraints
from app.allocation.engine.frontier import trace_frontier


def conflict_of(constraints):
    """What tracing a frontier says is in conflict; nothing if there is a frontier."""
    size = len(constraints.codes)
    try:
        trace_frontier(np.linspace(0.02, 0.05, size), np.eye(size) * 0.01, constraints)
    except InfeasibleConstraints as error:
        return error.conflict
    return ()


def limits(lower, upper, *groups):
    return Constraints(tuple("abcdefgh"[: len(lower)]), lower, upper, groups)


@pytest.mark.parametrize(
    ("constraints", "conflict"),
    [
        (limits((0, 0), (0.3, 0.5)), {"a.maximum", "b.maximum"}),
        (limits((0.6, 0.6), (1, 1)), {"a.minimum", "b.minimum"}),
        (limits((0.4, 0.3, 0.4), (1, 1, 1)), {"a.minimum", "b.minimum", "c.minimum"}),
        (limits((0.5, 0), (0.2, 1)), {"a.minimum", "a.maximum"}),
        (limits((0, 0), (0, 1), Group("liquid", (0,), 0.4)), {"a.maximum", "liquid.minimum"}),
        (limits((0, 0, 0), (0, 0.1, 1), Group("liquid", (0, 1), 0.4)), {"a.maximum", "b.maximum", "liquid.minimum"}),
        (limits((0, 0, 0.2), (1, 1, 1), Group("g", (0, 1), 0.9)), {"c.minimum", "g.minimum"}),
        (
            limits((0.2, 0.2, 0), (1, 1, 1), Group("growth", (0, 1), 0, 0.3)),
            {"a.minimum", "b.minimum", "growth.maximum"},
        ),
        (limits((0, 0, 0), (0.2, 1, 1), Group("g", (1, 2), 0, 0.5)), {"a.maximum", "g.maximum"}),
        (limits((0, 0), (1, 1), Group("none", (), 0.1)), {"none.minimum"}),
        (limits((0, 0, 0), (1, 1, 1), Group("g", (0, 1), 0.6, 0.5)), {"g.minimum", "g.maximum"}),
        (limits((0, 0, 0), (1, 1, 1), Group("g", (0,), 0.6), Group("h", (1,), 0.5)), {"g.minimum", "h.minimum"}),
        (limits((0,) * 3, (1,) * 3, Group("g", (0, 1), 0.6), Group("h", (0, 1, 2), 0, 0.9)), {"h.maximum"}),
        (
            limits((0,) * 4, (1,) * 4, Group("g", (0, 1), 0.6), Group("h", (0, 1, 2), 0, 0.5)),
            {"g.minimum", "h.maximum"},
        ),
        (limits((0,) * 3, (1,) * 3, Group("g", (0, 1), 0, 0), Group("h", (2,), 0, 0.9)), {"g.maximum", "h.maximum"}),
    ],
)
def test_constraints_that_cannot_hold_together_are_named_and_no_others(constraints, conflict):
    assert set(conflict_of(constraints)) == conflict


def test_of_two_conflicts_one_is_named_whole():
    both = limits((0.7, 0.7, 0, 0), (1, 1, 0, 0), Group("liquid", (2, 3), 0.2))
    assert set(conflict_of(both)) in ({"a.minimum", "b.minimum"}, {"c.maximum", "d.maximum", "liquid.minimum"})


def test_limits_that_meet_exactly_are_no_conflict():
    assert conflict_of(limits((0.1, 0.2, 0.7), (1, 1, 1))) == ()
    assert conflict_of(limits((0, 0, 0), (0.1, 0.2, 0.7))) == ()
    assert conflict_of(limits((0, 0.3, 0), (1, 1, 0.7), Group("growth", (0, 1), 0, 0.3), Group("g", (2,), 0.7))) == ()
    assert conflict_of(limits((0, 0, 0), (1, 1, 1), Group("growth", (0, 1), 0, 0))) == ()


def rows_of(constraints):
    """Each limit by its name, as row @ w <= value."""
    named = {}
    for code, row, low, high in zip(
        constraints.codes, np.eye(len(constraints.codes)), constraints.lower, constraints.upper, strict=True
    ):
        named |= {f"{code}.minimum": (-row, -low), f"{code}.maximum": (row, high)}
    for group, row in zip(constraints.groups, constraints.matrix, strict=True):
        named |= {f"{group.name}.minimum": (-row, -group.minimum), f"{group.name}.maximum": (row, group.maximum)}
    return named


def possible(rows, size):
    """Whether some portfolio, long only and fully invested, obeys these limits: the linear solver HiGHS is asked."""
    matrix = np.array([row for row, _ in rows]).reshape(len(rows), size)
    return linprog(np.zeros(size), matrix, [value for _, value in rows], np.ones((1, size)), [1.0]).status == 0


@st.composite
def tight_limits(draw):
    """Limits in steps of 5 %, so many and so tight that about half of them are in conflict."""
    rng = np.random.default_rng(draw(st.integers(0, 10**9)))
    size = int(rng.integers(2, 9))
    lower = np.where(rng.random(size) < 0.5, rng.integers(0, 8, size) * 0.05, 0.0)
    upper = np.where(rng.random(size) < 0.5, np.minimum(lower + rng.integers(0, 10, size) * 0.05, 1.0), 1.0)
    groups = []
    for name in ("growth", "alternatives", "liquid")[: rng.integers(0, 4)]:
        low, high = sorted((rng.integers(0, 21, 2) * 0.05).tolist())
        groups.append(Group(name, tuple(np.flatnonzero(rng.random(size) < 0.5).tolist()), low, high))
    return limits(tuple(lower.tolist()), tuple(upper.tolist()), *groups)


@settings(max_examples=400, deadline=None)
@given(tight_limits())
def test_what_is_named_is_a_conflict_and_without_any_one_of_it_there_is_none(constraints):
    rows, size = rows_of(constraints), len(constraints.codes)
    conflict = conflict_of(constraints)
    assert (conflict == ()) == possible(list(rows.values()), size)
    if conflict:
        assert not possible([rows[name] for name in conflict], size)
        for left_out in conflict:
            assert possible([rows[name] for name in conflict if name != left_out], size), left_out
