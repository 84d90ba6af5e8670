"""What is wrong with a document, and how it goes together with the others. Pure.

A problem keeps a document from being stored. A finding is about it and the documents in force: some keep it from being
published.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.policy import DEFAULT_SEGMENT, Policy, unmatched_classes
from app.allocation.engine.problems import InvalidDocument, Problem
from app.allocation.engine.views import Views, contradictory_certainties, excessive_returns, unknown_classes
from app.allocation.versions.feasibility import SEGMENTS, Group, left_without
from app.allocation.versions.store import Kind, parse

MOST_VALUES = 20_000
"""Numbers, texts, lists and objects that a document may hold; 40 asset classes with their correlations are some 2,500."""
LONGEST_TEXT = 2000
MOST_TOLD = 100
_VISIBLE = 5e-7  # of a correlation: changes are told with six decimals


class Finding(NamedTuple):
    """One thing about a document among the others. `data` says the same as JSON, where a program may want it."""

    pointer: str
    code: str
    detail: str
    blocks_publishing: bool
    data: Mapping[str, Any] | None = None


def problems_of(kind: Kind, document: Mapping[str, Any]) -> list[Problem]:
    """Everything that keeps a document from being stored; empty if nothing does."""
    found = _oversized(document)
    if not found:
        try:
            parse(kind, document)
        except InvalidDocument as error:
            found = list(error.problems)
    return found[:MOST_TOLD]


def _oversized(document: Mapping[str, Any]) -> list[Problem]:
    """Checked first: too much to look at, and values that say nothing, which would be read as if left out."""
    waiting: list[tuple[str, Any]] = [("", document)]
    found: list[Problem] = []
    count = 0
    while waiting:
        pointer, value = waiting.pop()
        count += 1
        if count > MOST_VALUES:
            return [Problem("", "too_large", f"at most {MOST_VALUES} values in all")]
        texts = [value, *value] if isinstance(value, dict) else [value]
        if any(isinstance(text, str) and len(text) > LONGEST_TEXT for text in texts):
            return [Problem(pointer[:200], "too_long", f"texts have at most {LONGEST_TEXT} characters")]
        if value is None:
            found.append(Problem(pointer, "null", "must have a value, or be left out where it may be"))
        elif isinstance(value, dict):
            escaped = {key.replace("~", "~0").replace("/", "~1"): child for key, child in value.items()}
            waiting += [(f"{pointer}/{key}", child) for key, child in escaped.items()]
        elif isinstance(value, list):
            waiting += [(f"{pointer}/{i}", child) for i, child in enumerate(value)]
    return found


def repair_of(kind: Kind, document: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a repair does to the correlations of a valid document, in the shape of the API; None if there is none."""
    parsed = parse(kind, document)
    if not isinstance(parsed, AssumptionSet) or parsed.repair is None:
        return None
    given, used = document["correlation"], parsed.correlation.tolist()
    changes = [
        {"asset_classes": [code, parsed.codes[j]], "before": given[i][j], "after": round(used[i][j], 6)}
        for i, code in enumerate(parsed.codes)
        for j in range(i + 1, len(parsed.codes))
        if abs(used[i][j] - given[i][j]) > _VISIBLE
    ]
    changes.sort(key=lambda change: -abs(change["after"] - change["before"]))
    return {
        "smallest_eigenvalue": parsed.repair.smallest_eigenvalue,
        "largest_change": round(parsed.repair.largest_change, 6),
        "changes": changes,
    }


def findings(kind: Kind, documents: Mapping[str, Any], currency: str) -> list[Finding]:
    """How the parsed document of `kind` among `documents` (one of every kind) goes together with the others.

    `currency` is that of the assumptions in force. What blocks publishing comes first.
    """
    found: list[Finding] = []
    if kind == "assumptions":
        found = [*_of_assumptions(documents["assumptions"], currency)]
    if kind == "policy":
        found = [*_of_segments(documents["policy"])]
    if kind in ("assumptions", "policy"):
        found += _of_classes(kind, documents["policy"], documents["assumptions"])
    if kind in ("assumptions", "views"):
        found += _of_views(kind, documents["views"], documents["assumptions"])
    # What blocks comes first, so that however much there is to say, none of it is left out.
    return sorted(found, key=lambda finding: not finding.blocks_publishing)[:MOST_TOLD]


def _of_assumptions(assumptions: AssumptionSet, currency: str) -> Iterator[Finding]:
    repair = assumptions.repair
    if repair is not None:
        detail = f"smallest eigenvalue {repair.smallest_eigenvalue:.6g}; the nearest correlation matrix, which is used "
        detail += f"instead, changes an entry by up to {repair.largest_change:.4f}"
        yield Finding("/correlation", "correlation_repaired", detail, blocks_publishing=False)
    if assumptions.currency != currency:
        detail = f"the assumptions in force are in {currency}, and amounts are never converted"
        yield Finding("/currency", "other_currency", detail, blocks_publishing=False)


def _of_segments(policy: Policy) -> Iterator[Finding]:
    for rule in policy.segments:
        if rule.code not in (DEFAULT_SEGMENT, *SEGMENTS):
            detail = f"no customer belongs to it; segments are {', '.join(SEGMENTS)}"
            yield Finding(f"/segments/{rule.code}", "unknown_segment", detail, blocks_publishing=False)


def _of_classes(kind: Kind, policy: Policy, assumptions: AssumptionSet) -> Iterator[Finding]:
    """Classes that the policy names and the assumptions lack, then those whom it would leave without a portfolio."""
    missing = unmatched_classes(policy, assumptions)
    for problem in missing:
        yield _about(kind, "policy", problem, blocks=problem.code == "missing_cash_class")
    if not any(problem.code == "missing_cash_class" for problem in missing):
        yield from map(_without_portfolio, left_without(policy, assumptions))


def _without_portfolio(group: Group) -> Finding:
    if group.constraints:
        detail = f"{group.who}: {', '.join(group.constraints)} cannot hold together"
        return Finding("", "conflict", detail, blocks_publishing=True, data={"code": "conflict", **group.data()})
    detail = f"{group.who}: no portfolio suits C1, the least risky one has a volatility of {group.volatility or 0:.2%}"
    return Finding("", "no_suitable_portfolio", detail, blocks_publishing=False)


def _of_views(kind: Kind, views: Views, assumptions: AssumptionSet) -> Iterator[Finding]:
    checks = (unknown_classes, contradictory_certainties, excessive_returns)
    for problem in (problem for check in checks for problem in check(views, assumptions)):
        yield _about(kind, "views", problem, blocks=True)


def _about(kind: Kind, of: Kind, problem: Problem, *, blocks: bool) -> Finding:
    """A problem of the document `of`, told of the document `kind`: by its place, or else by whose it is."""
    if kind == of:
        return Finding(*problem, blocks_publishing=blocks)
    detail = f"the {of} in force, at {problem.pointer}: {problem.detail}"
    return Finding("", problem.code, detail, blocks_publishing=blocks)
