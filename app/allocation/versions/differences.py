"""What differs between two JSON documents, value by value. Pure, and total: any two documents can be compared."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that was added, removed or changed, with its JSON pointer (RFC 6901)."""

    pointer: str
    change: Literal["added", "removed", "changed"]
    before: Any
    after: Any


def differences(before: Any, after: Any, pointer: str = "") -> Iterator[Difference]:
    """Every difference, in the order of the later document, what is gone last.

    Members of objects are compared by name, those of lists by place. Whatever was added or removed is one difference,
    however much is in it. 1 and 1.0 are the same; 1 and true are not.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**after, **before}:
            place = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            yield from _member(before.get(name, _ABSENT), after.get(name, _ABSENT), place)
    elif isinstance(before, list) and isinstance(after, list):
        for i, (former, later) in enumerate(itertools.zip_longest(before, after, fillvalue=_ABSENT)):
            yield from _member(former, later, f"{pointer}/{i}")
    elif isinstance(before, bool) is not isinstance(after, bool) or before != after:
        yield Difference(pointer, "changed", before, after)


def _member(before: Any, after: Any, pointer: str) -> Iterator[Difference]:
    if before is _ABSENT:
        yield Difference(pointer, "added", None, after)
    elif after is _ABSENT:
        yield Difference(pointer, "removed", before, None)
    else:
        yield from differences(before, after, pointer)
