"""Lives lived again: the same decisions over the same inputs, in memory, under any policy. Pure.

A replay of what was known when (`as_received`) under the policies that applied takes exactly the steps that were taken
live. Customers are replayed side by side, so that one call of `decide` serves many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.lifecycle.core.book import Book, Noted, book_of, counted
from app.lifecycle.core.corrections import taken_back
from app.lifecycle.core.edges import BACK
from app.lifecycle.core.ledger import Known
from app.lifecycle.core.policy import Policy
from app.lifecycle.core.rules import Decision, Subject, decide, entry_now
from app.lifecycle.core.signals import RETRACTION, unsettles
from app.lifecycle.core.standing import Former, Standing, Stride, freed, next_look, remembered, stepped, subject_of


@dataclass(frozen=True, slots=True)
class Input:
    """Something that happened to a customer. `at` is the moment at which it was judged.

    `kind`: `signals` arrive together; `hand` moves the customer `to` a stage; `pin` fixes it until `until`, None lifts
    it; `policy`: the rules of `version` apply; `join`: the signals of a duplicate come in addition; `split`: those that
    were sent for `origin` go; `leave`: the customer is merged into another; `come_back`: that is undone.
    """

    position: int
    at: datetime
    kind: str
    signals: tuple[Noted, ...] = ()
    to: str = ""
    until: datetime | None = None
    version: int = 0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """All that happened to one customer, in order of position, and how it began.

    `unseen_from`: from when on time alone has not been acted on yet, None if it has; `steps` were taken by then.
    """

    customer_id: UUID
    stage: str
    created_at: datetime
    policy_version: int
    inputs: tuple[Input, ...]
    unseen_from: datetime | None = None
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a replayed life; `facts` are what the rule read."""

    from_stage: str
    to_stage: str
    kind: str
    rule_id: str | None
    policy_version: int
    evaluated_at: datetime
    effective_at: datetime
    back: bool
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Course:
    """A life under way. `signals` are all, also those taken back; `next_at` when time alone may change something."""

    life: Life
    book: Book
    standing: Standing
    place: int = 0
    position: int = 0
    next_at: datetime | None = None
    signals: list[Noted] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)

    def next_moment(self, until: datetime) -> tuple[datetime, bool] | None:
        """When something happens next, and whether it is an input; None if nothing does until then."""
        following = self.life.inputs[self.place] if self.place < len(self.life.inputs) else None
        if following is not None and following.at > until:
            following = None
        limit = until if following is None else following.at
        if self.next_at is not None and self.next_at <= limit and self._is_seen(self.next_at):
            return self.next_at, False
        return None if following is None else (following.at, True)

    def _is_seen(self, moment: datetime) -> bool:
        """Whether time had its say then. A step makes its own moment due once more, so steps are counted too."""
        unseen = self.life.unseen_from
        return unseen is None or moment < unseen or (moment == unseen and len(self.moves) < self.life.steps)


@dataclass(frozen=True, slots=True)
class _Judged:
    course: Course
    at: datetime
    effective: datetime
    known: Known
    subject: Subject


def replay(lives: Sequence[Life], policies: Mapping[int, Policy], zone: ZoneInfo, until: datetime) -> list[Course]:
    """Every life up to `until`, in order."""
    courses = [begin(life, zone) for life in lives]
    active = courses
    while active:
        waiting = [(course, course.next_moment(until)) for course in active]
        active = [course for course, following in waiting if following is not None]
        judged = [_happen(c, f[0], f[1], policies, zone) for c, f in waiting if f is not None]
        _judge([one for one in judged if one is not None], policies, zone)
    return courses


def under(life: Life, version: int, since: datetime) -> Life:
    """The same life, ruled by another policy from a moment on, and by no other after that."""
    kept = [i for i in life.inputs if i.kind != "policy" or i.at < since]
    if life.created_at >= since:
        return replace(life, policy_version=version, inputs=tuple(kept))
    place = next((n for n, given in enumerate(kept) if given.at >= since), len(kept))
    position = kept[place - 1].position if place else 0
    switch = Input(position, since, "policy", version=version)
    return replace(life, inputs=(*kept[:place], switch, *kept[place:]))


def begin(life: Life, zone: ZoneInfo) -> Course:
    """A life at its beginning."""
    return Course(life, Book(zone), Standing(life.stage, life.created_at, life.created_at, life.policy_version))


