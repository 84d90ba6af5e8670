"""Pages of docs/ that are written from the code: `python -m tests.generated_pages`. A test compares them with it."""

from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from app.lifecycle.core.facts import FACTS
from app.lifecycle.core.policy import parse_policy
from app.lifecycle.explaining.wording import Voice
from app.lifecycle.policies import SHIPPED, shipped_document
from app.lifecycle.versions.drawing import drawing

DOCS = Path(__file__).resolve().parents[1] / "docs"
_NOTE = "<!-- Written by `make docs`. -->"


def facts_page():
    """The registry of facts as a table."""
    rows = [f"| `{f.name}` | {f.kind if f.unit == 'none' else f.unit} | {f.en} | {f.zh} |" for f in FACTS.values()]
    return "\n".join(
        [
            "# Facts",
            "",
            _NOTE,
            "",
            "Everything that rules may read. A share is written as a fraction (0.25 is 25 %), money in the institution's",
            "currency. A fact that cannot be computed, such as a share of assets too small to be a base, makes every",
            "comparison with it false. How facts are used: [lifecycle.md](lifecycle.md).",
            "",
            "| fact | unit | meaning | 中文 |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def policies_page():
    """The shipped policies, rule by rule."""
    lines = [
        "# The shipped policies",
        "",
        _NOTE,
        "",
        "How rules work: [lifecycle.md](lifecycle.md). Facts: [facts.md](facts.md).",
    ]
    for name in SHIPPED:
        document = shipped_document(name)
        targets = ", ".join(f"{stage} {days}" for stage, days in document["target_days"].items())
        lines += [
            "",
            f"## `{name}`",
            "",
            document["description"]["en"],
            "",
            f"Days that a stage should take: {targets}.",
            "",
            f"![The stages and rules of {name}](policy-{name}.svg)",
        ]
        for rule in document["rules"]:
            lines += ["", *_rule(rule)]
        lines += ["", "### Attrition score", "", "| points | for | when |", "| --- | --- | --- |"]
        lines += [f"| {part['points']} | `{part['id']}` | {_words(part['when'])} |" for part in document["score"]]
    return "\n".join([*lines, ""])


def _rule(rule):
    to = "the stage before" if rule["to"] == "stage_before" else rule["to"]
    terms = [f"priority {rule['priority']}"]
    terms += [f"must hold for {rule['confirm_days']} days"] if rule.get("confirm_days") else []
    terms += [f"after {rule['min_dwell_days']} days in the stage at the earliest"] if rule.get("min_dwell_days") else []
    terms += ["fires under holds and pins, and is not bound by one step a day"] if rule.get("always") else []
    terms += ["not bound by one step a day"] if rule.get("urgent") else []
    terms += ["begins a new life"] if rule.get("new_cycle") else []
    lines = [f"### `{rule['id']}`: {', '.join(rule['from'])} → {to}", "", f"{'; '.join(terms).capitalize()}."]
    lines += ["", f"* when: {_words(rule['when'])}"]
    lines += [f"* guards: {_words(rule['guards'])}"] if rule.get("guards") else []
    return [*lines, "", rule["why"]]


def _words(tree, *, inner=False):
    """A condition in words; parts of parts stand in brackets."""
    for key, joint in (("all", " and "), ("any", " or "), ("of", ", ")):
        if key in tree:
            text = joint.join(_words(part, inner=True) for part in tree[key])
            text = f"at least {tree['at_least']} of: {text}" if key == "of" else text
            return f"({text})" if inner and len(tree[key]) > 1 else text
    value = tree["value"]
    if isinstance(value, bool):
        return f"`{tree['fact']}`" if value else f"not `{tree['fact']}`"
    shown = ", ".join(value) if isinstance(value, list) else value
    return f"`{tree['fact']} {tree['op']} {shown}`"


def policy_picture(name):
    """A shipped policy as `GET /v1/lifecycle/policies/{version}/diagram` draws it."""
    return drawing(parse_policy(shipped_document(name), 1), Voice("en", "USD", ZoneInfo("UTC")))


PAGES = {"facts.md": facts_page, "policies.md": policies_page}
PAGES |= {f"policy-{name}.svg": partial(policy_picture, name) for name in SHIPPED}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
