"""Whether the cause of a step is gone, now that more is known of the time when it was decided. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from app.lifecycle.core.book import Noted, book_of, counted
from app.lifecycle.core.ledger import Ledger
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.rules import evaluation, facts_read, holds
from app.lifecycle.core.standing import Former


def taken_back(former: Former, signals: Sequence[Noted], policy: Policy, zone: ZoneInfo) -> Mapping[str, Any] | None:
    """The facts that the rule would have read, if it would not have held; None if it still holds.

    `signals` are all of the customer, with those that were taken back. What was known at the decision is compared with
    that and what has become known since of the time before it, through a merge too. The rule must have held on the one
    and not hold on the other: what else has changed since, such as a formula, is no reason to take a step back. What
    happened afterwards has no say.
    """
    rule = policy.rule(former.rule_id)
    if rule is None:
        return None
    known_then = [s for s in signals if max(s.position, s.joined) <= former.position]
    of_then = [
        s
        for s in counted(signals)
        if max(s.position, s.joined) <= former.position or s.occurred_at <= former.evaluated_at
    ]
    now_known = [
        book_of(found, zone).known(former.standing, former.evaluated_at) for found in (counted(known_then), of_then)
    ]
    facts = evaluation(policy, Ledger(now_known, horizon=0))
    held = np.broadcast_to(holds(rule.condition, facts), (2, 1))[:, 0]
    if not held[0] or held[1]:
        return None
    return facts_read(rule.condition, facts, 1)
