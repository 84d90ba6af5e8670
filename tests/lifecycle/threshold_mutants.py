"""Slips of the pen: copies of a policy with one place changed, by as little as matters."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from app.lifecycle.core.conditions import Tree
from app.lifecycle.core.edges import Rule
from app.lifecycle.core.policy import Contribution, Policy
from tests.lifecycle.threshold_cases import THRESHOLDS, Threshold
from tests.lifecycle.threshold_moves import step

Mutant = tuple[str, Policy]
"""(key and what became of it, the policy)."""

ALWAYS: Tree = {"all": []}
NEVER: Tree = {"any": []}
STRICTNESS = {">=": ">", ">": ">=", "<=": "<", "<": "<="}
REVERSE = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}
CONTRARY = {"==": "!=", "!=": "==", "in": "not_in", "not_in": "in"}
HAIR = 1 + 1e-6
"""Shares are floats: a threshold is moved by a hair more than one step."""

_LEAST_STAY = "the least stay of the rule asks for the same days"
_DAYS_IN_STAGE = "the comparison with days_in_stage asks for the same days"
_A_PAYMENT_IS_AN_ACT = "three months with payments are three active months already, for a payment is an act"
_THE_END = "the fact cannot lie beyond this value"
EQUIVALENT = {
    "wealth": {
        "recycled/when/all/0 removed": _LEAST_STAY,
        "recycled/when/all/0 >= 44": _LEAST_STAY,
        "recycled/min_dwell_days 44": _DAYS_IN_STAGE,
        "matured/when/all/1 removed": _LEAST_STAY,
        "matured/when/all/1 >= 179": _LEAST_STAY,
        "matured/min_dwell_days 179": _DAYS_IN_STAGE,
        "recycled/when/all/1 ==": _THE_END,
        "recycled/when/all/2 ==": _THE_END,
        "lost_in_trial/when/any/2/all/1 ==": _THE_END,
    },
    "retail_bank": {
        "recycled/when/all/0 ==": _THE_END,
        "fast_track/when/all/1 ==": _THE_END,
        "converted/when/all/1 ==": _THE_END,
        **{
            f"{rule}/when/all/0 {change}": _A_PAYMENT_IS_AN_ACT
            for rule in ("fast_track", "converted")
            for change in ("removed", ">= 2", "<=", "==")
        },
    },
}
"""Changes that no customer could ever notice, and why."""


def nodes(tree: Tree, place: str) -> Iterator[tuple[str, Tree]]:
    """Every part of a condition with its pointer, the whole of it first."""
    yield place, tree
    for name in ("all", "any", "of"):
        for i, child in enumerate(tree.get(name, ())):
            yield from nodes(child, f"{place}/{name}/{i}")


def places(policy: Policy) -> Iterator[tuple[str, Tree]]:
    """Every part of every condition of a policy with its key."""
    for rule in policy.rules:
        yield from nodes(rule.when, f"{rule.id}/when")
        yield from nodes(rule.guards, f"{rule.id}/guards") if rule.guards else ()
    for part in policy.score:
        yield from nodes(part.when, f"score/{part.id}/when")


def _put(tree: Tree, path: list[str], part: Tree | None) -> Tree:
    if not path:
        return ALWAYS if part is None else part
    name, place, *rest = path
    children, i = list(tree[name]), int(place)
    children[i : i + 1] = [] if part is None and not rest else [_put(children[i], rest, part)]
    return {**tree, name: children}


def put(policy: Policy, key: str, part: Tree | None) -> Policy:
    """The policy with another condition at a key; None takes it away."""
    item, field, path = _found(policy, key)
    return _replaced(policy, item, field, _put(getattr(item, field), path, part))


def _found(policy: Policy, key: str) -> tuple[Rule | Contribution, str, list[str]]:
    kind, key = ("score", key.removeprefix("score/")) if key.startswith("score/") else ("rules", key)
    name, field, *path = key.split("/")
    return next(item for item in getattr(policy, kind) if item.id == name), field, path


def _replaced(policy: Policy, item: Rule | Contribution, field: str, value: Any) -> Policy:
    kind = "rules" if isinstance(item, Rule) else "score"
    changed = replace(item, **{field: value})
    return replace(policy, **{kind: tuple(changed if i is item else i for i in getattr(policy, kind))})


def mutants(policy: Policy) -> Iterator[Mutant]:
    """Every single change of a value, an operator, a comparison, a group, a wait, or points."""
    for key, node in places(policy):
        yield f"{key} removed", put(policy, key, None)
        changes = _of_comparison(node, THRESHOLDS[policy.name][key]) if "fact" in node else _of_group(node)
        for what, changed in changes:
            yield f"{key} {what}", put(policy, key, changed)
    waits = [f"{rule.id}/{name}" for rule in policy.rules for name in ("confirm_days", "min_dwell_days")]
    for key in (*waits, *(f"score/{part.id}/points" for part in policy.score)):
        item, field, _ = _found(policy, key)
        now = getattr(item, field)
        for other in (now + 1, now - 1) if now else (1,):
            yield f"{key} {other}", _replaced(policy, item, field, other)


def _of_group(node: Tree) -> Iterator[tuple[str, Tree]]:
    match node:
        case {"all": parts}:
            yield "any", {"any": parts}
        case {"any": parts}:
            yield "all", {"all": parts}
        case {"at_least": least, "of": parts}:
            for other in (least - 1, least + 1):
                yield f"at_least {other}", {"at_least": other, "of": parts}


def _of_comparison(leaf: Tree, known: Threshold) -> Iterator[tuple[str, Tree]]:
    op, value = leaf["op"], leaf["value"]
    for other in _ops(op, value):
        yield other, {**leaf, "op": other}
    for other in _values(leaf["fact"], value, known):
        shown = f"{other:.10g}" if isinstance(other, float) else other
        yield f"{op} {shown}", {**leaf, "value": other}


def _ops(op: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ()
    return (CONTRARY[op],) if isinstance(value, str | list) else (STRICTNESS[op], REVERSE[op], "==")


def _values(fact: str, value: Any, known: Threshold) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case str():
            return [other for other in (*known.passing, *known.failing) if other != value]
        case list():
            fewer = [[v for v in value if v != left_out] for left_out in value]
            return [*fewer, *([*value, other] for other in known.failing)]
    by = step(fact)
    by = by if isinstance(by, int) else by * HAIR
    return [value - by, value + by]
