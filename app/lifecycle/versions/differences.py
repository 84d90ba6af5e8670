"""What differs between two documents of a policy, down to single thresholds. Pure.

Both documents are valid. Only what means something is a difference: a value left out equals its default, the order of
`from` is none, and the order of rules counts only between rules of one stage and one priority.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from app.lifecycle.core.conditions import Tree
from app.lifecycle.core.edges import Rule
from app.lifecycle.core.stages import STAGES

Change = Literal["added", "removed", "changed", "moved"]
Document = Mapping[str, Any]

_RULE_DEFAULTS: Mapping[str, Any] = {
    "from": None, "to": None, "when": None, "guards": None, "confirm_days": 0, "min_dwell_days": 0, "priority": 0,
    "always": False, "urgent": False, "new_cycle": False, "why": "",
}  # fmt: skip
_SCORE_DEFAULTS: Mapping[str, Any] = {"points": 0, "when": None}
_TREES = ("when", "guards")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value that differs. `field` is a JSON pointer into the rule, contribution or document that it stands in.

    It points into the later document, or into the earlier one where nothing is left. `trees`: the comparisons before
    and after, where a part of one differs.
    """

    field: str
    before: Any
    after: Any
    trees: tuple[Tree, Tree] | None = None


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One rule or contribution that differs. `same_condition`: confirm windows that run go on.

    `fields` holds every field of one that was added or removed. `order` is no field of the document: the ids of the
    rules that are asked before this one although they have the same priority.
    """

    id: str
    change: Change
    fields: tuple[FieldChange, ...]
    same_condition: bool


@dataclass(frozen=True, slots=True)
class Differences:
    """Everything that differs between two documents."""

    rules: tuple[ItemChange, ...]
    score: tuple[ItemChange, ...]
    target_days: tuple[FieldChange, ...]
    texts: tuple[FieldChange, ...]


def differences(before: Document, after: Document) -> Differences:
    """What changed from `before` to `after`; all four parts are empty if they mean and say the same."""
    rules = [_normal(document["rules"], _RULE_DEFAULTS) for document in (before, after)]
    for found in rules:
        for rule in found.values():
            rule["from"] = [stage for stage in STAGES if stage in rule["from"]]
    score = [_normal(document.get("score", []), _SCORE_DEFAULTS) for document in (before, after)]
    targets = [document.get("target_days", {}) for document in (before, after)]
    return Differences(
        rules=_items(rules[0], rules[1], _rivals(rules[0]), _rivals(rules[1])),
        score=_items(score[0], score[1], {}, {}),
        target_days=tuple(_field(stage, targets[0].get(stage), targets[1].get(stage)) for stage in STAGES
                          if targets[0].get(stage) != targets[1].get(stage)),
        texts=_texts(before, after),
    )  # fmt: skip


def _field(name: str, before: Any, after: Any) -> FieldChange:
    return FieldChange(f"/{name}", before, after)


def _texts(before: Document, after: Document) -> tuple[FieldChange, ...]:
    pairs = [("name", before.get("name"), after.get("name"))]
    described = [document.get("description", {}) for document in (before, after)]
    pairs += [(f"description/{code}", described[0].get(code), described[1].get(code)) for code in ("en", "zh")]
    return tuple(_field(*pair) for pair in pairs if pair[1] != pair[2])


def _normal(items: Sequence[Document], defaults: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Items by id, with every value that may be left out."""
    return {item["id"]: {name: item.get(name, value) for name, value in defaults.items()} for item in items}


def _rivals(rules: Mapping[str, Document]) -> dict[str, list[str]]:
    """For each rule those that stand before it, share a stage with it and have its priority."""
    found: dict[str, list[str]] = {}
    for name, rule in rules.items():
        found[name] = [
            other
            for other in found
            if rules[other]["priority"] == rule["priority"] and set(rules[other]["from"]) & set(rule["from"])
        ]
    return found


def _items(
    before: Mapping[str, Document],
    after: Mapping[str, Document],
    rivals_before: Mapping[str, Sequence[str]],
    rivals_after: Mapping[str, Sequence[str]],
) -> tuple[ItemChange, ...]:
    found: list[ItemChange] = []
    for name in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            fields = _whole(old, new)
            found.append(ItemChange(name, "added" if old is None else "removed", fields, same_condition=False))
            continue
        changed = _changed(old, new)
        order = _order(name, rivals_before, rivals_after)
        if changed or order:
            change: Change = "changed" if changed else "moved"
            found.append(ItemChange(name, change, (*changed, *order), _condition(name, old) == _condition(name, new)))
    return tuple(found)


