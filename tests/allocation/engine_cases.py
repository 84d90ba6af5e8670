"""People and problems for the tests of the allocation engine."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.allocation.engine.constraints import Constraints, Group
from app.allocation.engine.people import People, Restriction, people_of

SEGMENTS = ("mass", "affluent", "high_net_worth", "small_business")
ORDINARY: Mapping[str, Any] = {
    "segment": "mass",
    "stage": "mature",
    "age": 45.0,
    "is_business": False,
    "tolerance": 70.0,
    "capacity": 75.0,
    "horizon_years": 20.0,
    "liquidity_need": 0.0,
    "has_valid_profile": True,
    "announced_withdrawal": None,
    "contradictions": 0,
    "restriction": None,
}


def people(*customers: Mapping[str, Any]) -> People:
    """Customers who differ from an ordinary one only by what is said of them."""
    rows = [{**ORDINARY, **customer} for customer in customers]
    return people_of(**{name: [row[name] for row in rows] for name in ORDINARY})


def mixed_people(seed: int, size: int, codes: Sequence[str]) -> People:
    """Random customers of every sort, some of whose facts are unknown."""
    rng = np.random.default_rng(seed)

    def some(values: np.ndarray, unknown: float) -> np.ndarray:
        return np.where(rng.random(size) < unknown, np.nan, values)

    restrictions = (Restriction(), Restriction((codes[0],)), Restriction((), 0.2), Restriction((codes[2],), 0.1234))
    segment = rng.integers(0, len(SEGMENTS), size)
    return People(
        age=some(rng.uniform(18, 95, size), 0.1),
        kind=(segment == 3).astype(np.int8),
        segment=segment,
        stage=rng.integers(0, 5, size),
        tolerance=some(rng.uniform(0, 100, size), 0.05),
        capacity=some(rng.uniform(0, 100, size), 0.05),
        horizon_years=some(rng.choice([1.0, 4.0, 6.0, 8.0, 20.0], size), 0.05),
        liquidity_need=some(rng.choice([0.0, 0.1, 0.3, 0.6], size, p=[0.7, 0.1, 0.1, 0.1]), 0.1),
        has_valid_profile=rng.random(size) < 0.8,
        announced_withdrawal=np.where(rng.random(size) < 0.1, rng.choice([0.1, 0.5, 1.0], size), np.nan),
        contradictions=rng.integers(0, 3, size),
        restriction=rng.choice(4, size, p=[0.7, 0.1, 0.1, 0.1]),
        segments=SEGMENTS,
        restrictions=restrictions,
    )


def assumption_document(seed: int, size: int) -> dict[str, Any]:
    """Random assumptions of `size` classes, the last of them cash."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(size, 3))
    covariance = factors @ factors.T + np.diag(rng.uniform(0.3, 1.5, size))
    deviation = np.sqrt(np.diag(covariance))
    volatility = rng.uniform(0.02, 0.28, size)
    volatility[-1] = 0.005
    codes = [*(f"class_{index}" for index in range(size - 1)), "cash"]
    weights = np.full(size, round(1 / size, 6))
    weights[0] += 1 - weights.sum()
    return {
        "currency": "EUR",
        "horizon": "10 years",
        "source": "random figures for a test",
        "as_of": "2025-01-31",
        "asset_classes": [
            {
                "code": code,
                "names": {"zh": f"类别{index}", "en": f"Class {index}"},
                "risk_level": "R3",
                "liquid": bool(index % 3),
                "growth": bool(volatility[index] > 0.08),
                "expected_return": float(rng.choice([0.02, 0.03, 0.05, 0.06])),
                "return_measure": "arithmetic",
                "volatility": float(volatility[index]),
                "annual_cost": 0.002,
                "market_weight": float(weights[index]),
                "source": "random",
            }
            for index, code in enumerate(codes)
        ],
        "correlation": (covariance / np.outer(deviation, deviation)).tolist(),
    }


def random_problem(seed: int, size: int, rank: int | None) -> tuple[np.ndarray, np.ndarray, Constraints]:
    """Expected returns (half the time tied), a covariance of that rank (full if None), and constraints that at least
    one portfolio obeys, some of them with equal limits, some exactly met by it."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(size, rank or size))
    covariance = factors @ factors.T + (np.diag(rng.uniform(0.05, 1, size)) if rank is None else 0)
    scale = rng.uniform(0.01, 0.3, size) / np.sqrt(np.diag(covariance))
    covariance *= np.outer(scale, scale)
    mean = rng.choice([0.02, 0.03, 0.06], size) if seed % 2 else rng.normal(0.05, 0.03, size)
    if seed % 7 == 0:
        mean = np.full(size, 0.04)
    known = np.where(rng.random(size) < 0.4, 0.0, rng.random(size))
    known[rng.integers(size)] += 0.5
    known /= known.sum()
    lower = np.where(rng.random(size) < 0.3, known * rng.random(size), 0.0)
    upper = np.where(rng.random(size) < 0.3, known + (1 - known) * rng.random(size), 1.0)
    fixed = rng.random(size) < 0.15
    lower, upper = np.where(fixed, known, lower), np.where(fixed, known, upper)
    groups = []
    for number in range(rng.integers(0, 4)):
        members = np.flatnonzero(rng.random(size) < 0.5)
        total = float(min(known[members].sum(), 1.0))
        kind = rng.integers(4)
        low = total if kind == 0 else total * float(rng.random())
        high = total if kind in {0, 1} else total + (1 - total) * float(rng.random())
        if len(members):
            groups.append(Group(f"group_{number}", tuple(members.tolist()), low, high))
    codes = tuple(f"class_{index}" for index in range(size))
    return mean, covariance, Constraints(codes, tuple(lower.tolist()), tuple(upper.tolist()), tuple(groups))
