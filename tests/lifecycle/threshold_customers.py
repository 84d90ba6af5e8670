"""The customers on both sides of every threshold, and what a policy does with them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from app.lifecycle.core.facts import SCORE
from app.lifecycle.core.ledger import Known, Ledger
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.rules import Subject, decide, evaluation
from tests.lifecycle.ledgers import DAY, fold
from tests.lifecycle.rule_examples import EXAMPLES, Life
from tests.lifecycle.threshold_cases import NUMBERS, THRESHOLDS
from tests.lifecycle.threshold_moves import MOVES

Key = tuple[str, str]
"""(policy, key of a threshold)."""
KEYS: list[Key] = [(policy, key) for policy, found in THRESHOLDS.items() for key in found]
RULES: list[Key] = list(
    dict.fromkeys((policy, key.split("/")[0]) for policy, key in KEYS if not key.startswith("score/"))
)


@dataclass(frozen=True)
class Customer:
    """Somebody on one side of a threshold. `held_for`: seconds that the rule has held for them already."""

    life: Life
    value: Any
    passes: bool
    held_for: float

    @cached_property
    def known(self) -> Known:
        """What the tables hold of them."""
        state, sent = self.life
        return fold(sent, state)

    def placed(self, stage: str) -> "Customer":
        """The same in another stage."""
        state, sent = self.life
        return replace(self, life=(replace(state, stage=stage), sent))


def owner(key: str) -> str:
    """The rule of a key, or `score/` and the contribution."""
    parts = key.split("/")
    return "/".join(parts[:2]) if parts[0] == "score" else parts[0]


def number(policy: str, rule: str, name: str) -> int:
    """A rule's `confirm_days` or `min_dwell_days`, a contribution's `points`, as the cases have it."""
    return NUMBERS[policy].get(f"{rule}/{name}", 0)


@cache
def customers(policy: str, key: str) -> tuple[Customer, ...]:
    """Those on both sides of a threshold, the nearest of each side first."""
    found, rule = THRESHOLDS[policy][key], owner(key)
    base = found.base or EXAMPLES[policy][rule]
    held_for = number(policy, rule, "confirm_days") * DAY
    return tuple(
        Customer(MOVES[found.fact](base, value), value, passes, held_for)
        for passes, values in ((True, found.passing), (False, found.failing))
        for value in values
    )


@cache
def staying(policy: str, rule: str) -> tuple[Customer, ...]:
    """Those whose least stay has ended today, and will end tomorrow."""
    ends, held_for = number(policy, rule, "min_dwell_days"), number(policy, rule, "confirm_days") * DAY
    sides = [(ends, True), (ends - 1, False)] if ends else [(0, True)]
    move, base = MOVES["days_in_stage"], EXAMPLES[policy][rule]
    return tuple(Customer(move(base, days), days, passes, held_for) for days, passes in sides)


@cache
def confirming(policy: str, rule: str) -> tuple[Customer, ...]:
    """Those whose confirm window ends now, and in a second."""
    ends = number(policy, rule, "confirm_days") * DAY
    sides = [(ends, True), (ends - 1, False)] if ends else [(ends, True)]
    return tuple(Customer(EXAMPLES[policy][rule], seconds, passes, seconds) for seconds, passes in sides)


@cache
def of_rule(policy: str, rule: str) -> tuple[Customer, ...]:
    """Everybody who stands beside a threshold of a rule or contribution."""
    own = [
        customer for name, key in KEYS if name == policy and owner(key) == rule for customer in customers(policy, key)
    ]
    return tuple(own) if rule.startswith("score/") else (*own, *staying(policy, rule), *confirming(policy, rule))


def treated(policy: Policy, name: str, found: Sequence[Customer]) -> list[float]:
    """1 for each whom the rule moves, were there no other, else 0; or the points that the contribution gives."""
    if name.startswith("score/"):
        alone = replace(policy, score=tuple(part for part in policy.score if f"score/{part.id}" == name))
        points: list[float] = evaluation(alone, Ledger([c.known for c in found], horizon=0))[SCORE][:, 0].tolist()
        return points
    [rule] = [rule for rule in policy.rules if rule.id == name]
    subjects = [Subject(c.known, confirming={rule.fingerprint: c.known.now - c.held_for}) for c in found]
    return [float(decision.rule is not None) for decision in decide(subjects, replace(policy, rules=(rule,)))]


def expected(policy: str, name: str, found: Sequence[Customer]) -> list[float]:
    """What `treated` must be."""
    worth = number(policy, name, "points") if name.startswith("score/") else 1
    return [float(worth * customer.passes) for customer in found]


def wrong(policy: Policy, name: str) -> bool:
    """Whether a rule or contribution treats anybody beside its thresholds otherwise than the cases say."""
    found = of_rule(policy.name, name)
    return treated(policy, name, found) != expected(policy.name, name, found)