def _whole(old: Document | None, new: Document | None) -> tuple[FieldChange, ...]:
    names = [name for name, value in (old or new or {}).items() if value not in (None, 0, "")]
    return tuple(_field(name, old and old[name], new and new[name]) for name in names)


def _changed(old: Document, new: Document) -> tuple[FieldChange, ...]:
    changed: list[FieldChange] = []
    for name, value in new.items():
        if name in _TREES:
            changed += _tree(old[name], value, f"/{name}")
        elif old[name] != value:
            changed.append(_field(name, old[name], value))
    return tuple(changed)


def _order(
    name: str, before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]
) -> tuple[FieldChange, ...]:
    """Whether a rule changed its place among those that rival with it in both documents."""
    if name not in before or name not in after:
        return ()

    def is_rival(other: str, rivals: Mapping[str, Sequence[str]]) -> bool:
        return other in rivals[name] or name in rivals.get(other, ())

    old = [other for other in before[name] if is_rival(other, after)]
    new = [other for other in after[name] if is_rival(other, before)]
    return () if set(old) == set(new) else (FieldChange("order", old, new),)


def _condition(name: str, item: Document) -> str:
    """Identity of a condition, the same that confirm windows are kept by."""
    rule = Rule(
        id=name, sources=(), to="", when=item["when"], guards=item.get("guards"), confirm_days=0,
        min_dwell_days=item.get("min_dwell_days", 0), priority=0, always=False, urgent=False, new_cycle=False, why="",
    )  # fmt: skip
    return rule.fingerprint


def _same(before: Any, after: Any) -> bool:
    """Equality of JSON, for which 1 and true differ."""
    return _text(before) == _text(after)


def _text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _list_name(tree: Tree) -> str:
    return next((name for name in ("all", "any", "of") if name in tree), "")


def _tree(before: Tree | None, after: Tree | None, pointer: str) -> list[FieldChange]:
    """What differs between two conditions, comparison by comparison where they have the same shape."""
    if _same(before, after):
        return []
    whole = [FieldChange(pointer, before, after)]
    if before is None or after is None:
        return whole
    names = (_list_name(before), _list_name(after))
    if names == ("", ""):
        return _comparison(before, after, pointer) if before["fact"] == after["fact"] else whole
    if names[0] == names[1]:
        return _lists(before, after, names[0], pointer)
    # One condition that others were added to, or the other way round.
    parts = [tree["all"] if name == "all" else [tree] for tree, name in zip((before, after), names, strict=True)]
    if "all" in names and not _same(*parts) and any(_same(a, b) for a in parts[0] for b in parts[1]):
        return _lists({"all": parts[0]}, {"all": parts[1]}, "all", pointer)
    return whole


def _comparison(before: Tree, after: Tree, pointer: str) -> list[FieldChange]:
    return [
        FieldChange(f"{pointer}/{name}", before[name], after[name], (before, after))
        for name in ("op", "value")
        if not _same(before[name], after[name])
    ]


def _lists(before: Tree, after: Tree, name: str, pointer: str) -> list[FieldChange]:
    old, new = list(enumerate(before[name])), list(enumerate(after[name]))
    changed: list[FieldChange] = []
    if before.get("at_least") != after.get("at_least"):
        changed.append(FieldChange(f"{pointer}/at_least", before["at_least"], after["at_least"]))
    keys: list[Callable[[Tree], Hashable]] = [_text, lambda t: (t.get("fact"), t.get("op")), lambda t: t.get("fact")]
    pairs: list[tuple[_Part, _Part]] = []
    for key in keys:
        pairs += _take_pairs(old, new, lambda tree, key=key: (_list_name(tree), key(tree)))  # type: ignore[misc]
    for (_, was), (i, now) in sorted(pairs, key=lambda pair: pair[1][0]):
        changed += _tree(was, now, f"{pointer}/{name}/{i}")
    changed += [FieldChange(f"{pointer}/{name}/{i}", tree, None) for i, tree in old]
    changed += [FieldChange(f"{pointer}/{name}/{i}", None, tree) for i, tree in new]
    # The same parts in another order: another condition to the confirm windows, though it means the same.
    return changed or [FieldChange(f"{pointer}/{name}", before[name], after[name])]


_Part = tuple[int, Tree]


def _take_pairs(old: list[_Part], new: list[_Part], key: Callable[[Tree], Hashable]) -> list[tuple[_Part, _Part]]:
    """Take out of both lists what belongs together by `key`, first with first."""
    pairs: list[tuple[_Part, _Part]] = []
    for part in list(old):
        other = next((candidate for candidate in new if key(candidate[1]) == key(part[1])), None)
        if other is not None:
            pairs.append((part, other))
            old.remove(part)
            new.remove(other)
    return pairs
