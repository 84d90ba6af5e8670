"""Is a matrix a correlation matrix, and if nearly so, which one is nearest."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The repaired matrix keeps this smallest eigenvalue, so that a covariance made of it has a Cholesky factor.
SMALLEST_EIGENVALUE = 1e-8


def smallest_eigenvalue(matrix: Array) -> float:
    """The smallest eigenvalue of a symmetric matrix (n, n); negative means that it is no correlation matrix."""
    return float(np.linalg.eigvalsh(matrix)[0])


def nearest_correlation(matrix: Array, *, tolerance: float = 1e-10, iterations: int = 2000) -> Array:
    """The correlation matrix nearest to a symmetric matrix (n, n) in the Frobenius norm.

    Alternating projections between the positive semi-definite matrices and those with a unit diagonal, with Dykstra's
    correction: N. J. Higham, "Computing the nearest correlation matrix", IMA Journal of Numerical Analysis 22 (2002).
    The result is then mixed with just enough of the identity to be positive definite.
    """
    current = np.array(matrix, dtype=np.float64)
    correction: Array = np.zeros_like(current)
    for _ in range(iterations):
        previous = current
        shifted = current - correction
        values, vectors = np.linalg.eigh(shifted)
        projected = (vectors * np.maximum(values, 0.0)) @ vectors.T
        correction = projected - shifted
        current = projected.copy()
        np.fill_diagonal(current, 1.0)
        if np.abs(current - previous).max() <= tolerance:
            break
    current = (current + current.T) / 2
    lacking = SMALLEST_EIGENVALUE - smallest_eigenvalue(current)
    if lacking > 0:
        share = lacking / (lacking + 1.0)
        current = (1 - share) * current + share * np.eye(len(current))
    return np.clip(current, -1.0, 1.0)


def read_only(values: Any) -> Array:
    """The values as a float64 array that nobody can change."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
