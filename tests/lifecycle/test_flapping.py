"""A freeze begins with the third return within 60 days, and once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.clock import new_id
from app.events import StageChange, take_published
from app.lifecycle.core.standing import Standing, Stride, frozen_until, local_day, stepped
from app.lifecycle.flapping import freeze_begun, publish_freezes
from tests.conftest import NOW

SHANGHAI = ZoneInfo("Asia/Shanghai")
BEGIN = Standing("growth", NOW, NOW, 1, stage_before="decline")
OTHER = {"growth": "decline", "decline": "growth"}


def walk(*gaps):
    """To and fro, `gaps` days apart: the moment of each step, and the standing before and after it."""
    standing, at, found = BEGIN, NOW, []
    for gap in gaps:
        at += timedelta(days=gap)
        after = stepped(standing, Stride(OTHER[standing.stage], "automatic", "some_rule", at, at, {}), SHANGHAI)
        found.append((at, standing, after))
        standing = after
    return found


def begun(*gaps):
    return [freeze_begun(before, after, at, SHANGHAI) for at, before, after in walk(*gaps)]


def test_the_third_return_begins_a_freeze_until_the_first_is_sixty_days_old():
    first = datetime(2026, 3, 3, tzinfo=SHANGHAI)
    assert begun(1, 1, 1, 1, 1) == [None, None, first + timedelta(days=61), None, None]


def test_returns_that_lie_too_far_apart_begin_none():
    assert begun(1, 30, 30) == [None, None, datetime(2026, 3, 3, tzinfo=SHANGHAI) + timedelta(days=61)]
    assert begun(1, 30, 31) == [None, None, None]
    assert begun(59, 59, 59, 59) == [None] * 4
    assert begun(60, 1, 1, 1) == [None, None, None, datetime(2026, 5, 2, tzinfo=SHANGHAI) + timedelta(days=61)]


def test_when_a_freeze_has_ended_another_may_begin():
    found = begun(1, 1, 1, 61, 1, 1, 1)
    assert [until is not None for until in found] == [False, False, True, False, False, False, True]


def test_a_correction_begins_none():
    [*_, (at, before, after)] = walk(1, 1, 1)
    restored = stepped(
        replace(after, former=SimpleNamespace(standing=before)),
        Stride("decline", "correction", None, at, at, {}),
        SHANGHAI,
    )
    assert freeze_begun(after, restored, at, SHANGHAI) is None


@given(st.lists(st.integers(0, 70), max_size=30))
def test_a_freeze_begins_exactly_where_a_customer_becomes_frozen(gaps):
    frozen = None
    for at, before, after in walk(*gaps):
        today = local_day(at, SHANGHAI)
        was_free = frozen_until(before, today, SHANGHAI) is None
        until = freeze_begun(before, after, at, SHANGHAI)
        assert (until is not None) == (was_free and frozen_until(after, today, SHANGHAI) is not None)
        if until is not None:
            assert at < until <= at + timedelta(days=62)
            assert frozen is None or frozen <= at
            frozen = until


def test_only_the_customers_whose_freeze_begins_are_told_of():
    walked = walk(1, 1, 1, 1)
    steps = [(before, after, _change(at)) for at, before, after in walked]
    session = SimpleNamespace(info={})
    publish_freezes(session, steps[:2], NOW, SHANGHAI)
    assert take_published(session) == []
    publish_freezes(session, steps, NOW, SHANGHAI)
    [event] = take_published(session)
    third = steps[2][2]
    assert event.items == ((third.customer_id, third.transition_id, datetime(2026, 5, 2, 16, tzinfo=UTC)),)


def _change(at):
    interval_id = new_id()
    return StageChange(
        customer_id=new_id(),
        transition_id=new_id(),
        interval_id=interval_id,
        sequence=1,
        from_stage="growth",
        to_stage="decline",
        kind="automatic",
        rule_id="some_rule",
        policy_version=1,
        reason=None,
        actor="rules",
        facts={},
        effective_at=at,
        scope_id=interval_id,
        evaluated_at=at,
    )
