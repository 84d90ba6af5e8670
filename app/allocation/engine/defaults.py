"""The documents that come with the service: default assumptions, views, policy and questionnaire."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from app.allocation.engine.assumptions import AssumptionSet, parse_assumptions
from app.allocation.engine.policy import Policy, parse_policy
from app.allocation.engine.questionnaire import Questionnaire, parse_questionnaire
from app.allocation.engine.views import Views, parse_views

DATA = Path(__file__).parent.parent / "data"


def default_document(name: str) -> Any:
    """The JSON document `assumptions`, `views`, `policy`, `questionnaire` or `reasons`, fresh on every call."""
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


@cache
def default_views() -> Views:
    """The views of `data/views.json`: none."""
    return parse_views(default_document("views"))
