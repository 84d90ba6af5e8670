"""Problems of a document that somebody wrote: all of them at once, each with its place."""

from collections.abc import Iterable
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing wrong in a JSON document.

    `pointer` is the JSON pointer of the place (RFC 6901, the whole document is ""), `code` a stable word for programs,
    `detail` a sentence for people.
    """

    pointer: str
    code: str
    detail: str


class InvalidDocument(ValueError):
    """A document that cannot be used. `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("; ".join(f"{problem.pointer or '/'}: {problem.detail}" for problem in self.problems))
