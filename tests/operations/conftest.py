"""A worker turned by hand, and kinds of work that are gone after the test."""

from collections.abc import Callable

import pytest

from app.jobs import Worker
from app.operations.running import KINDS, Handler
from tests.operations.arrange import Gate, hand, lay_bricks


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Handler], None]:
    """Registers a handler until the end of the test."""
    return lambda name, handler: monkeypatch.setitem(KINDS, name, handler)


@pytest.fixture
def gate(kind) -> Gate:
    """The kind `gate`."""
    gate = Gate()
    kind("gate", gate)
    return gate


@pytest.fixture
def wall(kind) -> None:
    """The kind `bricks`; `make_wall` makes its table."""
    kind("bricks", lay_bricks)


@pytest.fixture
def worker(live, settings, clock) -> Worker:
    return hand(live, settings, clock)
