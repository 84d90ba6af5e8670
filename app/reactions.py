"""Event -> what follows. The whole customer journey, on one screen."""

from functools import partial
from zoneinfo import ZoneInfo

from app.allocation import reacting as allocation
from app.allocation.everybody.operation import review_after_publication
from app.allocation.holdings import service as holdings
from app.allocation.restrictions import service as restrictions
from app.allocation.reviews import service as reviews
from app.config import Settings
from app.db import Reactions
from app.events import (
    ActionsFinished,
    AllocationVersionPublished,
    ClosuresTold,
    CustomersCreated,
    CustomersErased,
    CustomersMerged,
    CustomersUnmerged,
    CustomersUpdated,
    EndpointDisabled,
    HoldingsChanged,
    LifeEventsTold,
    MergesAhead,
    OperationsFinished,
    PortfolioReviewsOpened,
    RecommendationsAccepted,
    RecommendationsCreated,
    RiskProfilesCompleted,
    RulesFrozen,
    StagesChanged,
)
from app.lifecycle import lives, merges
from app.playbooks import service as playbooks
from app.webhooks import event_log


def reactions(settings: Settings) -> Reactions:
    """The table of reactions. Each runs in the transaction of its event, before the commit, in this order."""
    return {**_of_customers(settings.tz), **_OF_PORTFOLIOS, **_of_the_service(settings.tz)}


def _of_customers(zone: ZoneInfo) -> Reactions:
    begin_life = partial(lives.start, zone=zone)
    note_profile = partial(lives.note_profiles, zone=zone)
    note_suitability = partial(lives.note_suitability, zone=zone)
    note_acceptance = partial(lives.note_acceptance, zone=zone)
    join, split = partial(merges.join, zone=zone), partial(merges.split, zone=zone)
    unite = (join, playbooks.cancel_merged, reviews.close_merged, allocation.recommend_after_merge)
    return {
        CustomersCreated: (event_log.append, begin_life, allocation.recommend_to_new),
        CustomersUpdated: (event_log.append, note_profile, allocation.recommend_after_edit),
        CustomersErased: (event_log.append, lives.forget),
        MergesAhead: (partial(merges.prepare, zone=zone),),
        CustomersMerged: (event_log.append, *unite),
        CustomersUnmerged: (event_log.append, split, allocation.recommend_after_parting),
        ClosuresTold: (restrictions.follow_closures,),
        LifeEventsTold: (reviews.ask_after_life_events,),
        StagesChanged: (
            event_log.append,
            playbooks.plan_actions,
            restrictions.forget_closures,
            allocation.recommend_after_stage,
        ),
        # The stage first: it may change with the profile, and the portfolio follows from both.
        RiskProfilesCompleted: (note_suitability, allocation.recommend_after_profile, reviews.close_renewed),
        RecommendationsAccepted: (event_log.append, note_acceptance, holdings.measure_again),
    }


_OF_PORTFOLIOS: Reactions = {
    RecommendationsCreated: (event_log.append, holdings.measure_again),
    HoldingsChanged: (restrictions.follow_holdings, reviews.follow_drift),
    PortfolioReviewsOpened: (event_log.append,),
    AllocationVersionPublished: (event_log.append, review_after_publication),
}


def _of_the_service(zone: ZoneInfo) -> Reactions:
    return {
        RulesFrozen: (event_log.append, partial(playbooks.plan_freeze_reviews, zone=zone)),
        ActionsFinished: (event_log.append,),
        OperationsFinished: (event_log.append,),
        EndpointDisabled: (event_log.append,),
    }
