"""The risk questionnaire: its document, and what a set of answers says about tolerance and circumstances."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.correlation import Array
from app.allocation.engine.document import Cursor
from app.allocation.engine.problems import InvalidDocument, Problem

TOLERANCE = "tolerance"
# What capacity is made of. Age is not among them: the glide path carries it, once.
CAPACITY_FACTS = ("horizon_years", "income_stability", "dependants", "reserve_months", "debt_burden", "invested_share")
FACTS = (*CAPACITY_FACTS, "liquidity_need")
UNANSWERED = -1


@dataclass(frozen=True)
class Option:
    """An answer to choose. `value` is points for a question of tolerance, else the fact in its own unit."""

    id: str
    texts: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Question:
    """`facet` is "tolerance" or the fact (one of `FACTS`) that the question asks for."""

    id: str
    facet: str
    texts: Mapping[str, str]
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Contradiction:
    """Answers that do not go together: any of the options of one question with any of those of another, as places."""

    id: str
    texts: Mapping[str, str]
    first: tuple[int, tuple[int, ...]]
    second: tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class CapacityFact:
    """How a fact scores: straight lines through `points` of (value, score 0 to 100), counted `weight` times."""

    name: str
    weight: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Questionnaire:
    """A version of the questionnaire. `weakest_allowance` is by how many points capacity may exceed its weakest fact,
    `contradiction_penalty` how many points of tolerance each contradiction costs."""

    version: str
    titles: Mapping[str, str]
    contradiction_penalty: float
    questions: tuple[Question, ...]
    capacity: tuple[CapacityFact, ...]
    weakest_allowance: float
    contradictions: tuple[Contradiction, ...]


@dataclass(frozen=True, eq=False)
class AnswerScores:
    """For n customers: `tolerance` and `capacity` in whole points 0 to 100 (NaN where a question they rest on is not
    answered), `facts` (n,) by name, `contradictions` (n, c) in the order of the questionnaire's, and `complete`."""

    tolerance: Array
    capacity: Array
    facts: Mapping[str, Array]
    contradictions: NDArray[np.bool_]
    complete: NDArray[np.bool_]


def encode_answers(
    questionnaire: Questionnaire, answers: Sequence[Mapping[str, str]], pointer: str = ""
) -> NDArray[np.int8]:
    """(n, questions) the place of each chosen option, -1 where none is given, from {question id: option id} of each
    customer. One customer's answers stand at `pointer`, those of several at `pointer`/0, /1 and so on.

    Raises:
        InvalidDocument: with a problem for each unknown question (`unknown_question`) or option (`unknown_option`).
    """
    columns = {question.id: column for column, question in enumerate(questionnaire.questions)}
    options = [{option.id: place for place, option in enumerate(q.options)} for q in questionnaire.questions]
    chosen = np.full((len(answers), len(columns)), UNANSWERED, np.int8)
    problems = []
    for row, given in enumerate(answers):
        start = pointer if len(answers) == 1 else f"{pointer}/{row}"
        for question, option in given.items():
            column = columns.get(question)
            place = f"{start}/" + question.replace("~", "~0").replace("/", "~1")
            if column is None:
                problems.append(Problem(place, "unknown_question", "no such question in this version"))
            elif option not in options[column]:
                allowed = ", ".join(options[column])
                problems.append(Problem(place, "unknown_option", f"must be one of {allowed}"))
            else:
                chosen[row, column] = options[column][option]
    if problems:
        raise InvalidDocument(problems)
    return chosen


def score_answers(questionnaire: Questionnaire, answers: NDArray[np.int8]) -> AnswerScores:
    """What the answers (n, questions) of n customers say, -1 for a question not answered.

    Tolerance is the share of the points to be had, less a penalty for each contradiction.
    """
    values = np.full(answers.shape, np.nan)
    for column, question in enumerate(questionnaire.questions):
        table = np.array([*(option.value for option in question.options), np.nan])
        values[:, column] = table[answers[:, column]]
    columns = {q.facet: column for column, q in enumerate(questionnaire.questions)}
    asked = [column for column, q in enumerate(questionnaire.questions) if q.facet == TOLERANCE]
    most = sum(max(option.value for option in questionnaire.questions[column].options) for column in asked)
    contradictions = np.column_stack(
        [_contradicts(entry, answers) for entry in questionnaire.contradictions]
        or [np.zeros((len(answers), 0), np.bool_)]
    )
    penalty = questionnaire.contradiction_penalty * contradictions.sum(axis=1)
    unknown = np.full(len(answers), np.nan)
    facts = {name: values[:, columns[name]] if name in columns else unknown for name in FACTS}
    return AnswerScores(
        tolerance=np.round(np.clip(100 * values[:, asked].sum(axis=1) / most - penalty, 0, 100)),
        capacity=capacity_scores(questionnaire, facts),
        facts=facts,
        contradictions=contradictions,
        complete=np.logical_and.reduce(answers >= 0, axis=1),
    )


