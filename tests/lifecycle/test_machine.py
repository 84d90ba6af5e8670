"""Anything may happen to a few customers, in any order: the invariants hold after every step."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.config import Settings
from tests.lifecycle.conftest import PRAGUE
from tests.lifecycle.playing import POLICIES
from tests.lifecycle.population import EDITS, KINDS, MICROSECOND
from tests.lifecycle.worlds import World

CUSTOMERS = 4
WHO = st.integers(0, CUSTOMERS - 1)
WHEN = st.sampled_from(
    ("now", "now", "now", "hours", "days", "weeks", "midnight", "ahead", "at a step", "after a step")
)
STAGES = st.sampled_from(("trial", "growth", "mature", "decline"))
PASSING = st.one_of(
    st.sampled_from((MICROSECOND, timedelta(minutes=3), timedelta(days=1), timedelta(days=14), timedelta(days=200))),
    st.integers(1, 24 * 60).map(lambda hours: timedelta(hours=hours)),
)
KIND = st.sampled_from([kind for kind, (weight, _) in KINDS.items() for _ in range(weight)])
LEAVING = ("closure_requested", "transfer_out_started", "withdrawal")
REASON = {"reason": "as agreed"}
_numbers = itertools.count(1)


class Lives(RuleBasedStateMachine):
    """The customers are numbered. `sent`: every signal so far, as it was sent; `merges`: those that can be undone."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()
        self.sent: list[dict] = []
        self.merges: list[tuple[int, str]] = []

    def teardown(self) -> None:
        try:
            self.world.replay()
        finally:
            self.world.end()

    @initialize(document=st.sampled_from((POLICIES[0], POLICIES[0], POLICIES[2], None)))
    def come(self, document):
        if document is not None:
            self.world.publish(document)
        self.world.create()
        self.world.create(kyc_status="none")
        self.world.create(stage="mature", playbook_mode="none")
        self.world.create(stage="growth", playbook_mode="none", holds=["dispute"])

    def occurred(self, when, some):
        now, steps = self.world.clock.now, self.world.step_times()
        match when:
            case "hours":
                return now - timedelta(seconds=some.randrange(86_400))
            case "days":
                return now - timedelta(days=some.randrange(20), hours=some.randrange(24))
            case "weeks":
                return now - timedelta(days=some.randrange(300))
            case "midnight":
                local = (now - timedelta(days=some.randrange(3))).astimezone(PRAGUE)
                return local.replace(hour=0, minute=0, second=0, microsecond=0)
            case "ahead":
                return now + timedelta(seconds=some.randrange(300))
            case "at a step" if steps:
                return min(some.choice(steps), now)
            case "after a step" if steps:
                return min(some.choice(steps) + MICROSECOND, now)
        return now

    def told(self, who, kind, at, payload):
        found = {
            "source": "core",
            "source_event_id": f"e{next(_numbers)}",
            "type": kind,
            "customer": {"id": str(self.world.ids[who])},
            "occurred_at": at.isoformat(),
            "payload": payload,
        }
        self.sent.append(found)
        return found

    @rule(
        given=st.lists(st.tuples(WHO, KIND, WHEN), min_size=1, max_size=8), again=st.integers(0, 3), some=st.randoms()
    )
    def signals(self, given, again, some):
        """Some of them come again: first of all new ones in the same batch, then with those of before."""
        before = self.sent[-again:] if again else []
        batch = [self.told(who, kind, self.occurred(when, some), KINDS[kind][1](some)) for who, kind, when in given]
        statuses = self.world.send([*before, *batch, *batch[:again]])
        assert statuses == ["duplicate"] * len(before) + ["accepted"] * len(batch) + ["duplicate"] * len(batch[:again])

    @rule(who=WHO, when=WHEN, some=st.randoms())
    def a_life_in_a_day(self, who, when, some):
        """What leads through several stages, one after the other."""
        kinds = ("trial_started", "risk_profile_completed", "kyc_passed", "portfolio_accepted", "trade", "login")
        batch = [self.told(who, kind, self.occurred("hours", some), {}) for kind in kinds]
        batch.append(self.told(who, "deposit", self.occurred(when, some), {"amount": some.choice(("1500", "12000"))}))
        assert set(self.world.send(batch)) == {"accepted"}
        self.time_passes(timedelta(days=some.choice((0, 1, 4))), to_midnight=False, swept=True)

    @rule(who=WHO, kind=st.sampled_from(LEAVING), when=WHEN, some=st.randoms())
    def a_leave_taking(self, who, kind, when, some):
        payload = {"amount": "12000"} if kind == "withdrawal" else {}
        assert self.world.send([self.told(who, kind, self.occurred(when, some), payload)]) == ["accepted"]

    @precondition(lambda self: self.sent)
    @rule(back=st.integers(0, 12), only_of_the_last_moved=st.booleans())
    def a_mistake(self, back, only_of_the_last_moved):
        moved = self.world.last_moved() if only_of_the_last_moved else None
        possible = [s for s in self.sent if moved is None or s["customer"]["id"] == str(moved)] or self.sent
        wrong = possible[-1 - back % len(possible)]
        who = [str(i) for i in self.world.ids].index(wrong["customer"]["id"])
        payload = {"source_event_id": wrong["source_event_id"]}
        [status] = self.world.send([self.told(who, "signal_retracted", self.world.clock.now, payload)])
        if status == "rejected":
            self.sent.pop()
        self.world.replay()

    @rule(passing=PASSING, to_midnight=st.booleans(), swept=st.booleans())
    def time_passes(self, passing, to_midnight, swept):
        now = self.world.clock.now + passing
        if to_midnight:
            local = (now + timedelta(days=1)).astimezone(PRAGUE).replace(hour=0, minute=0, second=0, microsecond=0)
            now = local.astimezone(now.tzinfo)
        self.world.clock.now = now
        if swept:
            self.world.sweep()

    @rule(who=WHO, days=st.sampled_from((0, 0, 1, 9, 60)))
    def a_pin(self, who, days):
        """For so many days; zero lifts it."""
        if days:
            until = self.world.clock.now + timedelta(days=days)
            self.world.change("PUT", who, "/pin", {"until": until.isoformat(), **REASON})
        else:
            self.world.change("POST", who, "/pin/lift", REASON)

    @rule(who=WHO, edit=st.sampled_from(EDITS), to=st.none() | STAGES)
    def an_edit_or_a_move(self, who, edit, to):
        if to is None:
            self.world.change("PATCH", who, "", edit)
        else:
            self.world.change("POST", who, "/transitions", {"to": to, **REASON})

    @rule(document=st.none() | st.sampled_from(POLICIES), some=st.sets(WHO))
    def a_publication_or_a_piece_of_its_rollout(self, document, some):
        if document is not None:
            self.world.publish(document)
        self.world.switch(some)

    @rule(pair=st.lists(WHO, min_size=2, max_size=2, unique=True), parted=st.booleans())
    def a_merge_or_its_end(self, pair, parted):
        kept, duplicate = pair
        if parted and self.merges:
            kept, merge_id = self.merges.pop()
            self.world.change("POST", kept, f"/merges/{merge_id}/undo", REASON)
            return
        body = {"duplicate_id": str(self.world.ids[duplicate]), **REASON}
        found = self.world.change("POST", kept, "/merge", body)
        if found is not None:
            self.merges.append((kept, found["id"]))

    @invariant()
    def the_rows_obey_the_laws(self):
        self.world.check()


@pytest.fixture
def world(live_url):
    found = World(live_url, Settings(zone=PRAGUE.key))
    yield found
    found.close()


def run(world, **options):
    machine = type("TheseLives", (Lives,), {"world": world})
    always = settings(
        deadline=None,
        stateful_step_count=20,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(machine, settings=settings(always, **options))


def test_the_invariants_hold_whatever_happens(world):
    run(world, max_examples=30, derandomize=True)


@pytest.mark.evidence
def test_the_invariants_hold_whatever_happens_to_a_great_many(world):
    run(world, max_examples=300)
