"""The simulated institution beside a running service, and the answers its customers give."""

import asyncio
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.allocation.engine.defaults import default_questionnaire
from app.allocation.profiles import score_complete
from app.clock import utc_now
from app.config import Settings
from app.db import Database
from app.demo import institution
from app.demo.profiles import answers_of

SEGMENTS = ("mass", "affluent", "high_net_worth", "small_business")


@given(
    st.text(min_size=1, max_size=20),
    st.none() | st.dates(date(1930, 1, 1), date(2005, 1, 1)),
    st.sampled_from(SEGMENTS),
)
def test_everybody_answers_every_question_and_always_the_same(name, birth_on, segment):
    answers = answers_of(name, birth_on, segment, date(2026, 1, 1))
    assert answers == answers_of(name, birth_on, segment, date(2026, 1, 1))
    assert 0 <= score_complete(default_questionnaire(), [answers], "/answers").tolerance[0] <= 100


def test_the_young_answer_more_boldly_than_the_old():
    def mean(birth_on: date) -> float:
        answers = [answers_of(f"sim-{i}", birth_on, "mass", date(2026, 1, 1)) for i in range(200)]
        return float(score_complete(default_questionnaire(), answers, "/answers").tolerance.mean())

    assert mean(date(1996, 1, 1)) > mean(date(1946, 1, 1)) + 5


async def scalar(database: Database, query: str) -> object:
    async with database.read() as connection:
        return (await connection.execute(text(query))).scalar()


async def test_the_first_are_there_at_once_the_rest_follow_and_a_restart_goes_on_with_the_same(
    live: Database, live_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(institution, "FIRST", 2)
    monkeypatch.setattr(institution, "STEP_DAYS", 28)
    own = settings.model_copy(update={"database_url": live_url})
    stop = asyncio.Event()
    rest = await institution.load_first(live, own, stop, customers=5)
    assert await scalar(live, "SELECT count(*) FROM customers") == 2
    today = utc_now().date().isoformat()
    assert await scalar(live, "SELECT min(attributes ->> 'simulated_until') FROM customers") == today

    stop.set()
    assert rest is not None
    await rest(stop)
    assert await scalar(live, "SELECT count(*) FROM customers") == 2

    rest = await institution.load_first(live, own, customers=5)
    assert rest is not None
    await rest(asyncio.Event())
    assert await scalar(live, "SELECT count(*) FROM customers") == 5
    assert await institution.load_first(live, own, customers=5) is None
    assert await scalar(live, "SELECT count(*) FROM recommendations WHERE basis = 'advised'") != 0
    assert await scalar(live, "SELECT count(*) FROM customers WHERE stage_entered_at > now()") == 0
