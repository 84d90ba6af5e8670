"""One edge of the lifecycle: the rule that moves customers along it."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import orjson

from app.lifecycle.core.conditions import Tree

BACK = "stage_before"
"""As the target of a rule: the stage that the customer was in before."""


@dataclass(frozen=True)
class Rule:
    """One edge. `confirm_days`: how long it must hold without a break; `min_dwell_days`: least stay in the stage.

    `always`: fires under a pin, a hold, a freeze and the limit of one automatic step a day. `new_cycle`: a life begins
    anew. `why`: the reason for its numbers.
    """

    id: str
    sources: tuple[str, ...]
    to: str
    when: Tree
    guards: Tree | None
    confirm_days: int
    min_dwell_days: int
    priority: int
    always: bool
    urgent: bool
    new_cycle: bool
    why: str

    @cached_property
    def condition(self) -> Tree:
        """Everything that must hold at once: when, guards, and the least stay."""
        parts = [self.when, *([self.guards] if self.guards else [])]
        if self.min_dwell_days:
            parts.append({"fact": "days_in_stage", "op": ">=", "value": self.min_dwell_days})
        return {"all": parts}

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the condition: confirm windows are kept per fingerprint, so an unchanged rule keeps its window."""
        body = orjson.dumps([self.id, self.condition], option=orjson.OPT_SORT_KEYS)
        return blake2b(body, digest_size=8).hexdigest()
