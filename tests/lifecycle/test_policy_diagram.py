"""Pictures of policies: everything is in them, nothing overlaps, and nothing in a document can break out of them."""

import re
from itertools import combinations
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.lifecycle.core.edges import Rule
from app.lifecycle.core.facts import FACTS
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.stages import STAGES
from app.lifecycle.explaining.wording import Voice
from app.lifecycle.policies import SHIPPED
from app.lifecycle.versions.diagram import edges_of, mermaid
from app.lifecycle.versions.drawing import drawing
from app.lifecycle.versions.fitting import fit, text_width
from app.lifecycle.versions.layout import block_height, entries_width, layout
from tests.lifecycle.ledgers import POLICIES

EN, ZH = (Voice(language, "USD", ZoneInfo("UTC")) for language in ("en", "zh"))
SVG = "{http://www.w3.org/2000/svg}"
PAIRS = [(a, b) for a in STAGES for b in STAGES if a != b]
NAMES = sorted(name for name, fact in FACTS.items() if fact.kind == "number")
EVIL = '</text><script>alert(1)</script>\n%% "quoted" #quot; x --> y : z \x01'


def make_rule(name, source, to, when=None, **terms):
    given = {"guards": None, "confirm_days": 0, "min_dwell_days": 0, "priority": 0} | terms
    when = when or {"fact": "closure_requested", "op": "==", "value": True}
    return Rule(name, (source,), to, when, always=False, urgent=False, new_cycle=False, why="", **given)


def make_policy(rules, name="made"):
    return Policy(name, 3, tuple(rules), (), {})


def shown(text):
    return ET.fromstring(text)


@st.composite
def policies(draw):
    """Any policy of up to thirty rules with long and short conditions."""
    rules = []
    for pair in draw(st.lists(st.sampled_from(PAIRS), max_size=30)):
        facts = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
        when = {"any": [{"fact": fact, "op": ">=", "value": draw(st.sampled_from([1, 0.25, 1e9]))} for fact in facts]}
        terms = {"confirm_days": draw(st.sampled_from([0, 14])), "min_dwell_days": draw(st.sampled_from([0, 366]))}
        guards = draw(st.sampled_from([None, when]))
        name = draw(st.sampled_from(["a", "won_back", "w" * 60]))
        rules.append(make_rule(f"{name[:55]}_{len(rules)}", *pair, when, guards=guards, **terms))
    return make_policy(rules)


def rectangles(picture):
    """Labels and boxes as (left, top, right, bottom)."""
    found = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in picture.boxes]
    for bundle in picture.bundles:
        width, height = entries_width(bundle.entries), block_height(bundle.entries)
        left = bundle.x - width if bundle.is_right else bundle.x
        found.append((left, bundle.y, left + width, bundle.y + height))
    return found


def segments(path):
    """The straight parts of a path; curves as their corners."""
    x = y = 0.0
    found = []
    for kind, numbers in re.findall(r"([MHVQ])([^MHVQ]+)", path):
        values = [float(n) for n in numbers.split()]
        to = (values[0], y) if kind == "H" else (x, values[0]) if kind == "V" else tuple(values[-2:])
        if kind != "M":
            found.append((min(x, to[0]), min(y, to[1]), max(x, to[0]), max(y, to[1])))
        x, y = to
    return found


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@settings(deadline=None)
@given(policies(), st.sampled_from([EN, ZH]))
def test_no_label_overlaps_another_a_box_or_a_line_and_all_is_within_the_picture(policy, voice):
    picture = layout(policy, voice, 58.0)
    found = rectangles(picture)
    assert [pair for pair in combinations(found, 2) if overlap(*pair)] == []
    labels = found[len(picture.boxes) :]
    lines = [segment for bundle in picture.bundles for segment in segments(bundle.path)]
    assert [(label, line) for label in labels for line in lines if overlap(label, line)] == []
    for left, top, right, bottom in found:
        assert left >= 0
        assert top >= 50
        assert right <= picture.width
        assert bottom <= picture.height


