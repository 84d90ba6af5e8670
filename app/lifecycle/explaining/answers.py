"""The explanation of a lifecycle in the API's shape, with its texts. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any

from app.lifecycle.core.policy import Policy
from app.lifecycle.core.rules import Subject
from app.lifecycle.core.standing import midnight
from app.lifecycle.explaining.explain import Condition, Explanation, RuleStatus
from app.lifecycle.explaining.foresight import foresee
from app.lifecycle.explaining.sentences import (
    Held,
    Past,
    coming_sentence,
    condition_sentence,
    ended_sentence,
    facts_read,
    rule_sentence,
    score_sentence,
    why_sentence,
)
from app.lifecycle.explaining.wording import Voice, label


def rule_answer(status: RuleStatus, held: Held, voice: Voice) -> dict[str, Any]:
    """One rule of the stage."""
    rule = status.rule
    return {
        "id": rule.id,
        "to": status.to,
        "text": rule_sentence(status, held, voice),
        "why": rule.why,
        "priority": rule.priority,
        "confirm_days": rule.confirm_days,
        "min_dwell_days": rule.min_dwell_days,
        "holds": status.holds,
        "blocked_by": status.blocked_by,
        "confirmed_at": None if status.confirmed_at is None else datetime.fromtimestamp(status.confirmed_at, UTC),
        "flips_at": None if status.flips_day is None else midnight(status.flips_day, voice.zone),
        "conditions": [_condition_answer(condition, voice) for condition in status.conditions],
        "tree": status.tree,
    }


def _condition_answer(condition: Condition, voice: Voice) -> dict[str, Any]:
    return {
        "fact": condition.fact,
        "label": label(condition.fact, voice),
        "op": condition.leaf["op"],
        "threshold": condition.leaf["value"],
        "actual": condition.actual,
        "holds": condition.holds,
        "distance": condition.distance,
        "flips_at": None if condition.flips_day is None else midnight(condition.flips_day, voice.zone),
        "text": condition_sentence(condition, voice),
    }


def score_answer(found: Explanation, voice: Voice) -> dict[str, Any]:
    """The attrition score and what it is made of."""
    return {
        "attrition_score": found.score,
        "score_reasons": found.score_reasons,
        "score": [
            {"id": part.id, "points": part.points, "counts": part.counts, "text": score_sentence(part, voice)}
            for part in found.parts
        ],
    }


def next_answer(found: Explanation, subject: Subject, held: Held, voice: Voice) -> list[dict[str, Any]]:
    """What comes by time alone, soonest first, up to the next step."""
    ends = [(code, until) for code, until in held if until is not None]
    free_at = max((until.timestamp() for code, until in ends if code != "daily_limit"), default=0.0)
    if len(ends) < len(held):
        free_at = inf
    coming = foresee(found.rules, subject, free_at, lambda day: midnight(day, voice.zone).timestamp())
    items = [
        {"at": at, "kind": code, "rule_id": None, "to": None, "text": ended_sentence(code, at, voice)}
        for code, at in ends
        if not coming or coming[-1].kind != "moves" or at.timestamp() <= coming[-1].at
    ]
    items += [
        {
            "at": datetime.fromtimestamp(c.at, UTC),
            "kind": c.kind,
            "rule_id": c.status.rule.id,
            "to": c.status.to,
            "text": coming_sentence(c, voice),
        }
        for c in coming
    ]
    return sorted(items, key=lambda item: (item["at"], item["kind"] == "moves"))


def why_answer(step: Any, row: Any, policies: Mapping[int, Policy], voice: Voice) -> dict[str, Any]:
    """The step that led to the present stage: `step` is the last transition, None at the beginning."""
    past = _past(step, row)
    rule = None
    if step is not None and step.policy_version in policies:
        # Of a correction, the facts tell why the rule of the step that it took back would not have held.
        rule = policies[step.policy_version].rule(step.rule_id or step.corrected_rule or "")
    return {
        "text": why_sentence(past, rule, voice),
        "kind": past.kind,
        "sequence": 0 if step is None else step.sequence,
        "from_stage": past.from_stage,
        "rule_id": past.rule_id,
        "actor": past.actor,
        "reason": past.reason,
        "corrects_sequence": None if step is None else step.corrects_sequence,
        "effective_at": past.effective_at,
        "decided_at": None if step is None else step.decided_at,
        "facts": facts_read(past, rule, voice),
    }


def _past(step: Any, row: Any) -> Past:
    if step is None:
        return Past("created", None, row.stage, None, None, None, row.stage_entered_at, {})
    corrected = None
    if step.corrected_at is not None:
        corrected = (step.corrects_sequence, step.corrected_from, step.corrected_to, step.corrected_at)
    return Past(
        kind=step.kind,
        from_stage=step.from_stage,
        to_stage=step.to_stage,
        rule_id=step.rule_id,
        reason=step.reason,
        actor=step.actor,
        effective_at=step.effective_at,
        facts=step.facts,
        corrected=corrected,
    )
