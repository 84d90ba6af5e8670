"""Reading a JSON document by hand, collecting what is wrong instead of stopping at the first problem."""

import math
import re
from collections.abc import Collection, Iterator
from typing import Any

from app.allocation.engine.problems import InvalidDocument, Problem

LANGUAGES = ("zh", "en")
CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Cursor:
    """One place in a document. Reading something wrong records a problem and returns a neutral value, so that reading
    goes on; `finish` raises `InvalidDocument` when anything was recorded."""

    def __init__(self, value: object, pointer: str = "", problems: list[Problem] | None = None) -> None:
        self.value: Any = value
        self.pointer = pointer
        self.problems: list[Problem] = [] if problems is None else problems

    def problem(self, code: str, detail: str) -> None:
        self.problems.append(Problem(self.pointer, code, detail))

    def finish(self) -> None:
        if self.problems:
            raise InvalidDocument(self.problems)

    def fields(self, required: Collection[str], optional: Collection[str] = ()) -> bool:
        """True if this is an object; a missing or an unknown key is a problem each."""
        if not isinstance(self.value, dict):
            self.problem("wrong_type", "must be an object")
            return False
        for key in required:
            if self.value.get(key) is None:
                self.child(key).problem("missing", f"{key} is required")
        for key in self.value:
            if key not in required and key not in optional:
                self.child(str(key)).problem("unknown_field", f"{key} is not a field of this document")
        return True

    def has(self, key: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def child(self, key: str | int) -> "Cursor":
        """The member `key`. A missing member reads as None, which `fields` has already reported."""
        value: object = None
        if isinstance(self.value, dict):
            value = self.value.get(key)
        elif isinstance(self.value, list) and isinstance(key, int):
            value = self.value[key]
        escaped = str(key).replace("~", "~0").replace("/", "~1")
        return Cursor(value, f"{self.pointer}/{escaped}", self.problems)

    def number(self, key: str | int, minimum: float, maximum: float, *, default: float = math.nan) -> float:
        place = self.child(key)
        value = place.value
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            place.problem("wrong_type", "must be a number")
        elif not minimum <= value <= maximum:  # false for NaN as well, and exact for huge integers
            place.problem("out_of_range", f"must be between {minimum:g} and {maximum:g}")
        else:
            return float(value)
        return default

    def share(self, key: str | int, *, default: float = math.nan) -> float:
        """A share of the portfolio in whole tenths of a percent, the grid on which weights are published."""
        value = self.number(key, 0, 1, default=default)
        if not math.isnan(value) and abs(value * 1000 - round(value * 1000)) > 1e-6:
            self.child(key).problem("not_a_multiple", "must be a multiple of 0.001 (0.1 %)")
        return round(value * 1000) / 1000 if not math.isnan(value) else value

    def text(self, key: str, *, longest: int = 2000) -> str:
        place = self.child(key)
        if place.value is None:
            return ""
        if not isinstance(place.value, str) or not place.value.strip():
            place.problem("wrong_type", "must be a text that is not empty")
        elif len(place.value) > longest:
            place.problem("too_long", f"must have at most {longest} characters")
        else:
            return place.value
        return ""

    def code(self, key: str | int) -> str:
        place = self.child(key)
        if place.value is None:
            return ""
        if not isinstance(place.value, str) or not CODE.fullmatch(place.value):
            place.problem("bad_code", "must be lower-case letters, digits and underscores, at most 40, a letter first")
            return ""
        return place.value

    def flag(self, key: str) -> bool:
        place = self.child(key)
        if place.value is not None and not isinstance(place.value, bool):
            place.problem("wrong_type", "must be true or false")
        return place.value is True

    def choice(self, key: str, choices: Collection[str]) -> str:
        place = self.child(key)
        if place.value is None:
            return ""
        if not isinstance(place.value, str) or place.value not in choices:
            place.problem("unknown_value", f"must be one of {', '.join(choices)}")
            return ""
        return place.value

    def texts(self, key: str) -> dict[str, str]:
        """A text in every language of the service."""
        place = self.child(key)
        if place.value is None or not place.fields(LANGUAGES):
            return dict.fromkeys(LANGUAGES, "")
        return {language: place.text(language) for language in LANGUAGES}

    def items(self, key: str | int, fewest: int = 0, most: int = 1000) -> list["Cursor"]:
        place = self.child(key)
        if place.value is None:
            return []
        if not isinstance(place.value, list):
            place.problem("wrong_type", "must be a list")
            return []
        if not fewest <= len(place.value) <= most:
            place.problem("wrong_length", f"must have {fewest} to {most} entries, has {len(place.value)}")
            return []
        return [place.child(index) for index in range(len(place.value))]

    def codes(self, key: str) -> tuple[str, ...]:
        return tuple(self.child(key).code(index) for index in range(len(self.items(key))))

    def members(self, key: str) -> Iterator[tuple[str, "Cursor"]]:
        """The members of an object whose keys are codes."""
        place = self.child(key)
        if place.value is None:
            return
        if not isinstance(place.value, dict):
            place.problem("wrong_type", "must be an object")
            return
        for name in place.value:
            member = place.child(name)
            if not isinstance(name, str) or not CODE.fullmatch(name):
                member.problem("bad_code", f"{name!r} is not a code")
            else:
                yield name, member
