"""Problems for the oracles of the frontier: limits as institutions set them, and everything that is hard on a solver."""

import daqp
import numpy as np
from scipy.optimize import linprog

from app.allocation.engine.constraints import Constraints, Group

DISTINCT, TIED, NEARLY_TIED = "distinct", "tied", "nearly tied"
MEANS = (DISTINCT, TIED, NEARLY_TIED)
REGULAR, FACTORS, TWINS, RISKLESS, NEARLY_SINGULAR = "regular", "factors", "twins", "riskless", "nearly singular"
COVARIANCES = (REGULAR, FACTORS, TWINS, RISKLESS, NEARLY_SINGULAR)


def hard_problem(seed: int, size: int) -> tuple[np.ndarray, np.ndarray, Constraints]:
    """Expected returns, covariance and constraints of `size` classes that at least one portfolio obeys: returns tied or
    nearly so, covariances singular or nearly so, classes excluded, fixed or nearly fixed, caps on growth and
    alternatives, minima of liquid classes, some of them met exactly, some saying the same twice."""
    rng = np.random.default_rng(seed)
    mean = _means(rng, size, MEANS[rng.integers(len(MEANS))])
    covariance = _covariance(rng, size, COVARIANCES[rng.integers(len(COVARIANCES))])
    return mean, covariance, _limits(rng, size, fixed=True)


def sound_problem(seed: int, size: int, *, grouped: bool) -> tuple[np.ndarray, np.ndarray, Constraints]:
    """The same where every critical-line method should stand: returns that differ, a regular covariance, and room
    between the bounds of every class."""
    rng = np.random.default_rng(seed)
    mean = _means(rng, size, DISTINCT)
    return mean, _covariance(rng, size, REGULAR), _limits(rng, size, fixed=False, grouped=grouped)


def _means(rng: np.random.Generator, size: int, kind: str) -> np.ndarray:
    if kind == TIED:
        return rng.choice([0.02, 0.03, 0.06], size)
    if kind == NEARLY_TIED:
        return rng.choice([0.02, 0.06], size) + 10.0 ** -rng.integers(5, 14) * rng.normal(size=size)
    evenly = np.linspace(-0.02, 0.12, size)
    return rng.permutation(evenly) + rng.uniform(-0.3, 0.3, size) * (evenly[1] - evenly[0])


def _covariance(rng: np.random.Generator, size: int, kind: str) -> np.ndarray:
    factors = rng.normal(size=(size, int(rng.integers(1, 5)) if kind in {FACTORS, NEARLY_SINGULAR} else size))
    covariance = factors @ factors.T
    if kind == NEARLY_SINGULAR:
        covariance += 10.0 ** -rng.integers(4, 12) * np.eye(size)
    elif kind != FACTORS:
        covariance += np.diag(rng.uniform(0.05, 1, size))
    scale = rng.uniform(0.004, 0.3, size) / np.sqrt(np.diag(covariance))
    if kind == RISKLESS:
        scale[rng.integers(size)] = 0.0
    covariance *= np.outer(scale, scale)
    if kind == TWINS:
        one, other = rng.integers(size, size=2)
        covariance[other], covariance[:, other] = covariance[one].copy(), covariance[:, one].copy()
        covariance[other, other] = covariance[one, one]
    return covariance


