"""What is wrong with rules that are well-formed: some can never fire, or customers would be moved in circles. Pure."""

from collections.abc import Mapping, Sequence
from math import inf

from app.lifecycle.core.conditions import Problems, Tree, conjuncts
from app.lifecycle.core.edges import BACK, Rule
from app.lifecycle.core.facts import SCORE
from app.lifecycle.core.stages import STAGES

PAUSE_DAYS = 14
"""Every circle of rules must hold a customer at least so long at one place."""


def unsound(rules: Sequence[Rule], points: int) -> Problems:
    """Every rule that cannot fire or that closes a quick circle. `points`: the largest score that can be reached."""
    problems: Problems = []
    for i, rule in enumerate(rules):
        parts = conjuncts(rule.condition)
        blocker = next((other for j, other in enumerate(rules) if _hides(other, rule, earlier=j < i)), None)
        if blocker is not None:
            problems.append((f"/rules/{i}", "unreachable", f"{rule.id}: {blocker.id} fires whenever it could"))
        elif contradiction := _contradiction(parts, points):
            problems.append((f"/rules/{i}", "unreachable", f"{rule.id}: {contradiction}"))
    quick = [_targets(rule, rules) if _is_quick(rule) else set() for rule in rules]
    for i, rule in enumerate(rules):
        back = next((s for s in rule.sources for t in quick[i] if s in _reached(t, rules, quick)), None)
        if back is not None:
            reason = (
                f"{rule.id}: leads back to {back} with no confirm window or least stay of {PAUSE_DAYS} days on the way"
            )
            problems.append((f"/rules/{i}", "circle", reason))
    return problems


def _hides(other: Rule, rule: Rule, *, earlier: bool) -> bool:
    """Whether `other` always fires before `rule`: everything it needs, `rule` needs too, and it does not wait longer."""
    if other is rule or (rule.always and not other.always) or (rule.urgent and not (other.urgent or other.always)):
        return False
    first = other.priority > rule.priority or (other.priority == rule.priority and earlier)
    needed = conjuncts(rule.condition)
    return (
        first
        and other.confirm_days <= rule.confirm_days
        and other.to != BACK
        and set(rule.sources) <= set(other.sources)
        and all(part in needed for part in conjuncts(other.condition))
    )


def _contradiction(parts: Sequence[Tree], points: int) -> str | None:
    """Why these comparisons can never hold together, None if they can."""
    facts: dict[str, list[Tree]] = {}
    for part in parts:
        if "fact" in part:
            facts.setdefault(part["fact"], []).append(part)
    for name, comparisons in facts.items():
        if not _satisfiable(comparisons, float(points) if name == SCORE else inf):
            return f"no value of {name} is enough for it"
    return None


def _satisfiable(comparisons: Sequence[Tree], largest: float) -> bool:
    """Whether one value can pass all comparisons of one fact; a number may be at most `largest`."""
    if all(isinstance(c["value"], int | float) and not isinstance(c["value"], bool) for c in comparisons):
        return _interval(comparisons, largest)
    named = [_named(c) for c in comparisons if c["op"] in ("==", "in")]
    refused = set().union(*(_named(c) for c in comparisons if c["op"] in ("!=", "not_in")))
    return not named or bool(set.intersection(*named) - refused)


def _named(comparison: Tree) -> set[object]:
    value = comparison["value"]
    return set(value) if isinstance(value, list) else {value}


def _interval(comparisons: Sequence[Tree], largest: float) -> bool:
    # An end is (bound, whether the bound itself is out); the narrower end is the larger pair, from above negated.
    low, high = (-inf, False), (-largest, False)
    for comparison in comparisons:
        op, value = comparison["op"], float(comparison["value"])
        if op in (">", ">=", "=="):
            low = max(low, (value, op == ">"))
        if op in ("<", "<=", "=="):
            high = max(high, (-value, op == "<"))
    return low[0] < -high[0] or (low[0] == -high[0] and not low[1] and not high[1])


def _is_quick(rule: Rule) -> bool:
    return max(rule.confirm_days, rule.min_dwell_days) < PAUSE_DAYS


def _targets(rule: Rule, rules: Sequence[Rule]) -> set[str]:
    """Where a rule leads; back may be anywhere that leads here."""
    if rule.to != BACK:
        return {rule.to}
    return {s for other in rules if other.to in rule.sources for s in other.sources}


def _reached(start: str, rules: Sequence[Rule], quick: Sequence[set[str]]) -> set[str]:
    """Stages that quick rules lead to from `start`, itself included."""
    steps: Mapping[str, set[str]] = {
        stage: {t for rule, targets in zip(rules, quick, strict=True) if stage in rule.sources for t in targets}
        for stage in STAGES
    }
    found, waiting = {start}, [start]
    while waiting:
        new = steps.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found
