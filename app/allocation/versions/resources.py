"""The four kinds of versions as resources of the API."""

from dataclasses import dataclass

from pydantic import BaseModel

from app.allocation.versions import schemas
from app.allocation.versions.store import Kind


@dataclass(frozen=True)
class Collection:
    """Versions of one kind as a resource: its path, the words of its operation ids (`get` is one of them whole) and
    summaries, its request shapes."""

    kind: Kind
    path: str
    one: str
    many: str
    get: str
    words: str
    create: type[BaseModel]
    replace: type[BaseModel]
    check: type[BaseModel]


COLLECTIONS = (
    Collection(
        "assumptions",
        "/assumption-sets",
        "assumption_set",
        "assumption_sets",
        "get_assumption_set",
        "the assumptions",
        schemas.AssumptionSetDraftCreate,
        schemas.AssumptionSetDraftReplace,
        schemas.AssumptionSetCheckRequest,
    ),
    Collection(
        "views",
        "/views",
        "views",
        "views",
        "get_views",
        "the views",
        schemas.ViewsDraftCreate,
        schemas.ViewsDraftReplace,
        schemas.ViewsCheckRequest,
    ),
    Collection(
        "policy",
        "/policies",
        "allocation_policy",
        "allocation_policies",
        "get_allocation_policy",
        "the allocation policy",
        schemas.AllocationPolicyDraftCreate,
        schemas.AllocationPolicyDraftReplace,
        schemas.AllocationPolicyCheckRequest,
    ),
    Collection(
        "questionnaire",
        "/questionnaires",
        "questionnaire",
        "questionnaires",
        "get_questionnaire_version",
        "the questionnaire",
        schemas.QuestionnaireDraftCreate,
        schemas.QuestionnaireDraftReplace,
        schemas.QuestionnaireCheckRequest,
    ),
)
