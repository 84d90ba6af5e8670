"""Event -> what follows. The whole customer journey, on one screen."""

from functools import partial

from app.config import Settings
from app.db import Reactions
from app.events import (
    ActionsFinished,
    CustomersCreated,
    CustomersErased,
    CustomersUpdated,
    EndpointDisabled,
    RecommendationsAccepted,
    RecommendationsCreated,
    RiskProfilesCompleted,
    StagesChanged,
)
from app.lifecycle import lives
from app.playbooks import service as playbooks
from app.webhooks import event_log


def reactions(settings: Settings) -> Reactions:
    """The table of reactions. Each runs in the transaction of its event, before the commit, in this order."""
    zone = settings.tz

    begin_life = partial(lives.start, zone=zone)
    note_profile = partial(lives.note_profiles, zone=zone)
    return {
        CustomersCreated: (event_log.append, begin_life),
        CustomersUpdated: (event_log.append, note_profile),
        CustomersErased: (event_log.append,),
        StagesChanged: (event_log.append, playbooks.plan_actions),
        ActionsFinished: (event_log.append,),
        RiskProfilesCompleted: (),
        RecommendationsCreated: (event_log.append,),
        RecommendationsAccepted: (event_log.append,),
        EndpointDisabled: (event_log.append,),
    }
