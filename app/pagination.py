"""Keyset pages: `?limit=&cursor=` in, `{items, next_cursor}` out.

A cursor is opaque to clients: the sort value and id of the last row, with a fingerprint of the filters and the sort, so
that it cannot be used with another list.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from app.errors import FieldProblem, Problem


class PageQuery(BaseModel):
    """Query parameters of every list. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=200, description="Items a page")] = 50
    cursor: Annotated[str, Field(max_length=500, description="`next_cursor` of the page before")] | None = None

    def fingerprint(self, path: str = "") -> str:
        """Identity of the list that a cursor belongs to: the path and every filter, without limit and cursor."""
        filters = self.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_none=True)
        return blake2b(path.encode() + orjson.dumps(filters, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()


def encode_cursor(fingerprint: str, *key: Any) -> str:
    """Cursor behind the row with sort key `key` (values that JSON knows, datetimes, UUIDs)."""
    return base64.urlsafe_b64encode(orjson.dumps([fingerprint, *key], default=str)).decode().rstrip("=")


def _bad_cursor() -> Problem:
    return Problem(
        "invalid_cursor",
        "Start again without a cursor, or send the same filters and sort as on the page before.",
        [FieldProblem(pointer="cursor", code="invalid_cursor", detail="Not a cursor of this list.")],
    )


def decode_cursor(fingerprint: str, cursor: str, kinds: Sequence[type]) -> list[Any]:
    """The sort key in `cursor`, as values of `kinds`; a 400 `invalid_cursor` if it is not one of this list."""
    try:
        given, *key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if given != fingerprint or len(key) != len(kinds):
            raise _bad_cursor()
        return [_as(kind, value) for kind, value in zip(kinds, key, strict=True)]
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise _bad_cursor() from error


def _as(kind: type, value: Any) -> Any:
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("no zone")
        return moment.astimezone(UTC)
    if kind is UUID:
        return UUID(value)
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, str) and "\x00" in value):
        raise TypeError("wrong kind")
    return value
