"""What of a condition holds, and what stands in its way. Pure.

A condition is taken apart into its comparisons, each once, and a tree of their places: `{"all": [...]}`, `{"any": [...]}`,
`{"at_least": k, "of": [...]}` over numbers of comparisons. Each part also says whether it `holds`, and how many of its
parts do (`met`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.lifecycle.core.conditions import Tree, conjuncts

Node = Mapping[str, Any] | int
"""A part of a condition: a number of a comparison, or an object as above."""

_LISTS = ("all", "any", "of")
_SETTLED = frozenset(
    {"stage", "stage_before", "entered_by", "had_trial", "aum_before_decline", "outflow_before_decline"}
)
"""Facts that stay what they are while a customer stays in the stage."""
_RISING = frozenset({"days_in_stage", "tenure_days", "days_since_trial", "age"})
"""Facts that only rise while a customer stays in the stage."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Whether a comparison holds, can come to hold during this stay, and how far it is from that: 0 next to it, 1 far."""

    holds: bool
    possible: bool
    distance: float


def comparisons(tree: Tree) -> list[Tree]:
    """The comparisons of a condition in order, each once."""
    found: list[Tree] = []
    for name in _LISTS:
        for child in tree.get(name, ()):
            found += [leaf for leaf in comparisons(child) if leaf not in found]
    return found if any(name in tree for name in _LISTS) else [tree]


def structure(tree: Tree, leaves: Sequence[Tree], holds: Sequence[bool]) -> Node:
    """The tree of the places of its comparisons in `leaves`, of which `holds` says whether each is true now."""
    name = next((name for name in _LISTS if name in tree), None)
    if name is None:
        return leaves.index(tree)
    # Nested `all`, such as a rule's own around its guards, mean no more than one; said twice, a part counts once.
    children = conjuncts(tree) if name == "all" else tree[name]
    parts = [structure(child, leaves, holds) for child in children]
    if name != "of":
        parts = [part for i, part in enumerate(parts) if part not in parts[:i]]
    if len(parts) == 1:
        return parts[0]
    met = sum(node_holds(part, holds) for part in parts)
    least = {"all": len(parts), "any": 1}.get(name) or tree["at_least"]
    head = {"at_least": least} if name == "of" else {}
    return {**head, name: parts, "holds": met >= least, "met": met}


def node_holds(node: Node, holds: Sequence[bool]) -> bool:
    """Whether a part of a condition is true now."""
    return holds[node] if isinstance(node, int) else bool(node["holds"])


def _parts(node: Mapping[str, Any]) -> list[Node]:
    found: list[Node] = next(node[name] for name in _LISTS if name in node)
    return found


def grounds(node: Node, holds: Sequence[bool]) -> list[int]:
    """The comparisons that make a true condition true, in order; of a false one those that speak for it."""
    if isinstance(node, int):
        return [node] if holds[node] else []
    parts = _parts(node)
    if node["holds"]:
        parts = [part for part in parts if node_holds(part, holds)]
    return _distinct([place for part in parts for place in grounds(part, holds)])


def passes(leaf: Tree, value: Any) -> bool:
    """Whether a single value, None for not computed, passes a comparison."""
    asked = leaf["value"]
    match leaf["op"]:
        case "in":
            return value in asked
        case "not_in":
            return value not in asked
        case "==":
            return bool(value == asked)
        case "!=":
            return bool(value != asked)
    if value is None:
        return False
    above, below = value > asked, value < asked
    return bool({">": above, "<": below, ">=": not below, "<=": not above}[leaf["op"]])


def obstacle(leaf: Tree, actual: Any, *, holds: bool) -> Obstacle:
    """What a comparison with this actual value means for its condition."""
    asked = leaf["value"]
    if holds:
        return Obstacle(True, True, 0.0)
    is_number = isinstance(asked, int | float) and not isinstance(asked, bool)
    if not is_number or actual is None:
        return Obstacle(False, leaf["fact"] not in _SETTLED, 1.0)
    passed = actual >= asked and leaf["op"] in ("<", "<=", "==")
    possible = leaf["fact"] not in _SETTLED and not (leaf["fact"] in _RISING and passed)
    size = max(abs(asked), abs(actual))
    return Obstacle(False, possible, min(1.0, abs(asked - actual) / size) if size else 0.0)


@dataclass(frozen=True, slots=True)
class _Way:
    """How a false part can come to hold: every comparison that helps, and the shortest set that is enough."""

    helping: list[int]
    nearest: list[int]
    cost: float
    possible: bool


class Missing(NamedTuple):
    """What a condition lacks, as places of comparisons; nothing if it holds.

    `helping`: every false one that would help, `nearest` the nearest set that is enough. `possible`: whether it can come
    to hold during this stay.
    """

    helping: tuple[int, ...]
    nearest: tuple[int, ...]
    possible: bool


def missing(node: Node, leaves: Sequence[Obstacle]) -> Missing:
    """What a condition lacks.

    Where there is a choice, what cannot come to hold during this stay does not help, unless nothing else is left.
    """
    way = _way(node, leaves)
    return Missing(tuple(sorted(way.helping)), tuple(sorted(way.nearest)), way.possible)


def _way(node: Node, leaves: Sequence[Obstacle]) -> _Way:
    if isinstance(node, int):
        leaf = leaves[node]
        return _Way([], [], 0.0, True) if leaf.holds else _Way([node], [node], 1 + leaf.distance, leaf.possible)
    if node["holds"]:
        return _Way([], [], 0.0, True)
    holds = [leaf.holds for leaf in leaves]
    ways = [_way(part, leaves) for part in _parts(node) if not node_holds(part, holds)]
    needed = len(ways) if "all" in node else node.get("at_least", 1) - node["met"]
    open_ways = [way for way in ways if way.possible]
    possible = len(open_ways) >= needed
    choice = open_ways if possible else ways
    nearest = sorted(choice, key=lambda way: way.cost)[:needed]
    return _Way(
        _distinct([place for way in choice for place in way.helping]),
        _distinct([place for way in nearest for place in way.nearest]),
        sum(way.cost for way in nearest),
        possible,
    )


def _distinct(places: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(places))
