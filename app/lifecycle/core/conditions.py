"""Conditions as data: trees of comparisons, and what makes one valid.

Trees are `{"all": [...]}`, `{"any": [...]}`, `{"at_least": k, "of": [...]}` over comparisons
`{"fact": name, "op": ">=", "value": x}`, so that they can be explained and timed.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from app.lifecycle.core.facts import FACTS

Tree = Mapping[str, Any]
Problems = list[tuple[str, str, str]]
"""(JSON pointer, code, reason)."""

OPS: dict[str, tuple[str, ...]] = {
    ">=": ("number",), ">": ("number",), "<=": ("number",), "<": ("number",),
    "==": ("number", "bool", "text"), "!=": ("text",), "in": ("text",), "not_in": ("text",),
}  # fmt: skip
DEPTH = 8
"""How deep trees may be nested; deeper ones nobody could explain."""
LARGEST = 1e15

_SHAPES = ({"all"}, {"any"}, {"at_least", "of"}, {"fact", "op", "value"})


def near(name: object, names: Iterable[str]) -> str:
    """A hint at the nearest known name, or nothing."""
    found = difflib.get_close_matches(str(name), list(names), 1)
    return f"; did you mean {found[0]}?" if found else ""


def check_keys(found: Mapping[str, Any], known: Collection[str], pointer: str, problems: Problems) -> None:
    """Report every key that nobody reads: most likely a slip that would change the meaning in silence."""
    for key in found:
        if key not in known:
            problems.append((f"{pointer}/{key}", "unknown_field", f"is not known here{near(key, known)}"))


def check_tree(tree: Any, pointer: str, problems: Problems, *, without: str = "", depth: int = 0) -> Tree:
    """`tree` itself if nothing was found; `without` names a fact that it may not read."""
    if not isinstance(tree, dict) or not tree:
        problems.append((pointer, "missing", "a condition is needed"))
        return {"all": []}
    if depth > DEPTH:
        problems.append((pointer, "too_deep", f"conditions may be nested {DEPTH} levels deep"))
        return {"all": []}
    if set(tree) not in _SHAPES:
        allowed = "all, any, at_least and of, or fact, op and value"
        problems.append((pointer, "wrong_shape", f"a condition has {allowed}, and nothing else"))
        return {"all": []}
    name = next((name for name in ("all", "any", "of") if name in tree), None)
    if name is None:
        _check_comparison(tree, pointer, problems, without)
        return tree
    children = tree[name]
    if not isinstance(children, list) or not children:
        problems.append((f"{pointer}/{name}", "not_a_list", "must be a list with at least one condition"))
        return {"all": []}
    least = tree.get("at_least", 1)
    if type(least) is not int or not 1 <= least <= len(children):
        problems.append((f"{pointer}/at_least", "wrong_number", "must be a whole number from 1 to the length of `of`"))
    for i, child in enumerate(children):
        check_tree(child, f"{pointer}/{name}/{i}", problems, without=without, depth=depth + 1)
    return tree


def _check_comparison(tree: Tree, pointer: str, problems: Problems, without: str) -> None:
    fact = FACTS.get(str(tree["fact"]))
    if fact is None:
        problems.append((f"{pointer}/fact", "unknown_fact", f"not a declared fact{near(tree['fact'], FACTS)}"))
    elif fact.name == without:
        problems.append((f"{pointer}/fact", "circular", f"{fact.name} is made of these conditions"))
    elif fact.kind not in OPS.get(str(tree["op"]), ()):
        problems.append((f"{pointer}/op", "wrong_op", f"not an operator for {fact.name}, which is {fact.kind}"))
    elif not _fits(fact.kind, tree["op"], tree["value"]):
        problems.append((f"{pointer}/value", "wrong_value", f"does not fit {fact.name}, which is {fact.kind}"))
    elif fact.values:
        check_values(tree, pointer, fact.values, problems)


def check_values(tree: Tree, pointer: str, values: Collection[str], problems: Problems) -> None:
    """Report texts that the fact can never be: a rule on one never fires, or always does."""
    wanted = tree["value"]
    places = enumerate(wanted) if isinstance(wanted, list) else [(None, wanted)]
    for place, value in places:
        if value not in values:
            at = f"{pointer}/value" if place is None else f"{pointer}/value/{place}"
            problems.append((at, "unknown_value", f"{tree['fact']} is never that{near(value, values)}"))


def _fits(kind: str, op: str, value: Any) -> bool:
    if op in ("in", "not_in"):
        return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
    return isinstance(value, bool if kind == "bool" else str)


def leaves(tree: Tree) -> list[Tree]:
    """The comparisons of a condition."""
    for name in ("all", "any", "of"):
        if name in tree:
            return [leaf for child in tree[name] for leaf in leaves(child)]
    return [tree]


def conjuncts(tree: Tree) -> list[Tree]:
    """What must all hold: the parts of nested `all`."""
    if "all" not in tree:
        return [tree]
    return [part for child in tree["all"] for part in conjuncts(child)]
