"""Differences between policies as sentences, English and Chinese. Pure."""

from collections.abc import Mapping
from typing import Any

from app.lifecycle.core.conditions import Tree
from app.lifecycle.explaining.wording import Voice
from app.lifecycle.versions.differences import FieldChange, ItemChange
from app.lifecycle.versions.words import condition_words, stage_title

_FIELDS: Mapping[str, tuple[str, str]] = {
    "from": ("the stages it leads from", "出发阶段"),
    "to": ("the stage it leads to", "目标阶段"),
    "when": ("when it fires", "触发条件"),
    "guards": ("what must hold too", "前提条件"),
    "confirm_days": ("the days it must hold", "持续天数"),
    "min_dwell_days": ("the least days in the stage", "最少停留天数"),
    "priority": ("its priority", "优先级"),
    "always": ("whether it fires under holds and pins", "冻结或固定时是否仍触发"),
    "urgent": ("whether it is free of the limit of one step a day", "是否不受每日一步限制"),
    "new_cycle": ("whether a new life begins", "是否开始新周期"),
    "why": ("its reason", "理由"),
    "points": ("its points", "分值"),
    "name": ("the name", "名称"),
    "description": ("the description", "说明"),
    "order": ("the rules of its priority that are asked before it", "同优先级中排在其前的规则"),
}
_TEXTS = ("name", "description", "why")
_ENGLISH = {
    "added": "{} {} is new.",
    "removed": "{} {} is gone.",
    "moved": "{} {} has another place among the rules of its priority.",
    "changed": "{} {} differs in {} place{}.",
}
_CHINESE = {
    "added": "新增{} {}。",
    "removed": "删除{} {}。",
    "moved": "{} {} 在同优先级规则中的次序改变。",
    "changed": "{} {} 有 {} 处修改。",
}


def item_sentence(item: ItemChange, voice: Voice, *, is_rule: bool) -> str:
    """What happened to one rule or contribution as a whole, and to the confirm windows of a rule."""
    count = len(item.fields)
    english = _ENGLISH[item.change].format("Rule" if is_rule else "Contribution", item.id, count, "s"[: count > 1])
    chinese = _CHINESE[item.change].format("规则" if is_rule else "评分项", item.id, count)
    windows = voice.pick(" Confirm windows that run begin anew.", "正在计时的确认期重新开始。")
    if item.same_condition:
        windows = voice.pick(" Confirm windows that run go on.", "正在计时的确认期继续。")
    has_windows = is_rule and item.change in ("changed", "moved")
    return voice.pick(english, chinese) + (windows if has_windows else "")


def field_sentence(name: str, change: FieldChange, voice: Voice) -> str:
    """One value that differs; `name` is the rule or contribution that it belongs to, empty for the document."""
    field = change.field.strip("/").split("/")[0]
    label = voice.pick(*_FIELDS[field])
    start = name + voice.pick(": ", "：") if name else ""
    if field in _TEXTS:
        return start + voice.pick(f"{label} reads differently.", f"{label}的文字已修改。")
    before, after = _sides(field, change, voice)
    if before is None:
        text = voice.pick(f"{label}, new: {after}", f"{label}新增：{after}")
    elif after is None:
        text = voice.pick(f"{label}, gone: {before}", f"{label}删除：{before}")
    elif before == after or change.field.endswith(("/all", "/any", "/of")):  # in another order
        text = voice.pick(f"{label}: written otherwise, the same meaning", f"{label}：写法改变，含义不变")
    else:
        text = voice.pick(f"{label}: {before} becomes {after}", f"{label}：{before} 改为 {after}")
    return start + text + voice.pick(".", "。")


def target_sentence(change: FieldChange, voice: Voice) -> str:
    """The days that a stage should take."""
    stage = stage_title(change.field.strip("/"), voice)
    before, after = (voice.pick("none", "无") if days is None else days for days in (change.before, change.after))
    return voice.pick(
        f"Days that {stage} should take: {before} becomes {after}.", f"{stage}的目标天数：{before} 改为 {after}。"
    )


def _sides(field: str, change: FieldChange, voice: Voice) -> tuple[str | None, str | None]:
    """Both values in words; None where there is none."""
    if change.trees is not None:
        return condition_words(change.trees[0], voice), condition_words(change.trees[1], voice)
    return _words(field, change.before, voice), _words(field, change.after, voice)


def _words(field: str, value: Any, voice: Voice) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return voice.pick("yes", "是") if value else voice.pick("no", "否")
    if field in ("from", "to"):
        names = [stage_title(stage, voice) for stage in ([value] if field == "to" else value)]
        return voice.pick(", ", "、").join(names)
    if field in ("when", "guards") and not isinstance(value, int):
        tree: Tree = {"all": value} if isinstance(value, list) else value
        return condition_words(tree, voice)
    if isinstance(value, list):
        return ", ".join(value) or voice.pick("none", "无")
    return str(value)
