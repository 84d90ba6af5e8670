"""Every event as a frozen dataclass, and `publish()`.

An event tells of a set of customers, happened inside the running transaction, and imports nothing of the domains.
`app.reactions` says what follows. What leaves the system is `PublicEvent`: each event renders its own, so that this
package is also the catalogue of webhooks (`PUBLIC_TYPES`).
"""

from collections.abc import Mapping

from app.events.actions import ActionOutcome, ActionsFinished
from app.events.base import Event, HasInfo, PublicEvent, public_events, publish, take_published
from app.events.customers import (
    CustomerChange,
    CustomersCreated,
    CustomersErased,
    CustomersMerged,
    CustomersUnmerged,
    CustomersUpdated,
    Merge,
    MergesAhead,
    NewCustomer,
)
from app.events.lifecycle import (
    ClosuresTold,
    LifeEvent,
    LifeEventsTold,
    RulesFrozen,
    StageChange,
    StagesChanged,
)
from app.events.portfolios import (
    AllocationVersionPublished,
    HoldingsChanged,
    NewRecommendation,
    PortfolioReviewsOpened,
    RecommendationsAccepted,
    RecommendationsCreated,
    RiskProfilesCompleted,
)
from app.events.system import EndpointDisabled, OperationsFinished

__all__ = [
    "PUBLIC_TYPES",
    "ActionOutcome",
    "ActionsFinished",
    "AllocationVersionPublished",
    "ClosuresTold",
    "CustomerChange",
    "CustomersCreated",
    "CustomersErased",
    "CustomersMerged",
    "CustomersUnmerged",
    "CustomersUpdated",
    "EndpointDisabled",
    "Event",
    "HasInfo",
    "HoldingsChanged",
    "LifeEvent",
    "LifeEventsTold",
    "Merge",
    "MergesAhead",
    "NewCustomer",
    "NewRecommendation",
    "OperationsFinished",
    "PortfolioReviewsOpened",
    "PublicEvent",
    "RecommendationsAccepted",
    "RecommendationsCreated",
    "RiskProfilesCompleted",
    "RulesFrozen",
    "StageChange",
    "StagesChanged",
    "public_events",
    "publish",
    "take_published",
]

PUBLIC_TYPES: Mapping[str, str] = {
    "customer.created": "A customer was created or imported.",
    "customer.updated": "Fields of a customer's profile changed; `fields` names them.",
    "customer.merged": "A duplicate was merged into another customer; both are told.",
    "customer.merge_undone": "A merged duplicate is a customer of its own again; both are told.",
    "customer.erased": "A customer was deleted; nothing personal is left.",
    "lifecycle.stage_changed": "A customer moved from one stage to another.",
    "lifecycle.rules_frozen": "Three returns within 60 days have switched the rules off for a customer.",
    "action.due": "An action is due that the institution's own provider performs.",
    "action.done": "An action was carried out.",
    "action.skipped": "An action was not carried out; `reason` says why.",
    "recommendation.created": "A customer has a new recommended portfolio, because its weights changed.",
    "recommendation.accepted": "A customer accepted the recommended portfolio.",
    "portfolio.review_due": "Somebody should look at a customer's portfolio; `reason` says why.",
    "allocation.version_published": "Assumptions, views, the policy or the questionnaire behind portfolios came into force "
    "in a new version.",
    "operation.finished": "A long-running piece of work ended; `status` says how.",
    "endpoint.disabled": "A webhook endpoint was switched off; `reason` says why.",
    "endpoint.test": "A test event, asked for by the owner of the endpoint; sent to that endpoint alone.",
}
