"""A policy as an SVG state diagram: deterministic, without scripts, readable on light and dark. Pure."""

import re
from xml.sax.saxutils import escape

from app.lifecycle.core.policy import Policy
from app.lifecycle.core.stages import STAGES
from app.lifecycle.explaining.wording import Voice
from app.lifecycle.versions.fitting import fit, text_width
from app.lifecycle.versions.layout import LINE, SIZE, Box, Bundle, layout
from app.lifecycle.versions.words import stage_title

_HEAD = 58.0
_NOT_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# fill and outline of each stage, on light and on dark
_COLOURS = {
    "prospect": ("#e5eefb", "#3b73c4", "#1b2c47", "#6fa0e6"),
    "trial": ("#e3f4f1", "#2b8f7c", "#14352f", "#4fb8a3"),
    "growth": ("#e8f5e1", "#4f9a2f", "#1f3616", "#7cc458"),
    "mature": ("#fbf3dc", "#b98a1b", "#3b3013", "#dcb04a"),
    "decline": ("#fbe6e4", "#c04a3c", "#45201c", "#e58376"),
}
_LIGHT = (
    ".paper{fill:#fff}.line{stroke:#5b6472}.tip{fill:#5b6472}.back{stroke:#8a5a2b}.back-tip{fill:#8a5a2b}"
    ".name,.head{fill:#1f2630}.rule{fill:#1f2630}.when{fill:#3d4552}.terms,.note{fill:#5b6472}"
)
_DARK = (
    ".paper{fill:#14181f}.line{stroke:#98a2b1}.tip{fill:#98a2b1}.back{stroke:#d9a46c}.back-tip{fill:#d9a46c}"
    ".name,.head{fill:#eef1f5}.rule{fill:#eef1f5}.when{fill:#c9d0da}.terms,.note{fill:#98a2b1}"
)


def drawing(policy: Policy, voice: Voice) -> str:
    """The picture: boxes for stages, a line a pair of stages, and beside it each rule with its condition and terms."""
    picture = layout(policy, voice, _HEAD)
    title = _title(policy, voice)
    names = ", ".join(stage_title(stage, voice) for stage in STAGES)
    edges = [f"{stage_title(b.source, voice)} → {stage_title(b.target, voice)}" for b in picture.bundles]
    described = voice.pick(f"Stages: {names}. Ways: {'; '.join(edges)}.", f"阶段：{names}。路径：{'；'.join(edges)}。")
    note = voice.pick(
        "holds: how long without a break · after: least stay in the stage · dashed: a way back",
        "持续：须连续满足的天数 · 满：在本阶段的最少天数 · 虚线：回退",
    )
    [heading] = fit(title, picture.width - 80 - text_width(note, 12), 19, 1)  # bold
    size = f'viewBox="0 0 {picture.width:g} {picture.height:g}" width="{picture.width:g}" height="{picture.height:g}"'
    speaks = f'role="img" aria-labelledby="title desc" lang="{voice.language}"'
    fonts = "system-ui, -apple-system, 'Segoe UI', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {speaks} font-family="{fonts}">',
        f'<title id="title">{_safe(title)}</title>',
        f'<desc id="desc">{_safe(described)}</desc>',
        f"<style>{_style()}</style>",
        f"<defs>{_tip('tip')}{_tip('back-tip')}</defs>",
        f'<rect class="paper" width="{picture.width:g}" height="{picture.height:g}" rx="12"/>',
        f'<text class="head" x="28" y="36" font-size="17" font-weight="600">{_safe(heading)}</text>',
        f'<text class="note" x="{picture.width - 28:g}" y="36" font-size="12" text-anchor="end">{note}</text>',
        *(_bundle(bundle, voice) for bundle in picture.bundles),
        *(_box(box, voice) for box in picture.boxes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _title(policy: Policy, voice: Voice) -> str:
    return voice.pick(f"{policy.name}, version {policy.version}", f"{policy.name}，第 {policy.version} 版")


def _safe(text: str) -> str:
    """`text` for an element of XML; what XML cannot hold becomes a mark."""
    return escape(_NOT_XML.sub("\ufffd", text))


def _style() -> str:
    light = "".join(f".{stage}{{fill:{c[0]};stroke:{c[1]}}}" for stage, c in _COLOURS.items())
    dark = "".join(f".{stage}{{fill:{c[2]};stroke:{c[3]}}}" for stage, c in _COLOURS.items())
    lines = ".line,.back{fill:none;stroke-width:1.8}.back{stroke-dasharray:6 4}"
    return f"{lines}{_LIGHT}{light}@media (prefers-color-scheme:dark){{{_DARK}{dark}}}"


def _tip(name: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0 0L10 5L0 10z"/></marker>'
    )


def _box(box: Box, voice: Voice) -> str:
    shape = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="10"'
    x, y = box.x + box.width / 2, box.y + box.height / 2 + 6
    name = _safe(stage_title(box.stage, voice))
    return (
        f'<g><rect class="{box.stage}" {shape} stroke-width="2"/>'
        f'<text class="name" x="{x:g}" y="{y:g}" font-size="18" font-weight="600" text-anchor="middle">{name}</text></g>'
    )


def _bundle(bundle: Bundle, voice: Voice) -> str:
    is_back = STAGES.index(bundle.target) < STAGES.index(bundle.source)
    line, tip = ("back", "back-tip") if is_back else ("line", "tip")
    pair = f"{stage_title(bundle.source, voice)} → {stage_title(bundle.target, voice)}"
    parts = [f'<g><title>{_safe(pair)}</title><path class="{line}" d="{bundle.path}" marker-end="url(#{tip})"/>']
    anchor = ' text-anchor="end"' if bundle.is_right else ""
    y = bundle.y
    for entry in bundle.entries:
        parts.append(f'<g font-size="{SIZE:g}"{anchor}><title>{_safe(entry.words)}</title>')
        rows = [("rule", entry.rule_id), *(("when", t) for t in entry.lines), *(("terms", t) for t in entry.terms)]
        for kind, text in rows:
            bold = ' font-weight="600"' if kind == "rule" else ""
            parts.append(f'<text class="{kind}" x="{bundle.x:g}" y="{y + SIZE:g}"{bold}>{_safe(text)}</text>')
            y += LINE
        parts.append("</g>")
        y += 7
    return "".join([*parts, "</g>"])