@settings(deadline=None)
@given(policies())
def test_every_rule_stands_once_on_each_way_that_it_leads(policy):
    picture = layout(policy, EN, 58.0)
    assert sorted((b.source, b.target, e.words.split(":")[0]) for b in picture.bundles for e in b.entries) == sorted(
        (edge.source, edge.target, edge.rule.id) for edge in edges_of(policy.rules)
    )


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("voice", [EN, ZH])
def test_the_drawing_is_accessible_deterministic_and_holds_every_rule(name, voice):
    text = drawing(POLICIES[name], voice)
    assert text == drawing(POLICIES[name], voice)
    root = shown(text)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    assert {root.find(f"{SVG}title").get("id"), root.find(f"{SVG}desc").get("id")} == {"title", "desc"}
    assert ("衰退期" if voice is ZH else "Decline") in root.find(f"{SVG}desc").text
    assert "prefers-color-scheme:dark" in root.find(f"{SVG}style").text
    written = [element.text for element in root.iter(f"{SVG}text")]
    assert {rule.id for rule in POLICIES[name].rules} <= set(written)
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "g")
    }


def test_nothing_in_a_document_can_break_out_of_the_drawing():
    evil = {"fact": "entered_by", "op": "in", "value": [EVIL, "a" * 500]}
    root = shown(drawing(make_policy([make_rule("leaving", "trial", "decline", evil)], name=EVIL * 5), EN))
    assert [e for e in root.iter() if e.tag.endswith("script") or e.get("onload") or e.get("href")] == []
    assert "<script>" in "".join(root.itertext())


def test_nothing_in_a_document_can_break_out_of_the_mermaid_source():
    evil = {"fact": "entered_by", "op": "==", "value": EVIL}
    lines = mermaid(make_policy([make_rule("leaving", "trial", "decline", evil)], name=EVIL), EN).splitlines()
    assert len(lines) == len(mermaid(make_policy([make_rule("leaving", "trial", "decline")]), EN).splitlines())
    for line in lines[2:]:
        assert re.fullmatch(
            r"    (accTitle: |state \"\w+\" as |\[\*\] --> |trial --> decline : )?[^<>\"]*", line.replace("<br/>", "")
        )


def test_the_mermaid_source_has_a_state_a_stage_and_an_edge_a_rule_and_pair():
    lines = [line.strip() for line in mermaid(POLICIES["wealth"], ZH).splitlines()]
    assert lines[:2] == ["stateDiagram-v2", "direction TB"]
    assert 'state "衰退期" as decline' in lines
    edges = [re.fullmatch(r"(\w+) --> (\w+) : (\w+)<br/>.*", line) for line in lines]
    assert [match.groups() for match in edges if match] == [
        (edge.source, edge.target, edge.rule.id) for edge in edges_of(POLICIES["wealth"].rules)
    ]
    [at_risk] = [line for line in lines if line.startswith("growth --> decline : at_risk")]
    assert "流失评分 ≥ 60" in at_risk
    assert at_risk.endswith("另需 1 项前提 · 持续 7 天 · 满 30 天")


def test_the_way_back_leads_where_the_rules_that_it_names_come_from():
    found = [(e.source, e.target) for e in edges_of(POLICIES["wealth"].rules) if e.rule.id == "false_alarm"]
    assert found == [("decline", "growth"), ("decline", "mature")]
    rules = [make_rule("leaving", "trial", "decline"), make_rule("back", "decline", "stage_before")]
    assert [(e.source, e.target) for e in edges_of(rules)] == [("trial", "decline"), ("decline", "trial")]


@given(st.text(max_size=80), st.floats(20, 300), st.integers(1, 4))
def test_lines_fit_and_lose_nothing_without_an_ellipsis(text, width, most):
    lines = fit(text, width, 10.0, most)
    assert len(lines) <= most
    assert all(text_width(line, 10.0) <= width for line in lines if len(line) > 1)
    if not any(line.endswith("…") for line in lines):
        assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


def test_a_threshold_is_not_torn_off_its_operator():
    assert fit("days without activity ≥ 180", 150, 12.0, 3) == ["days without activity", "≥ 180"]
    assert fit("无活动天数（最多 91 天）≥ 180", 80, 10.0, 3) == ["无活动天数（最多", "91 天）≥ 180"]
