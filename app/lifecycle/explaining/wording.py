"""Facts, comparisons and dates in words, in English and Simplified Chinese. Pure; sentences made of them: sentences.py."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from app.lifecycle.core.conditions import Tree
from app.lifecycle.core.facts import FACTS, Fact

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Voice:
    """How things are said: in which language, amounts in which currency (ISO 4217), dates in which zone."""

    language: Language
    currency: str
    zone: ZoneInfo

    def pick(self, en: str, zh: str) -> str:
        """The one of two texts that is in this language."""
        return zh if self.language == "zh" else en


def language_of(accepted: str) -> Language:
    """The language to answer in, from a header Accept-Language: English unless a Chinese is preferred."""
    wanted = [part.strip().lower().partition(";") for part in accepted.split(",")]
    ranked = sorted(((_quality(rest), tag.strip()) for tag, _, rest in wanted), key=lambda pair: -pair[0])
    for quality, tag in ranked:
        primary = tag.split("-", maxsplit=1)[0]
        if quality > 0 and primary in ("zh", "en", "*"):
            return "zh" if primary == "zh" else "en"
    return "en"


def _quality(parameters: str) -> float:
    """The weight of a language range, 0 to 1; 0 for one that is no number."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                found = float(value)
            except ValueError:
                return 0.0
            return found if 0 <= found <= 1 else 0.0
    return 1.0


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_STAGES: Mapping[str, str] = {
    "prospect": "潜在客户", "trial": "试用期", "growth": "成长期", "mature": "成熟期", "decline": "衰退期",
}  # fmt: skip
_VALUES: Mapping[str, str] = {
    **_STAGES,
    "none": "无", "pending": "处理中", "passed": "已通过", "rejected": "已拒绝",
    "valid": "有效", "due": "即将到期", "expired": "已过期", "open": "存续", "closed": "已结束",
    "low": "轻微", "medium": "一般", "severe": "严重",
    "mass": "大众", "affluent": "富裕", "high_net_worth": "高净值", "small_business": "小微企业",
}  # fmt: skip
"""Chinese names of the values of facts that are texts; others, such as ids of rules, stay as they are."""


def day_text(moment: datetime, voice: Voice) -> str:
    """The local day of a moment: 2 March 2026, 2026年3月2日."""
    local = moment.astimezone(voice.zone)
    english = f"{local.day} {_MONTHS[local.month - 1]} {local.year}"
    return voice.pick(english, f"{local.year}年{local.month}月{local.day}日")


def moment_text(moment: datetime, voice: Voice) -> str:
    """The same with the time of day, unless that is midnight."""
    local = moment.astimezone(voice.zone)
    if (local.hour, local.minute) == (0, 0):
        return day_text(moment, voice)
    return voice.pick(f"{day_text(moment, voice)}, {local:%H:%M}", f"{day_text(moment, voice)} {local:%H:%M}")


def stage_text(stage: str, voice: Voice) -> str:
    """The name of a stage."""
    return voice.pick(stage, _STAGES.get(stage, stage))


def label(name: str, voice: Voice) -> str:
    """The label of a fact; its name, if it is no longer declared."""
    fact = FACTS.get(name)
    return name if fact is None else voice.pick(fact.en, fact.zh)


def is_computed(value: Any) -> bool:
    """Whether a fact has a value."""
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def value_text(name: str, value: Any, voice: Voice) -> str:
    """A value of a fact: 1,500 USD, 25 %, yes, passed."""
    if not is_computed(value):
        return voice.pick("cannot be computed yet", "暂无法计算")
    if isinstance(value, bool):
        return voice.pick("yes", "是") if value else voice.pick("no", "否")
    if isinstance(value, str):
        return _text_value(name, value, voice)
    fact = FACTS.get(name)
    unit = fact.unit if fact else "none"
    if unit == "money":
        return _money(value, voice)
    return _percent(round(value * 100, 1), voice) if unit == "share" else _number(value)


def _text_value(name: str, value: str, voice: Voice) -> str:
    if not value:
        return voice.pick("empty", "空")
    if name == "entered_by" and value != "none":  # the id of a rule
        return value
    return voice.pick(value.replace("_", " ") if value in _VALUES else value, _VALUES.get(value, value))


def _number(value: float) -> str:
    shown = f"{value:,.4f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def _money(value: float, voice: Voice) -> str:
    shown = _number(value)
    return f"{shown}{'0' if shown[-2:-1] == '.' else ''} {voice.currency}"


