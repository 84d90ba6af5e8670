"""What a playbook document may say, and what is wrong with one that says something else. Pure.

A document is `{version, name, actions: [...]}`. Each action is measured from an anchor:

* `entry` and `dwell`: `offset` after the customer entered the stage. Entry is for the first moments of a stage, dwell
  for what follows while the customer stays; an import may ask for dwell actions only.
* `exit`: `offset` after the customer left the stage; such an action always survives the exit.
* `date`: `offset` (which may be negative) from a date of the customer's calendar, named by `date`.
* `signal`: `offset` after one of `signals`; `every` is then the least time between two occurrences.
* `freeze`: `offset` after three returns to a stage just left have switched the rules off for the customer; such an
  action is for any stage, and happens once for every such freeze.

`app.playbooks.plan` plans entry, dwell, exit and freeze. Definitions with the anchors date and signal are validated
here and stored with the playbook; a stage change never plans them.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from app.errors import FieldProblem
from app.playbooks.texts import LANGUAGES, Content, template_problem

Tier = Literal["A", "B", "C"]
Stage = Literal["prospect", "trial", "growth", "mature", "decline"]
StageOrAny = Literal["prospect", "trial", "growth", "mature", "decline", "any"]
Anchor = Literal["entry", "dwell", "exit", "date", "signal", "freeze"]
CalendarDate = Literal["birthday", "anniversary", "festival", "webinar", "seminar"]
Kind = Literal[
    "task",
    "message",
    "survey",
    "offer",
    "service_extension",
    "event_invitation",
    "adviser_assignment",
    "portfolio_review",
    "portfolio_proposal",
]
ActionClass = Literal["regulatory", "service", "retention", "survey", "care", "promotion"]
Channel = Literal["in_app", "email", "phone", "sms", "push", "wechat", "post"]

INTERNAL_KINDS = frozenset({"task", "adviser_assignment", "portfolio_review"})
"""Kinds that the institution's own people do; they reach no customer and therefore have no channel."""

FIELDS = ("segment", "tier", "kind", "stage", "reason")
"""What a condition may read. `reason` is the rule that moved the customer, or else the kind of the transition."""

_DURATION = re.compile(
    r"(-?)P(?=\d|T\d)(?:(\d{1,3})W)?(?:(\d{1,4})D)?(?:T(?=\d)(?:(\d{1,4})H)?(?:(\d{1,4})M)?)?", re.ASCII
)


def parse_duration(text: object) -> timedelta:
    """The time span that an ISO 8601 duration of weeks, days, hours and minutes names; ValueError for other text.

    Months and years are refused: their length depends on when they begin.
    """
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("not an ISO 8601 duration of weeks, days, hours and minutes, such as P2D or PT4H")
    weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[1:])
    span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
    return -span if found.group(1) else span


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ByTier(_Part):
    """A time span for each tier. In a document, one duration stands for all three."""

    A: Duration
    B: Duration
    C: Duration

    @model_validator(mode="before")
    @classmethod
    def _one_for_all(cls, given: Any) -> Any:
        return {"A": given, "B": given, "C": given} if isinstance(given, str) else given

    def of(self, tier: str) -> timedelta:
        """The span for `tier`."""
        span: timedelta = getattr(self, tier)
        return span

    def spans(self) -> tuple[timedelta, timedelta, timedelta]:
        """All three spans."""
        return self.A, self.B, self.C


class Definition(_Part):
    """One action of a playbook. See the head of this file for the anchors."""

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
    stage: StageOrAny
    kind: Kind
    anchor: Anchor
    date: CalendarDate | None = None
    signals: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{1,59}$")], ...], Field(max_length=20)] = ()
    offset: ByTier
    every: ByTier | None = None
    action_class: ActionClass = Field(alias="class")
    measure: Annotated[str, Field(min_length=1, max_length=200)]
    condition: dict[str, Any] | None = None
    channel: Channel | None = None
    content: Content
    owner: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")] = "adviser"
    survives_exit: bool
    expires_after: Duration


class Playbook(_Part):
    """A valid playbook; never changes once published."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    actions: Annotated[tuple[Definition, ...], Field(min_length=1, max_length=500)]
    _by_key: dict[str, Definition] = PrivateAttr()

    def find(self, key: str) -> Definition:
        """The definition called `key`; KeyError if there is none."""
        return self._by_key[key]

    def of_stage(self, stage: str, anchors: Iterable[str]) -> list[Definition]:
        """Definitions for `stage`, or for any stage, with one of `anchors`."""
        wanted = frozenset(anchors)
        return [d for d in self.actions if d.stage in (stage, "any") and d.anchor in wanted]

    def model_post_init(self, _context: Any) -> None:
        """Index the definitions once; a playbook is read many times."""
        self._by_key = {definition.key: definition for definition in self.actions}


class InvalidPlaybookError(ValueError):
    """The document is not a playbook; `problems` say where and why."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__("; ".join(f"{p.pointer}: {p.detail}" for p in problems))
        self.problems = list(problems)


def parse(document: Any) -> Playbook:
    """The playbook that a JSON value describes; `InvalidPlaybookError` with a JSON pointer for every fault."""
    try:
        playbook = Playbook.model_validate(document)
    except ValidationError as error:
        raise InvalidPlaybookError(
            [
                FieldProblem(pointer="".join(f"/{part}" for part in e["loc"]), code=e["type"], detail=e["msg"])
                for e in error.errors(include_input=False, include_url=False)
            ]
        ) from error
    problems = [
        problem
        for index, definition in enumerate(playbook.actions)
        for problem in _problems_of(definition, f"/actions/{index}")
    ]
    first: dict[str, int] = {}
    for index, definition in enumerate(playbook.actions):
        if first.setdefault(definition.key, index) != index:
            text = f"The action {first[definition.key]} has this key too."
            problems.append(FieldProblem(pointer=f"/actions/{index}/key", code="taken", detail=text))
    if problems:
        raise InvalidPlaybookError(problems)
    return playbook


