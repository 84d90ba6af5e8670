"""The five stages."""

from enum import StrEnum


class Stage(StrEnum):
    """Where a customer is in the life with the institution. A customer is in exactly one."""

    PROSPECT = "prospect"
    TRIAL = "trial"
    GROWTH = "growth"
    MATURE = "mature"
    DECLINE = "decline"


STAGES = tuple(stage.value for stage in Stage)

# Days in the institution's zone are numbered from 2000-01-01, so that they fit arrays; `date.toordinal` minus this.
EPOCH_ORDINAL = 730120
