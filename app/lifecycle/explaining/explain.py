"""Why a customer is where they are, what comes next, and what stands in the way. Pure; built on `decide`'s own parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.lifecycle.core.conditions import Tree
from app.lifecycle.core.edges import BACK, Rule
from app.lifecycle.core.facts import FACTS, Evaluation
from app.lifecycle.core.ledger import HORIZON, Bools, Ledger
from app.lifecycle.core.policy import Contribution, Policy
from app.lifecycle.core.rules import DAY, Subject, evaluation, holds, value_now
from app.lifecycle.explaining.obstacles import Missing, Node, comparisons, grounds, missing, obstacle, structure


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: the actual value, whether it holds, how far the value is from holding, when time alone flips it.

    `distance` is in the fact's unit, zero when it holds, None when the fact is not a number or not computed.
    `flips_day`: local day number, None if not within the horizon.
    """

    leaf: Tree
    actual: Any
    holds: bool
    distance: float | None
    flips_day: int | None

    @property
    def fact(self) -> str:
        """The fact that is compared."""
        return str(self.leaf["fact"])


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """One rule of the stage.

    `tree`: the shape of its condition over places in `conditions`, of which `missing` names some. `since`: since when it
    holds, epoch seconds; `confirmed_at`: when its confirm window ends, if it holds and has one. `runs`: the days on which
    it holds if nothing happens, each stretch from its first day to the day after its last, None if that is not within
    the horizon.
    """

    rule: Rule
    to: str | None
    holds: bool
    since: float | None
    confirmed_at: float | None
    flips_day: int | None
    runs: tuple[tuple[int, int | None], ...]
    conditions: tuple[Condition, ...]
    tree: Node
    missing: Missing

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """The facts of the comparisons that fail and would help."""
        return tuple(dict.fromkeys(self.conditions[place].fact for place in self.missing.helping))


@dataclass(frozen=True, slots=True)
class ScorePart:
    """A contribution to the attrition score, whether it counts now, and the comparisons that it does or does not for."""

    id: str
    points: int
    counts: bool
    named: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The attrition score with its parts, and every rule of the stage, highest priority first."""

    score: int
    parts: tuple[ScorePart, ...]
    rules: tuple[RuleStatus, ...]

    @property
    def score_reasons(self) -> tuple[str, ...]:
        """The contributions that count."""
        return tuple(part.id for part in self.parts if part.counts)


def explain(subject: Subject, policy: Policy) -> Explanation:
    """The attrition score with its reasons, and every rule of the subject's stage with each of its conditions."""
    facts = evaluation(policy, Ledger([subject.known]))
    return Explanation(
        score=int(facts["attrition_score"][0, 0]),
        parts=tuple(_part(part, facts) for part in policy.score),
        rules=tuple(_status(rule, subject, facts) for rule in policy.by_stage[subject.known.state.stage]),
    )


def _status(rule: Rule, subject: Subject, facts: Evaluation) -> RuleStatus:
    truth = _truth(rule.condition, facts)
    conditions, tree = _taken_apart(rule.condition, facts)
    lacking = _missing(conditions, tree)
    since = subject.confirming.get(rule.fingerprint, subject.known.now) if truth[0] and rule.confirm_days else None
    return RuleStatus(
        rule=rule,
        to=subject.known.state.stage_before if rule.to == BACK else rule.to,
        holds=bool(truth[0]),
        since=since,
        confirmed_at=None if since is None else since + rule.confirm_days * DAY,
        flips_day=_flip(truth, subject.known.today),
        runs=_runs(truth, subject.known.today),
        conditions=conditions,
        tree=tree,
        missing=lacking,
    )


def _part(part: Contribution, facts: Evaluation) -> ScorePart:
    conditions, tree = _taken_apart(part.when, facts)
    counts = bool(_truth(part.when, facts)[0])
    places = grounds(tree, [c.holds for c in conditions]) if counts else _missing(conditions, tree).nearest
    return ScorePart(part.id, part.points, counts, tuple(conditions[place] for place in places))


def _taken_apart(tree: Tree, facts: Evaluation) -> tuple[tuple[Condition, ...], Node]:
    leaves = comparisons(tree)
    conditions = tuple(_condition(leaf, facts) for leaf in leaves)
    return conditions, structure(tree, leaves, [condition.holds for condition in conditions])


def _missing(conditions: Sequence[Condition], tree: Node) -> Missing:
    return missing(tree, [obstacle(c.leaf, c.actual, holds=c.holds) for c in conditions])


def _condition(leaf: Tree, facts: Evaluation) -> Condition:
    fact = FACTS[leaf["fact"]]
    truth = _truth(leaf, facts)
    actual = value_now(facts[fact.name], 0)
    distance = None
    if fact.kind == "number" and actual is not None:
        distance = 0.0 if truth[0] else round(abs(leaf["value"] - actual), 4)
    return Condition(leaf, actual, bool(truth[0]), distance, _flip(truth, facts.ledger.known[0].today))


def _truth(tree: Tree, facts: Evaluation) -> Bools:
    """Whether a condition holds on each day of the horizon."""
    truth: Bools = np.broadcast_to(holds(tree, facts), (1, HORIZON + 1))[0]
    return truth


def _flip(truth: Bools, today: int) -> int | None:
    differs = truth != truth[0]
    return today + int(differs.argmax()) if differs.any() else None


def _runs(truth: Bools, today: int) -> tuple[tuple[int, int | None], ...]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], truth, [False])).astype(np.int8))).tolist()
    return tuple(
        (today + begin, today + end if end <= HORIZON else None)
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
    )
