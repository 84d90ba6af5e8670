"""Why a customer is where they are, what comes next, and what stands in the way. Pure; built on `decide`'s own parts."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from app.lifecycle.conditions import Tree, leaves
from app.lifecycle.edges import BACK, Rule
from app.lifecycle.facts import FACTS, Evaluation
from app.lifecycle.ledger import HORIZON, Ledger
from app.lifecycle.policy import Policy
from app.lifecycle.rules import Subject, evaluation, holds, value_now


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: the actual value, whether it holds, how far the value is from holding, when time alone flips it.

    `distance` is in the fact's unit, zero when it holds, None when the fact is not a number or not computed.
    `flips_day`: local day number, None if not within the horizon.
    """

    fact: str
    op: str
    threshold: Any
    actual: Any
    holds: bool
    distance: float | None
    flips_day: int | None
    label_en: str
    label_zh: str


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """One rule of the stage. `blocked_by`: facts whose comparisons fail now, of those that the rule needs.

    `confirmed_at`: when its confirm window ends, epoch seconds, if it holds and has one.
    """

    id: str
    to: str | None
    holds: bool
    blocked_by: tuple[str, ...]
    confirmed_at: float | None
    flips_day: int | None
    conditions: tuple[Condition, ...]


def explain(subject: Subject, policy: Policy) -> tuple[int, tuple[str, ...], list[RuleStatus]]:
    """The attrition score with its reasons, and every rule of the subject's stage with each of its conditions."""
    ledger = Ledger([subject.known])
    facts = evaluation(policy, ledger)
    reasons = tuple(name for name, on in facts.reasons if on[0])
    rules = [_status(rule, subject, facts) for rule in policy.by_stage[subject.known.state.stage]]
    return int(facts["attrition_score"][0, 0]), reasons, rules


def _status(rule: Rule, subject: Subject, facts: Evaluation) -> RuleStatus:
    truth = np.broadcast_to(holds(rule.condition, facts), (1, HORIZON + 1))[0]
    conditions = tuple(_condition(leaf, facts) for leaf in leaves(rule.condition))
    since = subject.confirming.get(rule.fingerprint, subject.known.now)
    return RuleStatus(
        id=rule.id,
        to=subject.known.state.stage_before if rule.to == BACK else rule.to,
        holds=bool(truth[0]),
        blocked_by=() if truth[0] else tuple(dict.fromkeys(_blocking(rule.condition, facts))),
        confirmed_at=since + rule.confirm_days * 86_400.0 if truth[0] and rule.confirm_days else None,
        flips_day=_flip(truth, subject.known.today),
        conditions=conditions,
    )


def _flip(truth: Any, today: int) -> int | None:
    differs = truth != truth[0]
    return today + int(differs.argmax()) if differs.any() else None


def _condition(leaf: Tree, facts: Evaluation) -> Condition:
    fact = FACTS[leaf["fact"]]
    truth = np.broadcast_to(holds(leaf, facts), (1, HORIZON + 1))[0]
    actual = value_now(facts[fact.name], 0)
    distance = None
    if fact.kind == "number" and actual is not None:
        distance = 0.0 if truth[0] else round(abs(leaf["value"] - actual), 4)
    today = facts.ledger.known[0].today
    return Condition(
        fact.name, leaf["op"], leaf["value"], actual, bool(truth[0]), distance, _flip(truth, today), fact.en, fact.zh
    )


def _blocking(tree: Tree, facts: Evaluation) -> list[str]:
    """Facts that keep a false condition false: of `all` the false parts, of `any` and `of` every false part."""
    if holds(tree, facts)[0, 0]:
        return []
    for name in ("all", "any", "of"):
        if name in tree:
            return [fact for child in tree[name] for fact in _blocking(child, facts)]
    return [tree["fact"]]
