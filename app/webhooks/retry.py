"""What an answer means and when to try again. Pure."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

SCHEDULE = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Least waits after the first, second, … failed attempt; after one more failure the delivery is dead."""

JITTER = 0.2
"""Waits grow by up to this share, so that what failed together does not come back together. They never shrink."""

LONGEST_RETRY_AFTER = timedelta(hours=24)
"""A receiver may ask for at most this much patience."""

GIVE_UP_AFTER = timedelta(days=5)
"""An endpoint is disabled when every attempt failed for this long."""

Verdict = Literal["delivered", "retry", "gone"]


def classify(status: int | None) -> Verdict:
    """What an HTTP status says; None is no answer at all.

    2xx delivers, 410 says that nobody will ever listen again, and everything else, redirects included, is tried again.
    """
    if status is not None and 200 <= status < 300:
        return "delivered"
    return "gone" if status == 410 else "retry"


def next_wait(attempt: int, chance: float, retry_after: timedelta | None = None) -> timedelta | None:
    """How long to wait after failed attempt number `attempt` (1 is the first); None: give up.

    `chance` in [0, 1) spreads the waits. `retry_after` is what the receiver asked for; the longer wait wins.
    """
    if attempt < 1:
        raise ValueError("attempts are counted from 1")
    if attempt > len(SCHEDULE):
        return None
    wait = SCHEDULE[attempt - 1] * (1 + JITTER * chance)
    return wait if retry_after is None else max(wait, min(retry_after, LONGEST_RETRY_AFTER))


def parse_retry_after(text: str | None, now: datetime) -> timedelta | None:
    """The wait that a `Retry-After` header asks for, as seconds or as an HTTP date; None if it says nothing usable."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:10]), int(LONGEST_RETRY_AFTER.total_seconds())))
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return timedelta(seconds=math.ceil(wait.total_seconds())) if wait > timedelta() else None


def exhausted(failing_since: datetime | None, now: datetime) -> bool:
    """Whether an endpoint whose every attempt failed since `failing_since` is to be disabled."""
    return failing_since is not None and now - failing_since >= GIVE_UP_AFTER
