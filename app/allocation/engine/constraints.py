"""What a portfolio must obey: long only, fully invested, bounds for each class, limits for groups of classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.correlation import Array


@dataclass(frozen=True)
class Group:
    """The weights of `members` (positions of classes) add up to at least `minimum` and at most `maximum`."""

    name: str
    members: tuple[int, ...]
    minimum: float = 0.0
    maximum: float = 1.0


@dataclass(frozen=True)
class Constraints:
    """Bounds of k classes and groups of them, beside sum(w) = 1. Hashable: part of the key of a cached frontier.

    Raises:
        ValueError: if the lengths differ, a limit is not a share, or a group names a class that is not there.
    """

    codes: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    groups: tuple[Group, ...] = ()

    def __post_init__(self) -> None:
        size = len(self.codes)
        if len(self.lower) != size or len(self.upper) != size:
            raise ValueError(f"lower and upper must have {size} entries, one for each class")
        shares = (*self.lower, *self.upper, *(limit for g in self.groups for limit in (g.minimum, g.maximum)))
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("every limit must be a share between 0 and 1")
        if any(not 0 <= member < size for group in self.groups for member in group.members):
            raise ValueError(f"a group names a class outside 0 to {size - 1}")

    @property
    def matrix(self) -> Array:
        """(groups, k) of zeros and ones."""
        rows = np.zeros((len(self.groups), len(self.codes)))
        for row, group in zip(rows, self.groups, strict=True):
            row[list(group.members)] = 1.0
        return rows

    def violated(self, weights: Array, tolerance: float = 1e-9) -> NDArray[np.bool_]:
        """(m,) true where a portfolio of `weights` (m, k) breaks the budget, a bound or a group."""
        weights = np.atleast_2d(weights)
        broken: NDArray[np.bool_] = np.abs(weights.sum(axis=1) - 1) > tolerance
        broken |= ((weights < np.array(self.lower) - tolerance) | (weights > np.array(self.upper) + tolerance)).any(1)
        if self.groups:
            sums = weights @ self.matrix.T
            minimum, maximum = self.group_limits()
            broken |= ((sums < minimum - tolerance) | (sums > maximum + tolerance)).any(axis=1)
        return broken

    def group_limits(self) -> tuple[Array, Array]:
        """Minimum and maximum of the groups, (groups,) each."""
        return np.array([g.minimum for g in self.groups]), np.array([g.maximum for g in self.groups])


def unconstrained(codes: tuple[str, ...]) -> Constraints:
    """Long only and fully invested, and nothing else."""
    return Constraints(codes, (0.0,) * len(codes), (1.0,) * len(codes))


class InfeasibleConstraints(ValueError):
    """No portfolio obeys the constraints. `conflict` names a smallest set of them that cannot hold together, such as
    ("cash.minimum", "growth.minimum"); without any one of these the others could be met."""

    def __init__(self, conflict: tuple[str, ...]) -> None:
        self.conflict = conflict
        super().__init__("these constraints cannot hold together: " + ", ".join(conflict))