def capacity_scores(questionnaire: Questionnaire, facts: Mapping[str, Array]) -> Array:
    """(n,) capacity in whole points 0 to 100 from the facts of `CAPACITY_FACTS`, each (n,), NaN for unknown.

    The weighted mean of the facts' scores, but no more than the weakest of them and the allowance: a long horizon does
    not make up for having no reserve. An unknown fact scores nothing; with all of them unknown capacity is NaN.
    """
    scores = np.array([_fact_scores(fact, facts[fact.name]) for fact in questionnaire.capacity])
    weights = np.array([fact.weight for fact in questionnaire.capacity])
    known = ~np.isnan(scores)
    scores = np.where(known, scores, 0.0)
    mean = weights @ scores / weights.sum()
    capacity = np.round(np.minimum(mean, scores.min(axis=0) + questionnaire.weakest_allowance))
    return np.where(known.any(axis=0), capacity, np.nan)


def _fact_scores(fact: CapacityFact, values: Array) -> Array:
    given, scores = zip(*fact.points, strict=True)
    return np.asarray(np.interp(values, given, scores), dtype=np.float64)


def _contradicts(entry: Contradiction, answers: NDArray[np.int8]) -> NDArray[np.bool_]:
    first, second = entry.first, entry.second
    return np.isin(answers[:, first[0]], first[1]) & np.isin(answers[:, second[0]], second[1])


def parse_questionnaire(document: object) -> Questionnaire:
    """The questionnaire that a JSON document describes (`data/questionnaire.json` shows every field).

    Raises:
        InvalidDocument: with one problem for each thing that is wrong.
    """
    root = Cursor(document)
    root.fields(("version", "titles", "contradiction_penalty", "questions", "capacity", "contradictions"))
    questions = tuple(_question(place) for place in root.items("questions", 2, 50))
    _check_facets(root, questions)
    capacity = root.child("capacity")
    capacity.fields(("weakest_allowance", "facts"))
    questionnaire = Questionnaire(
        version=root.text("version", longest=100),
        titles=root.texts("titles"),
        contradiction_penalty=root.number("contradiction_penalty", 0, 100),
        questions=questions,
        capacity=tuple(_capacity_fact(name, place) for name, place in capacity.members("facts")),
        weakest_allowance=capacity.number("weakest_allowance", 0, 100),
        contradictions=tuple(_contradiction(place, questions) for place in root.items("contradictions")),
    )
    for name in {*CAPACITY_FACTS} - {fact.name for fact in questionnaire.capacity}:
        capacity.child("facts").child(name).problem("missing", f"{name} is required")
    root.finish()
    return questionnaire


def _question(place: Cursor) -> Question:
    place.fields(("id", "facet", "texts", "options"))
    facet = place.choice("facet", (TOLERANCE, *FACTS))
    options = []
    for entry in place.items("options", 2, 20):
        entry.fields(("id", "value", "texts"))
        options.append(Option(entry.code("id"), entry.texts("texts"), entry.number("value", 0, 1000)))
    if len({option.id for option in options}) < len(options):
        place.child("options").problem("duplicate", "two options have the same id")
    return Question(place.code("id"), facet, place.texts("texts"), tuple(options))


def _check_facets(root: Cursor, questions: tuple[Question, ...]) -> None:
    place = root.child("questions")
    facets = [question.facet for question in questions]
    if len({question.id for question in questions}) < len(questions):
        place.problem("duplicate", "two questions have the same id")
    for name in FACTS:
        if questions and facets.count(name) != 1:
            place.problem("wrong_facets", f"exactly one question must ask for {name}")
    points = [option.value for q in questions if q.facet == TOLERANCE for option in q.options]
    if questions and not any(value > 0 for value in points):
        place.problem("wrong_facets", "no question of tolerance gives points")


def _capacity_fact(name: str, place: Cursor) -> CapacityFact:
    place.fields(("weight", "points"))
    if name not in CAPACITY_FACTS:
        place.problem("unknown_value", f"must be one of {', '.join(CAPACITY_FACTS)}")
    points = []
    for entry in place.items("points", 2, 50):
        if len(entry.value if isinstance(entry.value, list) else ()) == 2:
            points.append((entry.number(0, 0, 1000), entry.number(1, 0, 100)))
        else:
            entry.problem("wrong_type", "must be a pair of value and score")
    if any(first[0] >= second[0] for first, second in itertools.pairwise(points)):
        place.child("points").problem("wrong_order", "values must rise strictly")
    return CapacityFact(name, place.number("weight", 0.01, 100), tuple(points))


def _contradiction(place: Cursor, questions: tuple[Question, ...]) -> Contradiction:
    place.fields(("id", "texts", "first", "second"))
    sides = [_side(place.child(name), questions) for name in ("first", "second")]
    return Contradiction(place.code("id"), place.texts("texts"), sides[0], sides[1])


def _side(place: Cursor, questions: tuple[Question, ...]) -> tuple[int, tuple[int, ...]]:
    place.fields(("question", "options"))
    name, chosen = place.code("question"), place.codes("options")
    column = next((i for i, question in enumerate(questions) if question.id == name), None)
    if column is None:
        place.child("question").problem("unknown_value", "no such question")
        return 0, ()
    places = {option.id: index for index, option in enumerate(questions[column].options)}
    for code in chosen:
        if code not in places:
            place.child("options").problem("unknown_value", f"{code} is not an option of that question")
    return column, tuple(places[code] for code in chosen if code in places)
