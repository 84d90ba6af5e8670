"""Time and identity, the two things a pure function must be given.

Nothing else in the code asks the operating system for the time: routes, the worker and the command line read the clock
once at the edge and pass `now` on, so that a replay under a shifted clock runs the very same code.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """A UUIDv7: unique everywhere and ascending by creation time, which keeps B-tree inserts at the right edge."""
    return uuid7()
