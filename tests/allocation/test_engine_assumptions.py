"""Assumption sets: what a document says, what is refused and where, and how a matrix is repaired."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allocation.engine.assumptions import parse_assumptions
from app.allocation.engine.correlation import nearest_correlation, smallest_eigenvalue
from app.allocation.engine.defaults import default_assumptions, default_document
from app.allocation.engine.problems import InvalidDocument
from tests.allocation.engine_cases import assumption_document


def problems_of(document):
    with pytest.raises(InvalidDocument) as error:
        parse_assumptions(document)
    return {(problem.pointer, problem.code) for problem in error.value.problems}


def changed(path, value):
    """The default document with one place changed, or removed if the value is Ellipsis."""
    document = copy.deepcopy(default_document("assumptions"))
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


def test_the_default_set_is_complete_and_needs_no_repair():
    assumptions = default_assumptions()
    assert assumptions.codes[0] == "domestic_equity"
    assert assumptions.codes[-1] == "cash"
    assert len(assumptions.codes) == 8
    assert assumptions.repair is None
    assert all(c.source and c.names["zh"] and c.names["en"] for c in assumptions.asset_classes)
    np.testing.assert_allclose(np.sqrt(np.diag(assumptions.covariance)), assumptions.volatilities)
    assert smallest_eigenvalue(assumptions.covariance) > 0


def test_a_compound_return_becomes_arithmetic_by_half_the_variance():
    document = changed(("asset_classes", 0, "expected_return"), 0.06)
    document["asset_classes"][0]["volatility"] = 0.2
    assert parse_assumptions(document).asset_classes[0].expected_return == pytest.approx(0.06 + 0.02)
    document["asset_classes"][0]["return_measure"] = "arithmetic"
    assert parse_assumptions(document).asset_classes[0].expected_return == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("path", "value", "pointer", "code"),
    [
        (("currency",), ..., "/currency", "missing"),
        (("currency",), "usd", "/currency", "bad_currency"),
        (("currency",), 5, "/currency", "wrong_type"),
        (("as_of",), "yesterday", "/as_of", "bad_date"),
        (("asset_classes",), {}, "/asset_classes", "wrong_type"),
        (("asset_classes",), [], "/asset_classes", "wrong_length"),
        (("asset_classes", 1), 7, "/asset_classes/1", "wrong_type"),
        (("asset_classes", 1, "code"), "domestic_equity", "/asset_classes/1/code", "duplicate"),
        (("asset_classes", 1, "code"), "Équité", "/asset_classes/1/code", "bad_code"),
        (("asset_classes", 2, "volatility"), True, "/asset_classes/2/volatility", "wrong_type"),
        (("asset_classes", 2, "volatility"), float("nan"), "/asset_classes/2/volatility", "out_of_range"),
        (("asset_classes", 2, "volatility"), 10**400, "/asset_classes/2/volatility", "out_of_range"),
        (("asset_classes", 2, "liquid"), "yes", "/asset_classes/2/liquid", "wrong_type"),
        (("asset_classes", 2, "risk_level"), "R6", "/asset_classes/2/risk_level", "unknown_value"),
        (("asset_classes", 2, "return_measure"), [], "/asset_classes/2/return_measure", "unknown_value"),
        (("asset_classes", 2, "names", "zh"), " ", "/asset_classes/2/names/zh", "wrong_type"),
        (("asset_classes", 2, "surprise/"), 1, "/asset_classes/2/surprise~1", "unknown_field"),
        (("asset_classes", 2, "market_weight"), 0.9, "/asset_classes", "weights_sum"),
        (("correlation", 0, 1), 0.5, "/correlation/0/1", "not_symmetric"),
        (("correlation", 3, 3), 0.9, "/correlation/3/3", "bad_diagonal"),
        (("correlation", 3, 3), None, "/correlation/3/3", "missing"),
        (("correlation", 3, 2), 1.5, "/correlation/3/2", "out_of_range"),
        (("correlation", 3), [1.0], "/correlation/3", "wrong_length"),
        (("correlation",), [[1.0, 0.0], [0.0, 1.0]], "/correlation", "wrong_length"),
        (("source",), "x" * 3000, "/source", "too_long"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(path, value, pointer, code):
    assert (pointer, code) in problems_of(changed(path, value))


def test_everything_wrong_is_reported_together():
    document = changed(("currency",), "dollars")
    document["asset_classes"][0]["volatility"] = -1
    document["correlation"][0][0] = "one"
    found = problems_of(document)
    assert {pointer for pointer, _ in found} >= {"/currency", "/asset_classes/0/volatility", "/correlation/0/0"}


@pytest.mark.parametrize("document", [None, [], "text", 5, {}])
def test_something_else_than_a_document_is_refused(document):
    assert problems_of(document)


def broken_correlation(size_of_error):
    document = assumption_document(1, 3)
    document["correlation"] = [[1, 0.9, -0.9 + size_of_error], [0.9, 1, 0.9], [-0.9 + size_of_error, 0.9, 1]]
    return document


def test_a_slightly_broken_matrix_is_repaired_and_the_change_reported():
    # With correlations a, a, b the matrix has the eigenvalue 0 at b = 2 a^2 - 1 = 0.62.
    assumptions = parse_assumptions(broken_correlation(0.9 + 0.6))
    assert assumptions.repair is not None
    assert assumptions.repair.smallest_eigenvalue < 0
    assert 0 < assumptions.repair.largest_change < 0.05
    assert smallest_eigenvalue(assumptions.correlation) > 0
    np.testing.assert_allclose(np.diag(assumptions.correlation), 1.0)


def test_a_badly_broken_matrix_is_refused_with_its_eigenvalue():
    with pytest.raises(InvalidDocument) as error:
        parse_assumptions(broken_correlation(0.0))
    (problem,) = error.value.problems
    assert (problem.pointer, problem.code) == ("/correlation", "not_positive_semidefinite")
    assert "-0.8" in problem.detail


def test_the_nearest_correlation_of_a_published_example():
    # Higham (2002), section 4: the nearest matrix to this tridiagonal one.
    matrix = np.array([[2.0, -1, 0, 0], [-1, 2, -1, 0], [0, -1, 2, -1], [0, 0, -1, 2]])
    expected = [
        [1.0, -0.8084, 0.1916, 0.1068],
        [-0.8084, 1.0, -0.6562, 0.1916],
        [0.1916, -0.6562, 1.0, -0.8084],
        [0.1068, 0.1916, -0.8084, 1.0],
    ]
    np.testing.assert_allclose(nearest_correlation(matrix), expected, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40))
def test_any_symmetric_matrix_is_repaired_to_a_correlation_matrix(seed, size):
    matrix = np.random.default_rng(seed).uniform(-1, 1, (size, size))
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1.0)
    repaired = nearest_correlation(matrix, tolerance=1e-6)
    np.testing.assert_allclose(np.diag(repaired), 1.0, atol=1e-12)
    assert smallest_eigenvalue(repaired) > 0
    assert np.abs(repaired).max() <= 1


def test_equal_figures_are_the_same_set_and_others_are_not():
    first, second = (parse_assumptions(default_document("assumptions")) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != parse_assumptions(changed(("asset_classes", 0, "annual_cost"), 0.01))
