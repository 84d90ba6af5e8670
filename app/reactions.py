"""Event -> what follows. The whole customer journey, on one screen."""

from functools import partial

from app.allocation import service as allocation
from app.config import Settings
from app.db import Reactions
from app.events import (
    ActionsFinished,
    CustomersCreated,
    CustomersErased,
    CustomersMerged,
    CustomersUnmerged,
    CustomersUpdated,
    EndpointDisabled,
    MergesAhead,
    OperationsFinished,
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
    zone = settings.tz

    begin_life = partial(lives.start, zone=zone)
    note_profile = partial(lives.note_profiles, zone=zone)
    note_suitability = partial(lives.note_suitability, zone=zone)
    note_acceptance = partial(lives.note_acceptance, zone=zone)
    join, split = partial(merges.join, zone=zone), partial(merges.split, zone=zone)
    return {
        CustomersCreated: (event_log.append, begin_life, allocation.recommend_to_new),
        CustomersUpdated: (event_log.append, note_profile, allocation.recommend_after_edit),
        CustomersErased: (event_log.append, lives.forget),
        MergesAhead: (partial(merges.prepare, zone=zone),),
        CustomersMerged: (event_log.append, join, playbooks.cancel_merged, allocation.recommend_after_merge),
        CustomersUnmerged: (event_log.append, split, allocation.recommend_after_parting),
        StagesChanged: (event_log.append, playbooks.plan_actions, allocation.recommend_after_stage),
        RulesFrozen: (event_log.append, partial(playbooks.plan_freeze_reviews, zone=zone)),
        ActionsFinished: (event_log.append,),
        # The stage first: it may change with the profile, and the portfolio follows from both.
        RiskProfilesCompleted: (note_suitability, allocation.recommend_after_profile),
        RecommendationsCreated: (event_log.append,),
        RecommendationsAccepted: (event_log.append, note_acceptance),
        OperationsFinished: (event_log.append,),
        EndpointDisabled: (event_log.append,),
    }
