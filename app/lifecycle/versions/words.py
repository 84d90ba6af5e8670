"""Conditions and terms of rules in few words, English and Chinese, as they stand in labels and tables. Pure."""

from collections.abc import Mapping
from typing import Any

from app.lifecycle.core.conditions import Tree, conjuncts
from app.lifecycle.core.edges import BACK, Rule
from app.lifecycle.core.facts import FACTS
from app.lifecycle.explaining.wording import Voice, label, stage_text, value_text

_OPS = {">=": "≥", ">": ">", "<=": "≤", "<": "<", "==": "=", "!=": "≠", "in": "=", "not_in": "≠"}
_NO_BREAK = "\u00a0"
_JOINTS: Mapping[str, tuple[str, str]] = {"all": (" and ", " 且 "), "any": (" or ", " 或 "), "of": (", ", "、")}


def stage_title(stage: str, voice: Voice) -> str:
    """The name of a stage as a heading, or of the way back."""
    if stage == BACK:
        return voice.pick("the stage before", "前一阶段")
    return stage_text(stage, voice).capitalize()


def threshold_words(name: str, value: Any, voice: Voice) -> str:
    """What a fact is compared with, exactly, in its unit."""
    if isinstance(value, list):
        return voice.pick(*_JOINTS["any"]).join(value_text(name, one, voice) for one in value)
    if name in FACTS and FACTS[name].unit == "share":
        return voice.pick(f"{round(100 * value, 8):g} %", f"{round(100 * value, 8):g}%")
    return value_text(name, value, voice)


def condition_words(tree: Tree, voice: Voice, *, inner: bool = False) -> str:
    """A condition in words; parts of parts stand in brackets."""
    for key, joints in _JOINTS.items():
        if key in tree:
            text = voice.pick(*joints).join(condition_words(part, voice, inner=True) for part in tree[key])
            if key == "of":
                least = tree["at_least"]
                text = voice.pick(f"at least {least} of: {text}", f"至少 {least} 项：{text}")
            return f"({text})" if inner and len(tree[key]) > 1 else text
    name, op, value = tree["fact"], tree["op"], tree["value"]
    shown = label(name, voice)
    if shown[1:2].islower():  # not NPS
        shown = shown[0].lower() + shown[1:]
    if isinstance(value, bool):
        return shown if value else shown + voice.pick(": no", "：否")
    return f"{shown} {_OPS[op]} {threshold_words(name, value, voice)}"


def guard_words(rule: Rule, voice: Voice) -> str:
    """How many conditions must hold beside the main one; empty if none."""
    if rule.guards is None:
        return ""
    count = len(conjuncts(rule.guards))
    return voice.pick(f"+ {count} guard{'s' if count > 1 else ''}", f"另需 {count} 项前提")


def time_words(rule: Rule, voice: Voice) -> str:
    """How long the rule must hold and how long the customer must have been in the stage; empty if neither."""
    holds, stays = rule.confirm_days, rule.min_dwell_days
    parts = [voice.pick(f"holds {holds} d", f"持续 {holds} 天")] if holds else []
    parts += [voice.pick(f"after {stays} d", f"满 {stays} 天")] if stays else []
    return " · ".join(parts)


def terms(rule: Rule, voice: Voice) -> str:
    """Guards, confirm window and least stay in few words, of which none is torn apart; empty if there are none."""
    parts = (guard_words(rule, voice), time_words(rule, voice))
    return " · ".join(part for part in parts if part).replace(" ", _NO_BREAK).replace(f"{_NO_BREAK}·{_NO_BREAK}", " · ")
