"""What the engine needs to know of n customers, as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.policy import STAGES

Floats = NDArray[np.float32] | NDArray[np.float64]
Codes = NDArray[np.int8] | NDArray[np.int16] | NDArray[np.int32] | NDArray[np.int64]


class Kind(IntEnum):
    """A person or a business."""

    INDIVIDUAL = 0
    BUSINESS = 1


@dataclass(frozen=True)
class Restriction:
    """What a customer asked for: asset classes they never want, and a share to be kept in cash."""

    excluded: tuple[str, ...] = ()
    minimum_cash: float = 0.0


NO_RESTRICTION = Restriction()


@dataclass(frozen=True, eq=False)
class People:
    """n customers, one array of length n for each thing known; NaN is unknown in every float array.

    `segment` points into `segments`, `stage` into `policy.STAGES`, `restriction` into `restrictions`. `age` and
    `horizon_years` are in years, `tolerance` and `capacity` 0 to 100, `liquidity_need` is the share of the money that
    will be needed within a year, `announced_withdrawal` the share whose withdrawal is announced (1 for a closure),
    `contradictions` the number of pairs of answers that contradict each other.

    Raises:
        ValueError: if lengths differ or a code points nowhere, naming the column.
    """

    age: Floats
    kind: Codes
    segment: Codes
    stage: Codes
    tolerance: Floats
    capacity: Floats
    horizon_years: Floats
    liquidity_need: Floats
    has_valid_profile: NDArray[np.bool_]
    announced_withdrawal: Floats
    contradictions: Codes
    restriction: Codes
    segments: tuple[str, ...]
    restrictions: tuple[Restriction, ...] = field(default=(NO_RESTRICTION,))

    def __post_init__(self) -> None:
        size = len(self.age)
        for name in _COLUMNS:
            if getattr(self, name).shape != (size,):
                raise ValueError(f"{name} must have the shape ({size},), as age has")
        tables = {"kind": len(Kind), "segment": len(self.segments), "stage": len(STAGES)}
        for name, entries in {**tables, "restriction": len(self.restrictions)}.items():
            codes = getattr(self, name)
            if size and not (codes.min() >= 0 and codes.max() < entries):
                raise ValueError(f"{name} must lie between 0 and {entries - 1}")

    def __len__(self) -> int:
        return len(self.age)

    def take(self, rows: NDArray[np.intp] | Sequence[int]) -> "People":
        """Some of them, in the order asked."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return People(**columns, segments=self.segments, restrictions=self.restrictions)


_COLUMNS = tuple(f.name for f in fields(People) if f.name not in {"segments", "restrictions"})


def people_of(
    *,
    segment: Sequence[str],
    stage: Sequence[str],
    age: Sequence[float | None],
    is_business: Sequence[bool],
    tolerance: Sequence[float | None],
    capacity: Sequence[float | None],
    horizon_years: Sequence[float | None],
    liquidity_need: Sequence[float | None],
    has_valid_profile: Sequence[bool],
    announced_withdrawal: Sequence[float | None],
    contradictions: Sequence[int],
    restriction: Sequence[Restriction | None],
) -> People:
    """`People` from columns of plain values, None for unknown.

    Raises:
        ValueError: if columns differ in length or a stage is unknown, naming it.
    """
    segments, segment_codes = _table(segment)
    restrictions, restriction_codes = _table([entry or NO_RESTRICTION for entry in restriction])
    return People(
        age=_floats(age),
        kind=np.array(is_business, dtype=np.int8).reshape(-1),
        segment=segment_codes,
        stage=_stages(stage),
        tolerance=_floats(tolerance),
        capacity=_floats(capacity),
        horizon_years=_floats(horizon_years),
        liquidity_need=_floats(liquidity_need),
        has_valid_profile=np.array(has_valid_profile, dtype=np.bool_).reshape(-1),
        announced_withdrawal=_floats(announced_withdrawal),
        contradictions=np.array(contradictions, dtype=np.int16).reshape(-1),
        restriction=restriction_codes,
        segments=segments,
        restrictions=restrictions,
    )


def _stages(names: Sequence[str]) -> NDArray[np.int8]:
    unknown = set(names) - set(STAGES)
    if unknown:
        raise ValueError(f"unknown stage {min(unknown)}, must be one of {', '.join(STAGES)}")
    places = {name: place for place, name in enumerate(STAGES)}
    return np.array([places[name] for name in names], dtype=np.int8)


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64).reshape(-1)  # numpy reads None as NaN


def _table(values: Sequence[Any]) -> tuple[tuple[Any, ...], NDArray[np.int32]]:
    """The distinct values and, for each entry, its place among them."""
    places: dict[Any, int] = {}
    codes = [places.setdefault(value, len(places)) for value in values]
    return tuple(places), np.array(codes, dtype=np.int32)
