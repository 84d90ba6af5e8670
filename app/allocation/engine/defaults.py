"""The documents that come with the service: default assumptions, policy and questionnaire."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from app.allocation.engine.assumptions import AssumptionSet, parse_assumptions
from app.allocation.engine.policy import Policy, parse_policy
from app.allocation.engine.questionnaire import Questionnaire, parse_questionnaire

DATA = Path(__file__).parent.parent / "data"


def default_document(name: str) -> Any:
    """The JSON document `assumptions`, `policy`, `questionnaire` or `reasons`, fresh on every call."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


@cache
def default_assumptions() -> AssumptionSet:
    """The assumption set of `data/assumptions.json`."""
    return parse_assumptions(default_document("assumptions"))


@cache
def default_policy() -> Policy:
    """The policy of `data/policy.json`."""
    return parse_policy(default_document("policy"))


@cache
def default_questionnaire() -> Questionnaire:
    """The questionnaire of `data/questionnaire.json`."""
    return parse_questionnaire(default_document("questionnaire"))
