"""Time and identity, the two things a pure function must be given.

Nothing else in the code asks the operating system for the time: routes, the worker and the command line read the clock
once at the edge and pass `now` on, so that a replay under a shifted clock runs the very same code.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from uuid_utils.compat import uuid7

Clock = Callable[[], datetime]


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies outside the years 1 to 9999 of UTC") from error


def _written(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError("must be a text such as 2026-01-31T09:00:00Z")  # noqa: TRY004 - pydantic wants a ValueError
    return value


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc), BeforeValidator(_written)]
"""A moment in a request: any offset, held in UTC."""


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """A UUIDv7: unique everywhere and ascending by creation time, which keeps B-tree inserts at the right edge."""
    return uuid7()
