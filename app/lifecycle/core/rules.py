"""`decide`: who moves where, and when to look again. Pure; a set of customers at once.

A condition becomes a matrix of booleans over the coming days (see ledger.py). Its first column decides; the first
column that differs is the moment at which time alone would change it, which is `next_evaluation_at`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.lifecycle.core.conditions import Tree, leaves
from app.lifecycle.core.edges import BACK, Rule
from app.lifecycle.core.facts import SCORE, Array, Evaluation, entry_figures
from app.lifecycle.core.ledger import SOON, Bools, Ints, Known, Ledger
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.relationship import closed

DAY = 86_400.0
_TICK = 1e-6
"""Epoch seconds are known to less than a microsecond, the step of a clock: what is due within it is due."""
RETURNS_BEFORE_FREEZE = 3
"""So many returns to a stage left within 60 days switch the rules off for a customer, except those marked `always`."""

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": np.greater_equal,
    ">": np.greater,
    "<=": np.less_equal,
    "<": np.less,
    "==": np.equal,
    "!=": np.not_equal,
    "in": np.isin,
    "not_in": lambda actual, values: ~np.isin(actual, values),
}


def holds(tree: Tree, facts: Evaluation) -> Bools:
    """Truth of a condition, (n, T) or (n, 1). A comparison with a number that is not computed is false."""
    if "all" in tree:
        found = np.ones((facts.ledger.n, 1), dtype=bool)
        for child in tree["all"]:
            found = found & holds(child, facts)
        return found
    if "any" in tree:
        found = np.zeros((facts.ledger.n, 1), dtype=bool)
        for child in tree["any"]:
            found = found | holds(child, facts)
        return found
    if "of" in tree:
        count = np.zeros((facts.ledger.n, 1), dtype=np.int8)
        for child in tree["of"]:
            count = count + holds(child, facts).astype(np.int8)
        return np.asarray(count >= tree["at_least"])
    with np.errstate(invalid="ignore"):
        return np.asarray(_COMPARE[tree["op"]](facts[tree["fact"]], tree["value"]))


def evaluation(policy: Policy, ledger: Ledger) -> Evaluation:
    """The facts of a ledger, with the attrition score of the policy: a sum of points, at most 100."""
    facts = Evaluation(ledger)
    total = np.zeros((ledger.n, 1), dtype=np.float64)
    for part in policy.score:
        on = holds(part.when, facts)
        facts.reasons.append((part.id, on[:, 0]))
        total = total + part.points * on
    facts.set(SCORE, np.minimum(total, 100.0))
    return facts


@dataclass(frozen=True, slots=True)
class Subject:
    """A customer to decide about. Times are epoch seconds.

    `bound`: held, pinned or frozen, so that only rules marked `always` may fire. `confirming`: fingerprint of a rule ->
    since when it holds. `last_automatic_at`: the last step that a rule made.
    """

    known: Known
    bound: bool = False
    confirming: Mapping[str, float] = field(default_factory=dict)
    last_automatic_at: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows for one customer.

    `rule` fires now, towards `to`; None if nothing does. `confirming` replaces the subject's. `look_again_day` is the
    local day at whose midnight a predicate flips by time alone, `look_again_at` a moment within a day (a confirm window
    or the daily limit ends); None if there is none. `facts` are the values that the rule read, `entry` figures that the
    next stage will need. `closed`: whether the relationship has ended.
    """

    rule: Rule | None
    to: str | None
    confirming: Mapping[str, float]
    look_again_day: int
    look_again_at: float | None
    score: int
    score_reasons: tuple[str, ...]
    facts: Mapping[str, Any]
    entry: Mapping[str, float]
    closed: bool


