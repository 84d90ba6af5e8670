"""A policy as data: which rule moves whom, from where to where, and what the attrition score is made of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.lifecycle.core.conditions import Problems, Tree, check_keys, check_tree
from app.lifecycle.core.edges import BACK, Rule
from app.lifecycle.core.facts import SCORE
from app.lifecycle.core.soundness import unsound
from app.lifecycle.core.stages import STAGES

_ID = re.compile(r"[a-z][a-z0-9_]{0,59}")
_LONGEST_WAIT = 366
_LONGEST_TARGET = 36_600

_RULE_FIELDS = {"id", "from", "to", "when", "guards", "confirm_days", "min_dwell_days", "priority"}
_RULE_FIELDS |= {"always", "urgent", "new_cycle", "why"}


class InvalidPolicy(ValueError):
    """A policy that cannot be used. `problems` lists (JSON pointer, code, reason)."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("; ".join(f"{pointer}: {detail}" for pointer, _, detail in problems))
        self.problems = problems


@dataclass(frozen=True)
class Contribution:
    """Points that a condition adds to the attrition score."""

    id: str
    points: int
    when: Tree


@dataclass(frozen=True)
class Policy:
    """A validated policy. `rules` are in order of priority; `target_days` says how long a stage should take."""

    name: str
    version: int
    rules: tuple[Rule, ...]
    score: tuple[Contribution, ...]
    target_days: Mapping[str, int]

    @cached_property
    def by_stage(self) -> dict[str, tuple[Rule, ...]]:
        """Candidate rules of each stage, highest priority first, then in the order of the document."""
        return {stage: tuple(r for r in self.rules if stage in r.sources) for stage in STAGES}

    def rule(self, rule_id: str) -> Rule | None:
        """The rule of that id, None if there is none."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)

    def edges(self, stage: str, stage_before: str | None) -> set[str]:
        """Stages that some rule leads to from `stage`."""
        found = {(stage_before or "") if rule.to == BACK else rule.to for rule in self.by_stage[stage]}
        return found - {"", stage}


def parse_policy(document: Mapping[str, Any], version: int) -> Policy:
    """The policy in `document`; `InvalidPolicy` with every problem found if there is any."""
    problems: Problems = []
    rules = [_rule(rule, f"/rules/{i}", problems) for i, rule in enumerate(_list(document, "rules", problems))]
    score = [_contribution(c, f"/score/{i}", problems) for i, c in enumerate(_list(document, "score", problems))]
    targets = _targets(document.get("target_days", {}), problems)
    for name, ids in (("rules", [rule.id for rule in rules]), ("score", [part.id for part in score])):
        problems += [(f"/{name}/{i}/id", "twice", "the id is used twice") for i, r in enumerate(ids) if r in ids[:i]]
    if not rules and not problems:
        problems.append(("/rules", "missing", "at least one rule is needed"))
    if not problems:
        problems += unsound(rules, min(sum(part.points for part in score), 100))
    if problems:
        raise InvalidPolicy(problems)
    ordered = sorted(rules, key=lambda rule: -rule.priority)
    return Policy(str(document.get("name", "")), version, tuple(ordered), tuple(score), targets)


def _list(document: Mapping[str, Any], name: str, problems: Problems) -> list[Any]:
    found = document.get(name, [] if name == "score" else None)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        problems.append((f"/{name}", "not_a_list", "must be a list of objects"))
        return []
    return found


def _targets(found: Any, problems: Problems) -> dict[str, int]:
    if not isinstance(found, dict):
        problems.append(("/target_days", "not_an_object", "must be an object of stage and days"))
        return {}
    for stage, days in found.items():
        if stage not in STAGES:
            problems.append((f"/target_days/{stage}", "unknown_stage", "not a stage"))
        elif type(days) is not int or not 1 <= days <= _LONGEST_TARGET:
            reason = f"must be a whole number from 1 to {_LONGEST_TARGET}"
            problems.append((f"/target_days/{stage}", "not_a_number", reason))
    return found


def _contribution(part: Mapping[str, Any], pointer: str, problems: Problems) -> Contribution:
    check_keys(part, {"id", "points", "when"}, pointer, problems)
    tree = check_tree(part.get("when"), f"{pointer}/when", problems, without=SCORE)
    return Contribution(_id(part, pointer, problems), _number(part, "points", 100, pointer, problems), tree)


def _id(found: Mapping[str, Any], pointer: str, problems: Problems) -> str:
    name = found.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        problems.append((f"{pointer}/id", "not_an_id", "must be 1 to 60 of a-z, 0-9 and _, a letter first"))
    return str(name)


def _number(found: Mapping[str, Any], name: str, largest: int, pointer: str, problems: Problems) -> int:
    value = found.get(name, 0)
    if type(value) is int and 0 <= value <= largest:
        return value
    problems.append((f"{pointer}/{name}", "not_a_number", f"must be a whole number from 0 to {largest}"))
    return 0


def _flag(found: Mapping[str, Any], name: str, pointer: str, problems: Problems) -> bool:
    value = found.get(name, False)
    if not isinstance(value, bool):
        problems.append((f"{pointer}/{name}", "not_a_bool", "must be true or false"))
    return value is True


def _rule(rule: Mapping[str, Any], pointer: str, problems: Problems) -> Rule:
    check_keys(rule, _RULE_FIELDS, pointer, problems)
    sources, to = _edge(rule, pointer, problems)
    guards = rule.get("guards")
    return Rule(
        id=_id(rule, pointer, problems),
        sources=sources,
        to=to,
        when=check_tree(rule.get("when"), f"{pointer}/when", problems),
        guards=None if guards is None else check_tree(guards, f"{pointer}/guards", problems),
        confirm_days=_number(rule, "confirm_days", _LONGEST_WAIT, pointer, problems),
        min_dwell_days=_number(rule, "min_dwell_days", _LONGEST_WAIT, pointer, problems),
        priority=_number(rule, "priority", 1000, pointer, problems),
        always=_flag(rule, "always", pointer, problems),
        urgent=_flag(rule, "urgent", pointer, problems),
        new_cycle=_flag(rule, "new_cycle", pointer, problems),
        why=str(rule.get("why", "")),
    )


def _edge(rule: Mapping[str, Any], pointer: str, problems: Problems) -> tuple[tuple[str, ...], str]:
    sources, to = rule.get("from"), rule.get("to")
    if not isinstance(sources, list) or not sources:
        problems.append((f"{pointer}/from", "missing", "a list of at least one stage is needed"))
        sources = []
    for i, source in enumerate(sources):
        if source not in STAGES:
            problems.append((f"{pointer}/from/{i}", "unknown_stage", "not a stage"))
    if to not in (*STAGES, BACK):
        problems.append((f"{pointer}/to", "unknown_stage", f"not a stage, nor {BACK}"))
    elif to in sources:
        problems.append((f"{pointer}/to", "self", "a rule must lead to another stage"))
    return tuple(map(str, sources)), str(to)