def _percent(value: float, voice: Voice) -> str:
    return voice.pick(f"{_number(value)} %", f"{_number(value)}%")


_NEEDS: Mapping[str, tuple[str, str]] = {
    ">=": ("needs at least {}", "需至少 {}"), ">": ("needs more than {}", "需大于 {}"),
    "<=": ("needs at most {}", "需不超过 {}"), "<": ("needs less than {}", "需小于 {}"),
    "==": ("needs exactly {}", "需等于 {}"),
}  # fmt: skip
_MUST: Mapping[str, tuple[str, str]] = {
    "==": ("must be {}", "须为{}"), "in": ("must be {}", "须为{}"),
    "!=": ("must not be {}", "不得为{}"), "not_in": ("must not be {}", "不得为{}"),
}  # fmt: skip


def need_text(leaf: Tree, voice: Voice) -> str:
    """What a comparison asks for: needs at least 1,000 USD, must not be rejected."""
    value = leaf["value"]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    names = value if isinstance(value, list) else [value]
    shown = [value_text(leaf["fact"], name, voice) for name in names]
    return voice.pick(*(_NEEDS if is_number else _MUST)[leaf["op"]]).format(_either(shown, voice))


def _either(names: Sequence[str], voice: Voice) -> str:
    *first, last = names
    return voice.pick(", ".join(first) + " or ", "、".join(first) + "或") + last if first else last


def condition_text(leaf: Tree, actual: Any, voice: Voice, *, holds: bool) -> str:
    """A comparison with its actual value: Paid in for this trial: 780 USD, needs at least 1,000 USD (220 USD more)."""
    name, value = leaf["fact"], leaf["value"]
    shown = value_text(name, actual, voice)
    missing = ""
    if isinstance(value, int | float) and not isinstance(value, bool) and is_computed(actual):
        if FACTS[name].unit == "share" and actual != value and shown == value_text(name, value, voice):
            # Rounded, the two would look the same although the one misses the other.
            away = math.floor if actual < value else math.ceil
            shown = _percent(away(actual * 1000) / 10, voice)
        missing = "" if holds else _missing(FACTS[name], leaf, actual, voice)
    return (
        label(name, voice) + voice.pick(": ", "：") + shown + voice.pick(", ", "，") + need_text(leaf, voice) + missing
    )


def _missing(fact: Fact, leaf: Tree, actual: float, voice: Voice) -> str:
    amount = round(abs(leaf["value"] - actual), 4)
    shown = _amount(fact.unit, amount, voice)
    if shown.startswith("0 "):
        return ""
    more = actual < leaf["value"]
    strict = leaf["op"] in ("<", ">")
    english = f" ({'over ' if strict else ''}{shown.strip()} {'more' if more else 'less'})"
    chinese = f"（{'还差' if more else '超出'} {shown.strip()}{' 以上' if strict and more else ''}）"
    return voice.pick(english, chinese)


def _amount(unit: str, amount: float, voice: Voice) -> str:
    """A difference in the unit of a fact; a plain number ends with a blank."""
    if unit == "money":
        return _money(amount, voice)
    shown = _number(round(amount * 100, 1) if unit == "share" else amount)
    words = {
        "days": ("day", "天"), "years": ("year", "年"), "points": ("point", "分"), "share": ("percentage point", "个百分点"),
    }  # fmt: skip
    en, zh = words.get(unit, ("", ""))
    return f"{shown} " + voice.pick(en + "s" if en and shown != "1" else en, zh)


def flip_text(moment: datetime, voice: Voice, *, holds: bool) -> str:
    """When time alone changes whether something holds."""
    day = day_text(moment, voice)
    if holds:
        return voice.pick(f"ends by time alone on {day}", f"若无变化，将于{day}不再满足")
    return voice.pick(f"comes by time alone on {day}", f"若无变化，将于{day}满足")


def fact_text(name: str, value: Any, leaves: Sequence[Tree], voice: Voice) -> str:
    """A fact that a rule has read, with what the rule asked of it: Paid in so far: 1,500 USD (needs at least 1,000 USD)."""
    # That what must be so is so needs no saying.
    needs_saying = [leaf for leaf in leaves if leaf["op"] != "==" or leaf["value"] != value]
    asked = voice.pick(", ", "，").join(need_text(leaf, voice) for leaf in needs_saying)
    needs = voice.pick(f" ({asked})", f"（{asked}）") if asked else ""
    return label(name, voice) + voice.pick(": ", "：") + value_text(name, value, voice) + needs
