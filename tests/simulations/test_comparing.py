"""Figures of a simulation: pure."""

from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from app.playbooks.definition import parse
from app.playbooks.plan import CustomerFacts
from app.playbooks.service import shipped_document
from app.simulations.comparing import Pair, Path, Period, Taken, Tally, difference, differs, returns
from app.simulations.load import _stays, due_days
from tests.conftest import NOW

ANN = UUID(int=1)
PERIOD = Period(NOW, NOW + timedelta(days=200), ZoneInfo("UTC"), exact=True)
FACTS = CustomerFacts("Ann", "individual", "mass", "C", None)
BOOK = parse(shipped_document())


def step(days, came_from, to, rule="some_rule", kind="automatic", resumes=False):
    at = NOW + timedelta(days=days)
    return Taken(came_from, to, kind, None if kind == "correction" else rule, at, at, {}, resumes)


def path(*steps):
    return Path(ANN, "growth", NOW, steps)


def pair(live, simulated):
    return Pair(path(*live), path(*simulated))


DECLINE = step(10, "growth", "decline", "at_risk")
BACK = step(30, "decline", "growth", "false_alarm", resumes=True)


def test_the_same_way_does_not_differ_and_another_does():
    assert not differs(pair([DECLINE], [DECLINE]), PERIOD)
    assert differs(pair([DECLINE], []), PERIOD)
    assert differs(pair([DECLINE], [step(11, "growth", "decline", "at_risk")]), PERIOD)
    same_day = Period(PERIOD.begin, PERIOD.end, PERIOD.zone, exact=False)
    hours = timedelta(hours=3)
    later = Taken("growth", "decline", "automatic", "at_risk", DECLINE.evaluated_at + hours, DECLINE.effective_at, {})
    assert not differs(pair([DECLINE], [later]), same_day)
    assert differs(pair([DECLINE], [later]), PERIOD)


def test_a_difference_names_the_first_steps_in_which_the_ways_part():
    found = difference(pair([DECLINE, BACK], [DECLINE]), PERIOD)
    assert (found["first_live"]["rule_id"], found["first_simulated"]) == ("false_alarm", None)
    assert found["parts_at"] == BACK.effective_at
    assert (found["live_stage"], found["simulated_stage"]) == ("growth", "decline")


def test_a_return_is_a_step_back_within_60_days_and_a_correction_is_none():
    assert returns(path(DECLINE, BACK), PERIOD) == 1
    assert returns(path(DECLINE, step(70, "decline", "growth", "false_alarm")), PERIOD) == 0
    assert returns(path(DECLINE, step(11, "decline", "growth", kind="correction")), PERIOD) == 0


def test_a_step_that_is_taken_again_after_its_correction_is_no_return():
    undone = step(11, "decline", "growth", kind="correction", resumes=True)
    assert returns(path(DECLINE, undone, step(12, "growth", "decline", "at_risk")), PERIOD) == 0


def test_two_corrections_lead_back_into_the_first_stay():
    grown = step(10, "growth", "mature", "matured")
    back = step(21, "decline", "mature", kind="correction", resumes=True)
    further = step(22, "mature", "growth", kind="correction", resumes=True)
    changes, windows = _stays(path(grown, step(20, "mature", "decline", "at_risk"), back, further))
    assert changes[-1].scope_id == changes[0].scope_id
    assert len(windows[changes[0].scope_id]) == 2


def test_a_tally_of_chunks_is_the_tally_of_all():
    pairs = [pair([DECLINE], []), pair([], []), pair([DECLINE, BACK], [DECLINE])]
    whole, parts = Tally(), Tally()
    whole.add(pairs, PERIOD)
    for one in pairs:
        parts.add([one], PERIOD)
    assert whole.result() == parts.result()
    assert sum(cell["customers"] for cell in whole.result()["matrix"]) == 3


def load(*steps):
    found = list(due_days(path(*steps), FACTS, BOOK, PERIOD))
    return len(found), found


def test_a_stay_that_is_resumed_at_once_has_the_load_of_one_that_was_never_left():
    at = NOW + timedelta(days=10)
    wrong = Taken("growth", "decline", "automatic", "at_risk", at, at, {})
    undone = Taken("decline", "growth", "correction", None, at, at, {}, resumes=True)
    never = [day for day, _ in load()[1]]
    resumed = [day for day, _ in load(wrong, undone)[1]]
    assert len(never) > 5
    assert [day for day in resumed if day > at.date()] == [day for day in never if day > at.date()]


def test_leaving_for_good_ends_what_belongs_to_the_stay():
    gone = [day for day, is_task in load(DECLINE)[1] if not is_task]
    assert load()[0] != len(gone)
