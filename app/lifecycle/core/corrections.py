"""Whether the cause of a step is gone, now that more is known of the time when it was decided. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from app.lifecycle.core.book import Noted, book_of
from app.lifecycle.core.ledger import Ledger
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.rules import evaluation, facts_read, holds
from app.lifecycle.core.standing import Former


def taken_back(former: Former, signals: Sequence[Noted], policy: Policy, zone: ZoneInfo) -> Mapping[str, Any] | None:
    """The facts that the rule would have read, if it would not have held; None if it still holds.

    `signals` are those that count. Of them, what was known at the decision is taken, and what
    has become known since of the time before it, through a merge too; what happened afterwards has no say.
    """
    rule = policy.rule(former.rule_id)
    if rule is None:
        return None
    then = [s for s in signals if max(s.position, s.joined) <= former.position or s.occurred_at <= former.evaluated_at]
    known = book_of(then, zone).known(former.standing, former.evaluated_at)
    facts = evaluation(policy, Ledger([known], horizon=0))
    if holds(rule.condition, facts)[0, 0]:
        return None
    return facts_read(rule.condition, facts, 0)