def decide(subjects: Sequence[Subject], policy: Policy) -> list[Decision]:
    """One decision per subject, in order. All are in the stage of their state; stages may be mixed."""
    found: list[Decision | None] = [None] * len(subjects)
    for stage, rules in policy.by_stage.items():
        rows = [i for i, s in enumerate(subjects) if s.known.state.stage == stage]
        if rows:
            group = [subjects[i] for i in rows]
            facts = evaluation(policy, Ledger([s.known for s in group], horizon=SOON))
            for i, decision in zip(rows, _decide_group(group, rules, facts), strict=True):
                found[i] = decision
    return [decision for decision in found if decision is not None]


def _decide_group(group: Sequence[Subject], rules: Sequence[Rule], facts: Evaluation) -> list[Decision]:
    truth = [holds(rule.condition, facts) for rule in rules]
    flips = _first_flips(truth, len(group)).tolist()
    # Plain lists: picking single numbers out of arrays costs more than all of the above.
    now = [t[:, 0].tolist() for t in truth]
    score = facts[SCORE][:, 0].tolist()
    reasons = [(name, on.tolist()) for name, on in facts.reasons]
    ended = closed(facts.ledger)[:, 0].tolist()
    decisions = []
    for row, subject in enumerate(group):
        true_now = [rule for rule, true in zip(rules, now, strict=True) if true[row]]
        fired, confirming, moment = _choose(subject, true_now)
        decisions.append(
            Decision(
                rule=fired,
                to=_target(fired, subject),
                confirming=confirming,
                look_again_day=subject.known.today + flips[row],
                look_again_at=moment,
                score=int(score[row]),
                score_reasons=tuple(name for name, on in reasons if on[row]),
                facts=facts_read(fired.condition, facts, row) if fired else {},
                entry=entry_figures(facts.ledger, row) if fired else {},
                closed=ended[row],
            )
        )
    return decisions


def _first_flips(truth: Sequence[Bools], n: int) -> Ints:
    """Days until the first predicate flips by time alone; SOON if none does before."""
    first = np.full(n, SOON, dtype=np.int64)
    for matrix in truth:
        if matrix.shape[1] == 1:  # time does not change it
            continue
        differs = matrix != matrix[:, :1]
        first = np.minimum(first, np.where(differs.any(axis=1), differs.argmax(axis=1), SOON))
    return first


def _choose(subject: Subject, true_now: Sequence[Rule]) -> tuple[Rule | None, dict[str, float], float | None]:
    """The rule that fires among those that hold, the confirm windows, and the next moment within the day to look."""
    now = subject.known.now
    confirming: dict[str, float] = {}
    fired, moment = None, None
    limit = None if subject.last_automatic_at is None else subject.last_automatic_at + DAY
    for rule in true_now:
        if rule.to == BACK and subject.known.state.stage_before is None:
            continue
        due = now
        if rule.confirm_days:
            since = subject.confirming.get(rule.fingerprint, now)
            confirming[rule.fingerprint] = since
            due = since + rule.confirm_days * DAY
        if limit is not None and not (rule.always or rule.urgent):
            due = max(due, limit)
        if subject.bound and not rule.always:
            continue
        if due - now > _TICK:
            moment = due if moment is None else min(moment, due)
        elif fired is None:
            fired = rule
    return fired, ({} if fired else confirming), (None if fired else moment)


def _target(rule: Rule | None, subject: Subject) -> str | None:
    if rule is None:
        return None
    return subject.known.state.stage_before if rule.to == BACK else rule.to


def facts_read(tree: Tree, facts: Evaluation, row: int) -> dict[str, Any]:
    """Name and value, now, of every fact in a condition; None where it is not computed."""
    return {leaf["fact"]: value_now(facts[leaf["fact"]], row) for leaf in leaves(tree)}


def value_now(values: Array, row: int) -> Any:
    """A fact's value in column 0 as a JSON value."""
    value = values[row, 0].item()
    return None if isinstance(value, float) and np.isnan(value) else value


def entry_now(subject: Subject) -> dict[str, float]:
    """The figures to note when this subject enters another stage now."""
    return entry_figures(Ledger([subject.known], horizon=0), 0)
