"""The edges of a policy, and the policy as a Mermaid state diagram. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.lifecycle.core.conditions import conjuncts
from app.lifecycle.core.edges import BACK, Rule
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.stages import STAGES
from app.lifecycle.explaining.wording import Voice
from app.lifecycle.versions.fitting import fit
from app.lifecycle.versions.words import condition_words, stage_title, terms

_LABEL_WIDTH = 190.0
_LABEL_LINES = 2
_LABEL_SIZE = 14.0
_PLAIN = set(" .,_-+()/%·≥≤≠=…：、，（）")


@dataclass(frozen=True, slots=True)
class Edge:
    """One way from stage to stage. A rule from several stages, or back to the stage before, has several."""

    source: str
    target: str
    rule: Rule


def edges_of(rules: Sequence[Rule]) -> list[Edge]:
    """Every way that a rule can lead, in the order of the rules and of the stages."""
    return [
        Edge(source, target, rule)
        for rule in rules
        for source in rule.sources
        for target in _targets(rule, source, rules)
    ]


def _targets(rule: Rule, source: str, rules: Sequence[Rule]) -> list[str]:
    """Where a rule leads from a stage. Back: to any stage that leads here, by a rule it names if it names some."""
    if rule.to != BACK:
        return [rule.to]
    named = [
        {leaf["value"]} if leaf["op"] == "==" else set(leaf["value"])
        for leaf in conjuncts(rule.when)
        if leaf.get("fact") == "entered_by" and leaf["op"] in ("==", "in")
    ]
    entries = [r for r in rules if r.to == source and all(r.id in names for names in named)]
    found = {stage for entry in entries for stage in entry.sources}
    return [stage for stage in STAGES if stage in found and stage != source]


def mermaid(policy: Policy, voice: Voice) -> str:
    """The source of a Mermaid state diagram: a state per stage, an edge per rule and pair of stages."""
    lines = ["stateDiagram-v2", "    direction TB"]
    lines += [f"    accTitle: {_plain(policy.name)} {policy.version}"]
    lines += [f'    state "{stage_title(stage, voice)}" as {stage}' for stage in STAGES]
    lines.append(f"    [*] --> {STAGES[0]}")
    for edge in edges_of(policy.rules):
        condition = condition_words(edge.rule.when, voice)
        parts = [edge.rule.id, *fit(condition, _LABEL_WIDTH, _LABEL_SIZE, _LABEL_LINES), terms(edge.rule, voice)]
        label = "<br/>".join(_plain(part) for part in parts if part)
        lines.append(f"    {edge.source} --> {edge.target} : {label}")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """`text` with everything that could mean something to Mermaid or HTML written as a character code."""
    text = text.replace("\u00a0", " ")
    return "".join(char if char.isalnum() or char in _PLAIN else f"#{ord(char)};" for char in text)