def _limits(rng: np.random.Generator, size: int, *, fixed: bool, grouped: bool = True) -> Constraints:
    known = np.where(rng.random(size) < 0.4, 0.0, rng.random(size))
    known[rng.integers(size)] += 0.5
    known /= known.sum()
    lower = np.where(rng.random(size) < 0.3, known * rng.random(size) * 0.9, 0.0)
    upper = np.where(rng.random(size) < 0.3, known + (1 - known) * rng.uniform(0.05, 1, size), 1.0)
    if fixed:
        held = rng.random(size)
        gap = np.where(held < 0.1, 0.0, 10.0 ** -rng.integers(3, 7, size))
        narrow = held < 0.2
        lower = np.where(narrow, np.maximum(known - gap, 0.0), lower)
        upper = np.where(narrow, np.minimum(known + gap, 1.0), upper)
    groups = [_group(rng, name, known, fixed) for name in ("growth", "alternatives", "liquid")] if grouped else []
    if groups and fixed and rng.random() < 0.2:
        groups.append(Group("again", groups[0].members, groups[0].minimum, groups[0].maximum))
    codes = tuple(f"class_{index}" for index in range(size))
    kept = tuple(group for group in groups if group.members)
    return Constraints(codes, tuple(lower.tolist()), tuple(upper.tolist()), kept)


def _group(rng: np.random.Generator, name: str, known: np.ndarray, exact: bool) -> Group:
    """A cap, a minimum or both on half of the classes, fewer for alternatives; met exactly now and then."""
    members = np.flatnonzero(rng.random(len(known)) < (0.25 if name == "alternatives" else 0.5))
    total = float(min(known[members].sum(), 1.0))
    room = 0.0 if exact and rng.random() < 0.3 else float(rng.uniform(0.05, 0.95))
    low, high = total * (1 - room), total + (1 - total) * room
    kind = rng.integers(3) if name == "liquid" else rng.integers(1, 3)
    if kind == 0:
        return Group(name, tuple(members.tolist()), low, 1.0)
    return Group(name, tuple(members.tolist()), low if kind == 1 and rng.random() < 0.5 else 0.0, high)


def solver_optimum(mean, covariance, constraints, risk_aversion):
    """What daqp answers to the problem as it is written: maximise mu'w - lambda/2 w'Sw for a lambda > 0, in proximal
    steps where the covariance is singular; None where it has no answer."""
    minimum, maximum = constraints.group_limits()
    rows = np.vstack([np.ones(len(mean)), constraints.matrix])
    high, low = np.r_[constraints.upper, 1.0, maximum], np.r_[constraints.lower, 1.0, minimum]
    scale = risk_aversion * np.diag(covariance).mean()
    for tolerance, proximal in ((1e-9, 0.0), (1e-9, 1.0), (1e-7, 0.0), (1e-7, 1.0), (1e-6, 0.0)):
        settings = {"primal_tol": tolerance, "dual_tol": tolerance, "eps_prox": proximal}
        weights, _, flag, _ = daqp.solve(risk_aversion * covariance / scale, -mean / scale, rows, high, low, **settings)
        if flag == 1:
            return weights
    return None


def best_in_direction(direction, constraints):
    """The portfolio with the greatest direction'w, found by the linear solver HiGHS."""
    minimum, maximum = constraints.group_limits()
    found = linprog(
        -direction / (np.abs(direction).max() or 1.0),
        np.vstack([constraints.matrix, -constraints.matrix]),
        np.r_[maximum, -minimum],
        np.ones((1, len(direction))),
        [1.0],
        list(zip(constraints.lower, constraints.upper, strict=True)),
        options={"presolve": False},  # it takes limits that are met exactly, but for rounding, for a conflict
    )
    assert found.status == 0, found.message
    return found.x


def utility(mean, covariance, risk_aversion, weights):
    return mean @ weights - risk_aversion / 2 * weights @ covariance @ weights


def assert_best(mean, covariance, constraints, risk_aversion, weights):
    """Nothing is left to gain in mu'w - lambda/2 w'Sw, but for 1e-5 of its scale. The value is concave: it can
    rise by no more than its slope promises in the best direction, so no solver of quadratic problems has to be believed."""
    variance = np.diag(covariance).mean()
    slope, scale = mean - risk_aversion * covariance @ weights, np.ptp(mean) + risk_aversion * variance
    slope -= slope.mean()  # weights sum to one, but for the tolerance of a solver
    gain = slope @ (best_in_direction(slope, constraints) - weights)
    assert gain <= 1e-5 * scale + 1e-12, risk_aversion
