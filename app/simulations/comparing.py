"""Two courses of the same lives side by side: what is, and what would be. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.lifecycle.core.standing import RETURNED_WITHIN, local_day


@dataclass(frozen=True, slots=True)
class Taken:
    """One step. `evaluated_at` is the moment that was judged, `effective_at` when its cause happened; `resumes`: it leads
    back into the stay before, whose actions go on."""

    from_stage: str
    to_stage: str
    kind: str
    rule_id: str | None
    evaluated_at: datetime
    effective_at: datetime
    facts: Mapping[str, Any]
    resumes: bool = False

    def document(self) -> dict[str, Any]:
        """The step as the API shows it."""
        return {
            "from_stage": self.from_stage,
            "to_stage": self.to_stage,
            "kind": self.kind,
            "rule_id": self.rule_id,
            "effective_at": self.effective_at,
            "evaluated_at": self.evaluated_at,
            "facts": dict(self.facts),
        }


@dataclass(frozen=True, slots=True)
class Path:
    """The way of one customer: where it began, and every step until the end of the period."""

    customer_id: UUID
    began_in: str
    began_at: datetime
    steps: tuple[Taken, ...]

    @property
    def stage(self) -> str:
        """Where it ends."""
        return self.steps[-1].to_stage if self.steps else self.began_in


@dataclass(frozen=True, slots=True)
class Pair:
    """The same customer, live and simulated."""

    live: Path
    simulated: Path


@dataclass(frozen=True, slots=True)
class Period:
    """From a moment to another. `exact`: steps are the same only at the same moment, else on the same local day."""

    begin: datetime
    end: datetime
    zone: ZoneInfo
    exact: bool

    def within(self, path: Path) -> list[Taken]:
        """The steps of the period."""
        return [step for step in path.steps if self.begin <= step.evaluated_at <= self.end]

    def identity(self, step: Taken) -> tuple[Any, ...]:
        """What makes two steps the same."""
        when = step.evaluated_at if self.exact else local_day(step.effective_at, self.zone)
        return step.from_stage, step.to_stage, step.kind, step.rule_id, when


def differs(pair: Pair, period: Period) -> bool:
    """Whether the two ways part within the period."""
    live, simulated = ([period.identity(s) for s in period.within(p)] for p in (pair.live, pair.simulated))
    return live != simulated or pair.live.stage != pair.simulated.stage


def difference(pair: Pair, period: Period) -> dict[str, Any]:
    """Both ways of one customer, and the first steps in which they part."""
    live, simulated = period.within(pair.live), period.within(pair.simulated)
    same = 0
    for one, other in zip(live, simulated, strict=False):
        if period.identity(one) != period.identity(other):
            break
        same += 1
    return {
        "live_stage": pair.live.stage,
        "simulated_stage": pair.simulated.stage,
        "live": [step.document() for step in live],
        "simulated": [step.document() for step in simulated],
        "parts_at": min((s.effective_at for s in (*live[same : same + 1], *simulated[same : same + 1])), default=None),
        "first_live": live[same].document() if same < len(live) else None,
        "first_simulated": simulated[same].document() if same < len(simulated) else None,
    }


def returns(path: Path, period: Period) -> int:
    """Steps of the period back to the stage just left, within 60 days: what makes customers flap."""
    found = 0
    # The stage before each stay, and when that began; a correction takes the last one away.
    stays: list[tuple[str | None, datetime]] = [(None, path.began_at)]
    for step in path.steps:
        before, entered = stays[-1]
        if step.kind == "correction":
            stays = stays[:-1] or [(None, path.began_at)]
            continue
        stay = local_day(step.evaluated_at, period.zone) - local_day(entered, period.zone)
        if step.to_stage == before and stay < RETURNED_WITHIN:
            found += period.begin <= step.evaluated_at <= period.end
        stays.append((step.from_stage, step.effective_at))
    return found


@dataclass(slots=True)
class Tally:
    """What a simulation counts, chunk by chunk. Keys are texts, so that it can be stored and taken up again."""

    customers: int = 0
    differing: int = 0
    matrix: dict[str, int] = field(default_factory=dict)
    rules: dict[str, list[int]] = field(default_factory=dict)
    flaps: list[int] = field(default_factory=lambda: [0, 0])
    load: dict[str, list[int]] = field(default_factory=dict)

    def add(self, pairs: Sequence[Pair], period: Period) -> None:
        """Count a set of customers."""
        for pair in pairs:
            self.customers += 1
            self.differing += differs(pair, period)
            key = f"{pair.live.stage} {pair.simulated.stage}"
            self.matrix[key] = self.matrix.get(key, 0) + 1
            for side, path in enumerate((pair.live, pair.simulated)):
                self.flaps[side] += returns(path, period)
                self._add_rules(side, period.within(path))

    def _add_rules(self, side: int, steps: Iterable[Taken]) -> None:
        for step in steps:
            cause = step.rule_id or step.kind
            self.rules.setdefault(f"{cause} {step.from_stage} {step.to_stage}", [0, 0])[side] += 1

    def add_load(self, side: int, due: Iterable[tuple[date, bool]]) -> None:
        """Count planned actions by day: (day, whether it is a task), else a message."""
        for day, is_task in due:
            self.load.setdefault(day.isoformat(), [0, 0, 0, 0])[2 * side + int(is_task)] += 1

    def result(self) -> dict[str, Any]:
        """The figures as the API shows them."""
        total = [sum(counts[side] for counts in self.rules.values()) for side in (0, 1)]
        return {
            "customers": self.customers,
            "differing": self.differing,
            "matrix": [_cell(key, n) for key, n in sorted(self.matrix.items())],
            "transitions": self._sides(total),
            "returns": self._sides(self.flaps),
            "rules": [_rule(key, counts) for key, counts in sorted(self.rules.items())],
            "load": [_day(day, counts) for day, counts in sorted(self.load.items())],
        }

    def _sides(self, counts: Sequence[int]) -> dict[str, Any]:
        share = [round(1000 * n / self.customers, 1) if self.customers else 0.0 for n in counts]
        return {
            "live": counts[0],
            "simulated": counts[1],
            "live_per_1000": share[0],
            "simulated_per_1000": share[1],
        }


def _cell(key: str, customers: int) -> dict[str, Any]:
    live, simulated = key.split()
    return {"live": live, "simulated": simulated, "customers": customers}


def _rule(key: str, counts: Sequence[int]) -> dict[str, Any]:
    cause, from_stage, to_stage = key.split()
    sides = {"live": counts[0], "simulated": counts[1]}
    return {"cause": cause, "from_stage": from_stage, "to_stage": to_stage, **sides}


def _day(day: str, counts: Sequence[int]) -> dict[str, Any]:
    names = ("messages_live", "tasks_live", "messages_simulated", "tasks_simulated")
    return {"day": day, **dict(zip(names, counts, strict=True))}