def _happen(
    course: Course, at: datetime, is_input: bool, policies: Mapping[int, Policy], zone: ZoneInfo
) -> _Judged | None:
    """Let the next thing happen; returns what is then to be judged."""
    if not is_input:
        if freed(course.standing, at, zone):
            _take_back(course, at, None, policies, zone)
        return _known(course, at, at, zone)
    given = course.life.inputs[course.place]
    course.place += 1
    course.position = given.position
    effective = at
    match given.kind:
        case "signals":
            effective = _arrive(course, given, policies, zone)
        case "hand":
            _move_by_hand(course, given, zone)
            return None
        case "pin":
            course.standing = replace(course.standing, pinned_until=given.until)
            if given.until is None:
                _take_back(course, at, None, policies, zone)
        case "policy":
            course.standing = replace(course.standing, policy_version=given.version)
        case "leave":
            course.next_at = None
            return None
        case _:
            _regroup(course, given, zone)
    return _known(course, at, effective, zone)


def _known(course: Course, at: datetime, effective: datetime, zone: ZoneInfo) -> _Judged:
    known = course.book.known(course.standing, at)
    return _Judged(course, at, effective, known, subject_of(course.standing, known, at, zone))


def _arrive(course: Course, given: Input, policies: Mapping[int, Policy], zone: ZoneInfo) -> datetime:
    """Signals come in, and may take back the last step; returns when the cause of what follows occurred."""
    course.signals += given.signals
    retracts = any(s.type == RETRACTION for s in given.signals)
    if retracts:
        course.book = book_of(counted(course.signals), zone)
    else:
        course.book.add(given.signals)
    effective = min(min(s.occurred_at, s.received_at) for s in given.signals)
    unsettled = any(unsettles(s.type, s.payload) for s in given.signals)
    _take_back(course, given.at, None if unsettled else effective, policies, zone)
    return effective


def _take_back(
    course: Course, at: datetime, earliest: datetime | None, policies: Mapping[int, Policy], zone: ZoneInfo
) -> None:
    """Take back the last step, and those before it, whose cause is gone.

    `earliest`: only what was decided since then is in doubt, None for whatever was.
    """
    former = course.standing.former
    while former is not None and (earliest is None or earliest <= former.evaluated_at):
        if _known(course, at, at, zone).subject.bound:
            return
        facts = taken_back(former, course.signals, policies[former.policy_version], zone)
        if facts is None:
            return
        stride = Stride(former.standing.stage, "correction", None, at, at, {})
        _step(course, stride, facts, former.policy_version, zone)
        former = course.standing.former


def _move_by_hand(course: Course, given: Input, zone: ZoneInfo) -> None:
    """A move that was made by hand is made again; where another policy has led there already, the pin alone remains."""
    stride = Stride(
        given.to, "manual", None, given.at, given.at, entry_now(_known(course, given.at, given.at, zone).subject)
    )
    if given.to != course.standing.stage:
        _step(course, stride, {}, course.standing.policy_version, zone)
    else:
        pinned = stepped(course.standing, stride, zone).pinned_until
        course.standing = replace(course.standing, pinned_until=pinned)
        course.next_at = given.at


def _regroup(course: Course, given: Input, zone: ZoneInfo) -> None:
    """Duplicates are merged or parted: signals come and go, without a word about the past."""
    course.signals = [s for s in course.signals if given.kind != "split" or s.origin != given.origin]
    course.signals += given.signals
    course.book = book_of(counted(course.signals), zone)


def _judge(judged: Sequence[_Judged], policies: Mapping[int, Policy], zone: ZoneInfo) -> None:
    for version in {one.course.standing.policy_version for one in judged}:
        group = [one for one in judged if one.course.standing.policy_version == version]
        decisions = decide([one.subject for one in group], policies[version])
        for one, decision in zip(group, decisions, strict=True):
            _follow(one, decision, zone)


def _follow(one: _Judged, decision: Decision, zone: ZoneInfo) -> None:
    """What the service does after a decision: a step, or the windows and the next look."""
    course, rule = one.course, decision.rule
    if rule is None or decision.to is None:
        course.standing = replace(course.standing, confirming=decision.confirming)
        course.next_at = next_look(course.standing, decision, one.at, zone)
        return
    stride = Stride(decision.to, "automatic", rule.id, one.at, one.effective, decision.entry, rule.new_cycle)
    _step(course, stride, decision.facts, course.standing.policy_version, zone, back=rule.to == BACK)


def _step(
    course: Course, stride: Stride, facts: Mapping[str, Any], version: int, zone: ZoneInfo, *, back: bool = False
) -> None:
    before = course.standing
    after = stepped(before, stride, zone)
    if stride.kind == "automatic" and stride.rule_id is not None:
        held = remembered(before)
        sequence = len(course.moves) + 1
        former = Former(stride.rule_id, version, sequence, stride.evaluated_at, course.position, "", held)
        after = replace(after, former=former)
    course.standing = after
    course.next_at = stride.evaluated_at
    course.moves.append(
        Move(
            before.stage,
            after.stage,
            stride.kind,
            stride.rule_id,
            version,
            stride.evaluated_at,
            after.changed_at,
            back,
            facts,
        )
    )
