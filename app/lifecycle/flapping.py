"""When three returns within 60 days switch the rules off for a customer: noticed at the step that does it."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from app.events import HasInfo, RulesFrozen, StageChange, publish
from app.lifecycle.core.standing import Standing, frozen_until, local_day


def freeze_begun(before: Standing, after: Standing, at: datetime, zone: ZoneInfo) -> datetime | None:
    """When the freeze ends that a step judged at `at` begins; None if it begins none, or goes on in one."""
    today = local_day(at, zone)
    return None if frozen_until(before, today, zone) is not None else frozen_until(after, today, zone)


def publish_freezes(
    session: HasInfo, steps: Iterable[tuple[Standing, Standing, StageChange]], now: datetime, zone: ZoneInfo
) -> None:
    """Tell of the customers whose rules are off from this step on. Of each: the standing before and after, the step."""
    begun = ((change, freeze_begun(before, after, change.evaluated_at, zone)) for before, after, change in steps)
    frozen = tuple((c.customer_id, c.transition_id, until) for c, until in begun if c.transition_id and until)
    if frozen:
        publish(session, RulesFrozen(now, frozen))
