"""The explanation of a lifecycle in sentences, in English and Simplified Chinese. Pure; the words are in wording.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.lifecycle.core.edges import Rule
from app.lifecycle.core.standing import midnight
from app.lifecycle.explaining.explain import Condition, RuleStatus, ScorePart
from app.lifecycle.explaining.foresight import Coming
from app.lifecycle.explaining.obstacles import comparisons, grounds, passes, structure
from app.lifecycle.explaining.wording import (
    Voice,
    condition_text,
    day_text,
    fact_text,
    flip_text,
    label,
    moment_text,
    stage_text,
)

Held = Sequence[tuple[str, datetime | None]]
"""What keeps the rules from acting: its code, and until when, None where no time ends it."""


@dataclass(frozen=True, slots=True)
class Past:
    """The step that led to the present stage, or the beginning: then `kind` is created, and `from_stage` None.

    `corrected`: (sequence, from, to, effective moment) of the step that a correction took back.
    """

    kind: str
    from_stage: str | None
    to_stage: str
    rule_id: str | None
    reason: str | None
    actor: str | None
    effective_at: datetime
    facts: Mapping[str, Any]
    corrected: tuple[int, str, str, datetime] | None = None


def condition_sentence(condition: Condition, voice: Voice) -> str:
    """A comparison in words, and when time alone changes it."""
    text = condition_text(condition.leaf, condition.actual, voice, holds=condition.holds)
    if condition.flips_day is None:
        return text
    flip = flip_text(midnight(condition.flips_day, voice.zone), voice, holds=condition.holds)
    return text + voice.pick(", ", "；") + flip


def rule_sentence(status: RuleStatus, held: Held, voice: Voice) -> str:
    """What a rule would do, and what it waits for."""
    if status.to is None:
        return voice.pick("Leads back to the stage before, of which there is none.", "返回前一阶段，但没有前一阶段。")
    stage = stage_text(status.to, voice)
    if status.holds:
        return _holding(status, stage, held, voice)
    lacking = _named([status.conditions[place] for place in status.missing.nearest], voice)
    if not status.missing.possible:
        return voice.pick(
            f"Cannot lead to {stage} during this stay, blocked by: {lacking}.",
            f"本次停留期间无法转入{stage}，受阻于：{lacking}。",
        )
    if status.flips_day is None:
        return voice.pick(f"Would lead to {stage}, blocked by: {lacking}.", f"将转入{stage}，目前受阻于：{lacking}。")
    day = day_text(midnight(status.flips_day, voice.zone), voice)
    return voice.pick(
        f"Would lead to {stage}, holds by time alone from {day} on, until then blocked by: {lacking}.",
        f"将转入{stage}，若无变化自{day}起满足，目前受阻于：{lacking}。",
    )


def _holding(status: RuleStatus, stage: str, held: Held, voice: Voice) -> str:
    if status.since is not None and status.confirmed_at is not None:
        since, confirmed = day_text(_moment(status.since), voice), day_text(_moment(status.confirmed_at), voice)
        text = voice.pick(
            f"Would lead to {stage}, holds since {since}, confirmed on {confirmed}",
            f"将转入{stage}，自{since}起满足，{confirmed}确认",
        )
    else:
        text = voice.pick(f"Leads to {stage}: all that it needs holds", f"转入{stage}：条件均已满足")
    rule = status.rule
    bars = [] if rule.always else [_bar(c, u, voice) for c, u in held if not (rule.urgent and c == "daily_limit")]
    reasons = voice.pick(" and ", "、").join(bars)
    return (
        text + (voice.pick(f"; held back by {reasons}", f"；但受限于{reasons}") if bars else "") + voice.pick(".", "。")
    )


_BARS: Mapping[str, tuple[str, str]] = {
    "hold": ("a hold", "客户处于管控状态"),
    "pin": ("the pin of the stage", "阶段固定"),
    "returns": ("the pause after three returns", "三次返回后的暂停"),
    "daily_limit": ("the limit of one step a day", "每日最多一步的限制"),
}


def _bar(code: str, until: datetime | None, voice: Voice) -> str:
    name = voice.pick(*_BARS[code])
    if until is None:
        return name
    return name + voice.pick(f" until {moment_text(until, voice)}", f"（至{moment_text(until, voice)}）")


def ended_sentence(code: str, at: datetime, voice: Voice) -> str:
    """What will no longer hold the rules back from a moment on."""
    name, when = voice.pick(*_BARS[code]), moment_text(at, voice)
    text = voice.pick(f"{name[0].upper()}{name[1:]} ends on {when}", f"{name}于{when}结束")
    return text + voice.pick("; the rules act again.", "，规则随即恢复生效。")


def coming_sentence(coming: Coming, voice: Voice) -> str:
    """What comes by time alone."""
    status, when = coming.status, moment_text(_moment(coming.at), voice)
    rule, stage = status.rule, stage_text(str(status.to), voice)
    if coming.kind == "moves":
        return voice.pick(
            f"Moves to {stage} on {when} by the rule {rule.id}, if nothing happens.",
            f"若无变化，{when}将由规则 {rule.id} 转入{stage}。",
        )
    days = rule.confirm_days
    english = f", and must do so for {days} day{'' if days == 1 else 's'} to lead to {stage}" if days else ""
    chinese = f"，持续 {days} 天后转入{stage}" if days else ""
    return voice.pick(
        f"The rule {rule.id} begins to hold on {when}{english}.", f"规则 {rule.id} 自{when}起满足{chinese}。"
    )


def score_sentence(part: ScorePart, voice: Voice) -> str:
    """How many points a contribution gives or would give, and why."""
    points = voice.pick(f"{part.points} point{'' if part.points == 1 else 's'}", f" {part.points} 分")
    if part.counts:
        texts = [fact_text(c.fact, c.actual, [c.leaf], voice) for c in part.named]
        named = voice.pick("; ", "；").join(texts)
        return voice.pick(f"Adds {points}: {named}.", f"计{points}：{named}。")
    named = _named(part.named, voice)
    return voice.pick(f"Would add {points}, but: {named}.", f"可计{points}，目前未计：{named}。")


def why_sentence(past: Past, rule: Rule | None, voice: Voice) -> str:
    """How the customer came to the present stage. `rule`: the one that led here, as it was then, if it was one."""
    to, day = stage_text(past.to_stage, voice), day_text(past.effective_at, voice)
    if past.from_stage is None:
        return voice.pick(f"Created as {to} on {day}.", f"于{day}创建，初始阶段为{to}。")
    came = stage_text(past.from_stage, voice)
    reason = voice.pick(f": {past.reason}", f"：{past.reason}") if past.reason else voice.pick(".", "。")
    if past.corrected is not None:
        return _correction(past, past.corrected, to, day, voice)
    moved = voice.pick(f"Moved from {came} to {to} on {day}", f"于{day}从{came}转入{to}")
    match past.kind:
        case "automatic":
            read = _decisive(past, rule, voice)
            by = voice.pick(f" by the rule {past.rule_id}", f"，规则 {past.rule_id}")
            return moved + by + (voice.pick(": ", "：") + read if read else "") + voice.pick(".", "。")
        case "import":
            return moved + voice.pick(f" by an import of {past.actor}", f"，由 {past.actor} 导入") + reason
        case "merge":
            return moved + voice.pick(" when duplicates were merged", "，因合并重复客户") + reason
    return moved + voice.pick(f" by hand, by {past.actor}", f"，由 {past.actor} 人工操作") + reason


_CAUSES_GONE: Mapping[str, tuple[str, str]] = {
    "retracted_signal": ("the signal that caused it was retracted", "引发该步的信号已撤回"),
    "late_signal": ("a late signal removed its cause", "迟到的信号使其原因不再成立"),
}


def _correction(past: Past, corrected: tuple[int, str, str, datetime], to: str, day: str, voice: Voice) -> str:
    sequence, left, entered, at = corrected
    names = stage_text(left, voice), stage_text(entered, voice)
    gone = voice.pick(*_CAUSES_GONE.get(past.reason or "", ("its cause is gone", "其原因已不成立")))
    return voice.pick(
        f"Back in {to} on {day}: step {sequence}, from {names[0]} to {names[1]} on {day_text(at, voice)}, was taken"
        f" back, since {gone}.",
        f"于{day}恢复为{to}：{gone}，第 {sequence} 步（{day_text(at, voice)}从{names[0]}转入{names[1]}）予以撤销。",
    )


def facts_read(past: Past, rule: Rule | None, voice: Voice) -> list[dict[str, Any]]:
    """Every fact that led to the step, with its value in words and what the rule asked of it."""
    leaves = comparisons(rule.condition) if rule else []
    names = dict.fromkeys([*(leaf["fact"] for leaf in leaves if leaf["fact"] in past.facts), *past.facts])
    return [
        {
            "fact": name,
            "label": label(name, voice),
            "value": past.facts[name],
            "text": fact_text(name, past.facts[name], [leaf for leaf in leaves if leaf["fact"] == name], voice),
        }
        for name in names
    ]


def _decisive(past: Past, rule: Rule | None, voice: Voice) -> str:
    """The facts that made the rule hold, in words."""
    if rule is None:
        return ""
    leaves = comparisons(rule.condition)
    holds = [leaf["fact"] in past.facts and passes(leaf, past.facts[leaf["fact"]]) for leaf in leaves]
    by_fact: dict[str, list[Any]] = {}
    for place in grounds(structure(rule.condition, leaves, holds), holds):
        by_fact.setdefault(leaves[place]["fact"], []).append(leaves[place])
    texts = [fact_text(name, past.facts[name], asked, voice) for name, asked in by_fact.items()]
    return voice.pick("; ", "；").join(_lowered(text) for text in texts)


def _named(conditions: Sequence[Condition], voice: Voice) -> str:
    texts = [condition_text(c.leaf, c.actual, voice, holds=c.holds) for c in conditions]
    return voice.pick("; ", "；").join(texts)


def _lowered(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
