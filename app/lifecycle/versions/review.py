"""What is wrong with the document of a policy, and what looks like a slip. Pure.

A problem keeps a document from being stored; a warning does not: the policy works, perhaps not as meant.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from app.lifecycle.core.conditions import Tree, check_keys, near
from app.lifecycle.core.edges import BACK, Rule
from app.lifecycle.core.facts import SCORE
from app.lifecycle.core.policy import InvalidPolicy, Policy, parse_policy
from app.lifecycle.core.stages import STAGES
from app.lifecycle.versions.diagram import Edge, edges_of

FIELDS = ("name", "description", "target_days", "score", "rules")

MOST_VALUES = 5000
"""Numbers, texts, lists and objects that a document may hold; the shipped ones hold some six hundred."""
LONGEST_TEXT = 2000


class Remark(NamedTuple):
    """One place of a document: JSON pointer, stable code, reason, and the rule that it belongs to."""

    pointer: str
    code: str
    detail: str
    rule_id: str | None


def problems_of(document: Mapping[str, Any]) -> list[Remark]:
    """Everything that keeps a document from being a policy; empty if nothing does."""
    found = _oversized(document)
    if not found:
        check_keys(document, FIELDS, "", found)
        found += _slips(document)
        try:
            parse_policy(document, 0)
        except InvalidPolicy as error:
            found += error.problems
    return [Remark(pointer, code, detail, _rule_at(document, pointer)) for pointer, code, detail in found]


def _oversized(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Checked first: what follows looks for near names and compares rules with rules."""
    waiting: list[tuple[str, Any]] = [("", document)]
    count = 0
    while waiting:
        pointer, value = waiting.pop()
        count += 1
        if count > MOST_VALUES:
            return [("", "too_large", f"at most {MOST_VALUES} values in all")]
        texts = [value, *value] if isinstance(value, dict) else [value]
        if any(isinstance(text, str) and len(text) > LONGEST_TEXT for text in texts):
            return [(pointer[:200], "too_long", f"texts have at most {LONGEST_TEXT} characters")]
        if isinstance(value, dict):
            waiting += [(f"{pointer}/{key}", child) for key, child in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{pointer}/{i}", child) for i, child in enumerate(value)]
    return []


def _slips(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What would not stop a policy from working, and is never meant."""
    found = []
    rules = document.get("rules")
    for i, rule in enumerate(rules if isinstance(rules, list) else []):
        if not isinstance(rule, dict):
            continue
        sources = rule.get("from")
        named = sources if isinstance(sources, list) else []
        for j, stage in enumerate(named):
            if stage in named[:j]:
                found.append((f"/rules/{i}/from/{j}", "twice", "the stage is named twice"))
        if not isinstance(rule.get("why", ""), str):
            found.append((f"/rules/{i}/why", "not_a_text", "must be a text"))
    return found


def _rule_at(document: Mapping[str, Any], pointer: str) -> str | None:
    """The id of the rule that a pointer leads into, if it has one."""
    _, top, *rest = [*pointer.split("/"), ""]
    rules = document.get("rules")
    place = int(rest[0]) if rest and rest[0].isdecimal() else -1
    if top != "rules" or not isinstance(rules, list) or not 0 <= place < len(rules):
        return None
    name = rules[place].get("id") if isinstance(rules[place], dict) else None
    return name if isinstance(name, str) else None


def warnings_of(document: Mapping[str, Any]) -> list[Remark]:
    """What looks like a slip in a document without problems."""
    policy = parse_policy(document, 0)
    rules = [rule for raw in document["rules"] for rule in policy.rules if rule.id == raw["id"]]
    found = [*_stages(policy), *_score(document, rules)]
    for i, (raw, rule) in enumerate(zip(document["rules"], rules, strict=True)):
        if not rule.why.strip():
            found.append(Remark(f"/rules/{i}/why", "no_reason", "nobody will know why it is as it is", rule.id))
        possible = _possible(rule, rules)
        for name in ("when", "guards"):
            found += _values(raw.get(name), f"/rules/{i}/{name}", possible, rule.id)
    everywhere = {"entered_by": ("none", *(rule.id for rule in rules))}
    for i, part in enumerate(document.get("score", [])):
        found += _values(part["when"], f"/score/{i}/when", everywhere, None)
    return found


def _stages(policy: Policy) -> Iterator[Remark]:
    edges = edges_of(policy.rules)
    for stage in STAGES:
        if stage not in [edge.source for edge in edges]:
            yield Remark("/rules", "no_way_out", f"no rule leads out of {stage}", None)
        # A way back leads only where somebody has been before.
        if stage != STAGES[0] and stage not in [edge.target for edge in edges if edge.rule.to != BACK]:
            yield Remark("/rules", "no_way_in", f"no rule leads to {stage}", None)


def _score(document: Mapping[str, Any], rules: Sequence[Rule]) -> Iterator[Remark]:
    if document.get("score") and not any(
        leaf["fact"] == SCORE for rule in rules for _, leaf in _leaves(rule.condition, "")
    ):
        yield Remark("/score", "score_unused", "no rule reads the attrition score", None)


def _possible(rule: Rule, rules: Sequence[Rule]) -> dict[str, tuple[str, ...]]:
    """What texts that depend on the policy can be while a customer is where this rule starts."""
    entries: list[Edge] = [edge for edge in edges_of(rules) if edge.target in rule.sources]
    entered = tuple(dict.fromkeys(edge.rule.id for edge in entries))
    return {"stage": rule.sources, "entered_by": ("none", *entered)}


def _leaves(tree: Tree, pointer: str) -> Iterator[tuple[str, Tree]]:
    """The comparisons of a condition with the places that they stand at."""
    for name in ("all", "any", "of"):
        if name in tree:
            for i, child in enumerate(tree[name]):
                yield from _leaves(child, f"{pointer}/{name}/{i}")
            return
    yield pointer, tree


def _values(
    tree: Tree | None, pointer: str, possible: Mapping[str, tuple[str, ...]], rule_id: str | None
) -> Iterator[Remark]:
    """Texts that a fact is compared with although it can never be that."""
    for place, leaf in _leaves(tree, pointer) if tree else ():
        values = leaf["value"] if isinstance(leaf["value"], list) else [leaf["value"]]
        known = possible.get(leaf["fact"])
        for i, value in enumerate(values if known else []):
            if known and value not in known:
                where = f"{place}/value/{i}" if isinstance(leaf["value"], list) else f"{place}/value"
                yield Remark(where, "never_so", f"{leaf['fact']} is never this here{near(value, known)}", rule_id)
