"""Counts of a review of everybody, and its result."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.policy import RISK_CLASSES
from app.allocation.everybody.screening import Screened
from app.allocation.records import share
from app.customers.models import SEGMENTS

_Counts = list[tuple[int, int]]  # for each segment or class: looked at, changed


@dataclass(slots=True)
class Tally:
    """What a review has found so far. `exchanged` is the sum of the turnovers of those who were told."""

    customers: int = 0
    changed: int = 0
    told: int = 0
    sooner: int = 0
    without_portfolio: int = 0
    exchanged: float = 0.0
    largest: float = 0.0
    segments: _Counts = field(default_factory=lambda: [(0, 0)] * len(SEGMENTS))
    classes: _Counts = field(default_factory=lambda: [(0, 0)] * len(RISK_CLASSES))

    def add(self, screened: Screened, changed: NDArray[np.bool_]) -> None:
        """Count customers in; `changed`: those of them who got a new record, or would."""
        told = screened.told & changed
        self.customers += len(screened)
        self.changed += int(changed.sum())
        self.told += int(told.sum())
        self.sooner += int((screened.sooner & ~changed).sum())
        self.without_portfolio += int((~screened.suitable).sum())
        self.exchanged += float(screened.turnover[told].sum())
        self.largest = max(self.largest, float(screened.turnover[told].max(initial=0.0)))
        self.segments = _added(self.segments, screened.segment, changed)
        self.classes = _added(self.classes, screened.risk_class - 1, changed)

    def result(self) -> dict[str, Any]:
        """In the shape of the API."""
        return {
            "customers": self.customers,
            "changed": self.changed,
            "told": self.told,
            "sooner": self.sooner,
            "without_portfolio": self.without_portfolio,
            "mean_turnover": share(self.exchanged / self.told) if self.told else None,
            "largest_turnover": share(self.largest) if self.told else None,
            "segments": [
                {"segment": code, "customers": customers, "changed": changed}
                for code, (customers, changed) in zip(SEGMENTS, self.segments, strict=True)
            ],
            "risk_classes": [
                {"risk_class": name, "customers": customers, "changed": changed}
                for name, (customers, changed) in zip(RISK_CLASSES, self.classes, strict=True)
            ],
        }


def _added(counts: _Counts, places: NDArray[np.signedinteger], changed: NDArray[np.bool_]) -> _Counts:
    everybody = np.bincount(places, minlength=len(counts)).tolist()
    those = np.bincount(places[changed], minlength=len(counts)).tolist()
    return [(a + c, b + d) for (a, b), c, d in zip(counts, everybody, those, strict=True)]
