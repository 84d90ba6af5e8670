"""A receiver, and a worker that tests turn by hand."""

from collections.abc import AsyncIterator

import pytest

from app.config import Settings
from app.db import Database
from app.jobs import Worker
from app.webhooks.sending import http_session
from tests.webhooks.arrange import ShiftedClock
from tests.webhooks.receiver import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def moving_clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def worker(live: Database, settings: Settings, moving_clock: ShiftedClock) -> AsyncIterator[Worker]:
    async with http_session(settings) as http:
        yield Worker(live, settings, moving_clock, http)
