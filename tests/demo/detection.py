"""How well a customer's steps agree with what is true of them: declines found, false alarms, returns, what is held up.

Pure. Days count in UTC, the zone of the simulation. A decline is true from the day on which a customer begins to leave.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from statistics import median, quantiles
from typing import Self

from app.demo.shapes import Departure, Truth
from app.lifecycle.core.replay import Move

TOLD = "leaving"
"""The rule that needs no finding out: the customer says so, or has taken most of the money."""
FUNDED = ("growth", "mature")
SETTLING = timedelta(days=60)
"""Within which a customer with money should have come out of trial."""
LONG = timedelta(days=365)
"""After which a decline that has not ended counts as well: silence is believed after a year at the latest."""
FLAP = timedelta(days=60)
"""Whoever is back in a stage so soon has flapped."""
WELCOME = timedelta(days=90)
"""Within which a customer who is back should be out of decline."""

Span = tuple[date, date, str]
"""A stage from its first day to before its last."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one true decline.

    `how`: `rule` found it before the customer was gone, `told` the customer told first, `before` it was taken for one
    already, `missed`. `delay`: days from its beginning to the step, None where no rule found it. `shown`: the stage in
    which the customer was shown when it began.
    """

    kind: str
    how: str
    delay: int | None
    shown: str


@dataclass(slots=True)
class Figures:
    """Sums over customers. `years`: of true growth and maturity; `flaps` and `true_flaps`: those shown, those that
    really were; `alarms`: false ones by rule; `ends`: (true stage, stage shown) at the end.

    `with_money`: customers who ever had any. `held`: prospect or trial -> those who were shown there though they had had
    money for SETTLING; `days`: for how long in all; `still`: those of them who were at the end. `back`: rule that brought
    a customer out of decline who was back, or `none` within WELCOME. `let_go`: steps out of decline of customers who
    were still leaving, or gone.
    """

    customers: int = 0
    years: float = 0.0
    flaps: int = 0
    true_flaps: int = 0
    with_money: int = 0
    let_go: int = 0
    found: list[Found] = field(default_factory=list)
    alarms: Counter[str] = field(default_factory=Counter)
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    still: Counter[str] = field(default_factory=Counter)
    back: Counter[str] = field(default_factory=Counter)

    def add(self, other: Self) -> None:
        """Add another's sums."""
        for name in ("customers", "years", "flaps", "true_flaps", "with_money", "let_go", "found"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("alarms", "ends", "held", "days", "still", "back"):
            getattr(self, name).update(getattr(other, name))

    def of(self, *kinds: str) -> list[Found]:
        """The true declines of these kinds, of all if none is named."""
        return [one for one in self.found if not kinds or one.kind in kinds]

    @property
    def right(self) -> float:
        """Share of the customers who are shown in their true stage at the end."""
        return sum(n for (true, shown), n in self.ends.items() if true == shown) / self.customers


def share(found: Sequence[Found], *hows: str) -> float:
    """How large a share of these declines went one of these ways; 0 of none."""
    return sum(one.how in hows for one in found) / len(found) if found else 0.0


def delays(found: Sequence[Found]) -> tuple[float, float] | None:
    """Median and 90th percentile in days; None if fewer than two were found."""
    taken = [one.delay for one in found if one.delay is not None]
    return (median(taken), quantiles(taken, n=10, method="inclusive")[8]) if len(taken) > 1 else None


def measure(steps: Sequence[tuple[Sequence[Move], str]], truths: Sequence[Truth], end: date) -> Figures:
    """What came of customers, each with the steps taken and the stage at the end, beside the truth up to `end`."""
    figures = Figures()
    for (moves, stage), truth in zip(steps, truths, strict=True):
        spans = true_spans(truth, end)
        figures.customers += 1
        funded = [(stop - begin).days for begin, stop, true in spans if true in FUNDED]
        figures.with_money += int(bool(funded))
        figures.years += sum(funded) / 365.25
        figures.flaps += flaps([(m.evaluated_at.date(), m.to_stage) for m in moves], "prospect")
        figures.true_flaps += flaps(truth.stages[1:], truth.stages[0][1])
        figures.found += [found(moves, d, end) for d in truth.departures if counts(d, end)]
        figures.alarms.update(false_alarms(moves, spans))
        figures.let_go += sum(m.from_stage == "decline" and _true_on(spans, m) == "decline" for m in moves)
        figures.ends[truth.stage_at_end, stage] += 1
        figures.back.update(ways_back(moves, truth, end))
        for shown, days in held_back(moves, spans).items():
            figures.held[shown] += 1
            figures.days[shown] += days
            figures.still[shown] += int(stage == shown and truth.stage_at_end in FUNDED)
    return figures


def counts(departure: Departure, end: date) -> bool:
    """Whether a decline can be judged: it has ended, or lasts long enough to be noticed by anybody."""
    return over_on(departure) is not None or end - departure.started_on >= LONG


def over_on(departure: Departure) -> date | None:
    """The day on which the customer was gone, or back."""
    return min((day for day in (departure.left_on, departure.returned_on) if day is not None), default=None)


def found(moves: Sequence[Move], departure: Departure, end: date) -> Found:
    """What became of one true decline."""
    begin, over = departure.started_on, over_on(departure) or end
    shown, rule = shown_on(moves, begin)
    if shown == "decline" and rule != TOLD:
        return Found(departure.kind, "before", None, shown)
    for move in moves:
        day = move.evaluated_at.date()
        if move.to_stage == "decline" and begin <= day < over:
            told = move.rule_id == TOLD
            return Found(departure.kind, "told" if told else "rule", None if told else (day - begin).days, shown)
    return Found(departure.kind, "missed", None, shown)


def shown_on(moves: Sequence[Move], day: date) -> tuple[str, str | None]:
    """The stage with which a day began, and the rule that had led there."""
    past = [move for move in moves if move.evaluated_at.date() < day]
    return (past[-1].to_stage, past[-1].rule_id) if past else ("prospect", None)


def true_spans(truth: Truth, end: date) -> list[Span]:
    """The true stages one after the other, the last up to `end`."""
    return [(begin, stop, stage) for (begin, stage), (stop, _) in pairwise([*truth.stages, (end, "")])]


def false_alarms(moves: Sequence[Move], spans: Sequence[Span]) -> list[str]:
    """The rules that moved a customer with money to decline on a day on which nothing was wrong."""
    alarms = [move for move in moves if move.to_stage == "decline" and _true_on(spans, move) in FUNDED]
    return [move.rule_id or move.kind for move in alarms]


def _true_on(spans: Sequence[Span], move: Move) -> str:
    """The true stage on the day of a step."""
    return spans[bisect_right([begin for begin, _, _ in spans], move.evaluated_at.date()) - 1][2]


def flaps(steps: Sequence[tuple[date, str]], first: str) -> int:
    """How often a stage is entered again within FLAP of being left, in steps that begin in the stage `first`."""
    stages = [first, *(stage for _, stage in steps)]
    return sum(
        stages[n] == stages[n + 2] and back - away < FLAP for n, ((away, _), (back, _)) in enumerate(pairwise(steps))
    )


def held_back(moves: Sequence[Move], spans: Sequence[Span]) -> Counter[str]:
    """Days in prospect or trial of a customer who had had money for SETTLING, by stage."""
    days: Counter[str] = Counter()
    since: date | None = None
    for begin, stop, stage in spans:
        since = (since or begin) if stage in FUNDED else None
        if since is not None:
            for there, gone, shown in _shown_spans(moves, max(begin, since + SETTLING), stop):
                days[shown] += (gone - there).days * (shown in ("prospect", "trial"))
    return +days


def _shown_spans(moves: Sequence[Move], first: date, stop: date) -> list[Span]:
    """The stages shown between two days."""
    if first >= stop:
        return []
    changes = [(move.evaluated_at.date(), move.to_stage) for move in moves if first <= move.evaluated_at.date() < stop]
    marks = [(first, shown_on(moves, first)[0]), *changes, (stop, "")]
    return [(there, gone, shown) for (there, shown), (gone, _) in pairwise(marks)]


def ways_back(moves: Sequence[Move], truth: Truth, end: date) -> list[str]:
    """What brought the customer out of decline after each true return with money, or `none` within WELCOME."""
    grown = {day for day, stage in truth.stages if stage in FUNDED}
    returns = [d.returned_on for d in truth.departures if d.returned_on in grown and d.returned_on + WELCOME <= end]
    return [
        next((m.rule_id or m.kind for m in moves if day <= m.evaluated_at.date() < day + WELCOME), "none")
        for day in returns
        if shown_on(moves, day)[0] == "decline"
    ]