def _problems_of(definition: Definition, pointer: str) -> list[FieldProblem]:
    """What is wrong with one action although each field alone is right."""
    d = definition
    faults = [
        (d.anchor != "date" or d.date is not None, "date", "missing", "The anchor date needs to know which."),
        (d.anchor == "date" or d.date is None, "date", "not_allowed", "Only the anchor date has one."),
        (d.anchor != "signal" or bool(d.signals), "signals", "missing", "The anchor signal needs to know which."),
        (d.anchor == "signal" or not d.signals, "signals", "not_allowed", "Only the anchor signal has some."),
        (d.anchor == "date" or min(d.offset.spans()) >= timedelta(0), "offset", "negative", "Lies before the anchor."),
        (d.anchor != "exit" or d.every is None, "every", "not_allowed", "What follows an exit happens once."),
        (d.anchor != "freeze" or d.every is None, "every", "not_allowed", "What follows a freeze happens once."),
        (
            d.every is None or min(d.every.spans()) >= timedelta(days=1),
            "every",
            "too_often",
            "Repeats at most once a day.",
        ),
        (d.anchor != "exit" or d.survives_exit, "survives_exit", "must_survive", "An exit action survives the exit."),
        (d.stage != "any" or d.survives_exit, "survives_exit", "must_survive", "It belongs to no single stage."),
        (d.stage != "any" or d.anchor != "exit", "anchor", "not_allowed", "No stage is left by all."),
        (d.anchor != "freeze" or d.stage == "any", "stage", "must_be_any", "A freeze belongs to no single stage."),
        (d.kind in INTERNAL_KINDS or d.channel is not None, "channel", "missing", "What reaches a customer needs one."),
        (d.kind not in INTERNAL_KINDS or d.channel is None, "channel", "not_allowed", "It reaches no customer."),
        (d.expires_after > timedelta(0), "expires_after", "not_positive", "Must be longer than nothing."),
    ]
    found = [
        FieldProblem(pointer=f"{pointer}/{field}", code=code, detail=detail)
        for right, field, code, detail in faults
        if not right
    ]
    if d.condition is not None:
        found += _condition_problems(d.condition, f"{pointer}/condition", d)
    for language in LANGUAGES:
        for part in ("subject", "body"):
            detail = template_problem(getattr(getattr(d.content, language), part), language)
            if detail is not None:
                where = f"{pointer}/content/{language}/{part}"
                found.append(FieldProblem(pointer=where, code="template", detail=detail))
    return found


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
_OPS = ("eq", "ne", "in", "not_in", *_ORDER)
_MAX_DEPTH = 5


def _condition_problems(tree: Any, pointer: str, definition: Definition, depth: int = 0) -> list[FieldProblem]:
    def wrong(where: str, code: str, detail: str) -> list[FieldProblem]:
        return [FieldProblem(pointer=pointer + where, code=code, detail=detail)]

    if depth > _MAX_DEPTH:
        return wrong("", "too_deep", f"At most {_MAX_DEPTH} levels.")
    if not isinstance(tree, Mapping):
        return wrong("", "not_an_object", "A condition is an object.")
    if set(tree) in ({"all"}, {"any"}):
        [(name, children)] = tree.items()
        if not isinstance(children, list) or not 1 <= len(children) <= 20:
            return wrong(f"/{name}", "not_a_list", "A list of 1 to 20 conditions.")
        return [
            problem
            for index, child in enumerate(children)
            for problem in _condition_problems(child, f"{pointer}/{name}/{index}", definition, depth + 1)
        ]
    if set(tree) != {"field", "op", "value"}:
        return wrong("", "unknown_shape", "Either all, or any, or field with op and value.")
    field, op, value = tree["field"], tree["op"], tree["value"]
    of_signal = isinstance(field, str) and field.startswith("signal.") and definition.anchor == "signal"
    if not of_signal and field not in FIELDS:
        return wrong("/field", "unknown_field", f"Known fields: {', '.join(FIELDS)}; signal.* with the anchor signal.")
    if field == "reason" and (definition.stage == "any" or definition.anchor not in ("entry", "dwell", "exit")):
        return wrong("/field", "not_allowed", "Only an action of one stage, planned by a stage change, has a reason.")
    if op not in _OPS or (op in _ORDER and not of_signal):
        return wrong("/op", "unknown_op", "eq, ne, in, not_in; for numbers of a signal also lt, lte, gt, gte.")
    return [] if _right_value(op, value) else wrong("/value", "wrong_kind", "Does not fit the operator.")


def _right_value(op: str, value: Any) -> bool:
    if op in ("in", "not_in"):
        return isinstance(value, list) and 1 <= len(value) <= 50 and all(isinstance(v, str) for v in value)
    if op in ("eq", "ne"):
        return isinstance(value, str)
    return _is_number(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def condition_holds(tree: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> bool:
    """Whether a valid condition holds for `facts`; None always holds, and a fact that is missing fails every op."""
    if tree is None:
        return True
    if "all" in tree:
        return all(condition_holds(child, facts) for child in tree["all"])
    if "any" in tree:
        return any(condition_holds(child, facts) for child in tree["any"])
    fact: Any = facts.get(tree["field"])
    op, value = tree["op"], tree["value"]
    if fact is None or (op in _ORDER and not _is_number(fact)):
        return False
    if op in ("in", "not_in"):
        return (fact in value) is (op == "in")
    if op in ("eq", "ne"):
        return (fact == value) is (op == "eq")
    compare: Callable[[Any, Any], bool] = _ORDER[op]
    return compare(fact, value)
