"""Views on the markets: what an officer expects beside the assumptions, and how strongly.

A view moves expected returns by Black and Litterman's rule; nobody moves weights by hand.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from app.allocation.engine.assumptions import MOST_CLASSES, AssumptionSet
from app.allocation.engine.black_litterman import NO_VARIANCE, confident_uncertainty, own_variance, posterior
from app.allocation.engine.correlation import Array
from app.allocation.engine.document import Cursor
from app.allocation.engine.prior import HIGHEST_RETURN, LOWEST_RETURN
from app.allocation.engine.problems import Problem

OUTLOOKS = {"rising": 1.0, "neutral": 0.0, "falling": -1.0}
MOST_VIEWS = 100
PROPORTIONAL = 0.5  # the confidence of a view that is as uncertain as the prior
_DEPENDENT = 100 * NO_VARIANCE  # well before `posterior` can no longer tell views apart
_EQUAL = 1e-6  # of a return: a ten-thousandth of a percent


@dataclass(frozen=True)
class View:
    """`long` minus `short` (shares by asset class) is expected to earn `expected_return` a year, arithmetic.

    An absolute view has one class in `long` and nobody in `short`. `confidence` 0 to 1: nothing to certainty.
    """

    long: tuple[tuple[str, float], ...]
    short: tuple[tuple[str, float], ...]
    expected_return: float
    confidence: float
    source: str = ""


@dataclass(frozen=True)
class Views:
    """All views in force. `outlook` holds (asset class, rising, neutral or falling); `outlook_size` is by how much a
    rising class beats the prior in a year, `outlook_confidence` how sure that is.

    `proportional` gives every view an uncertainty equal to that of the prior (Omega = diag(P tau S P')), which is a
    confidence of one half, and no confidence is stated. There is no tau: uncertainties are multiples of it in either
    case, so that it cancels out of expected returns.
    """

    version: str
    views: tuple[View, ...] = ()
    outlook: tuple[tuple[str, str], ...] = ()
    outlook_size: float = 0.02
    outlook_confidence: float = 0.5
    proportional: bool = False


def parse_views(document: object) -> Views:
    """The views that a JSON document describes (`data/views.json` shows every field).

    Raises:
        InvalidDocument: with one problem for each thing that is wrong.
    """
    root = Cursor(document)
    optional = ("description", "views", "outlook", "outlook_size", "outlook_confidence", "uncertainty")
    root.fields(("version",), optional=optional)
    proportional = root.choice("uncertainty", ("confidence", "proportional")) == "proportional"
    found = Views(
        version=root.text("version", longest=100),
        views=tuple(_view(place, proportional) for place in root.items("views", 0, MOST_VIEWS)),
        outlook=tuple((code, _outlook(place)) for code, place in _classes(root, "outlook")),
        outlook_size=root.number("outlook_size", 0, 0.2, default=0.02),
        outlook_confidence=_confidence(root, "outlook_confidence", proportional),
        proportional=proportional,
    )
    root.finish()
    return found


def _view(place: Cursor, proportional: bool) -> View:
    place.fields(("long", "expected_return"), optional=("short", "confidence", "source"))
    long, short = _side(place, "long"), _side(place, "short")
    if place.child("long").value == {}:
        place.child("long").problem("missing", "a view names at least one asset class")
    both = {code for code, _ in long} & {code for code, _ in short}
    for code in sorted(both):
        place.child("short").child(code).problem("duplicate", f"{code} stands on both sides")
    expected = place.number("expected_return", LOWEST_RETURN, HIGHEST_RETURN)
    source = place.text("source") if place.has("source") else ""
    return View(long, short, expected, _confidence(place, "confidence", proportional), source)


def _side(place: Cursor, key: str) -> tuple[tuple[str, float], ...]:
    shares = []
    for code, share in _classes(place, key):
        if share.value is None:
            share.problem("wrong_type", "must be a number")
        shares.append((code, place.child(key).number(code, 0, 1)))
    if shares and abs(sum(share for _, share in shares) - 1) > 1e-6:  # false when a share is wrong, reported already
        place.child(key).problem("weights_sum", "the shares of a side must sum to 1")
    return tuple(shares)


def _classes(place: Cursor, key: str) -> list[tuple[str, Cursor]]:
    members = list(place.members(key))
    if len(members) > MOST_CLASSES:
        place.child(key).problem(
            "wrong_length", f"must name at most {MOST_CLASSES} asset classes, names {len(members)}"
        )
        return []
    return members


def _confidence(place: Cursor, key: str, proportional: bool) -> float:
    if proportional and place.has(key):
        place.child(key).problem("not_used", f"proportional uncertainty leaves no room for {key}")
    return place.number(key, 0, 1, default=PROPORTIONAL)


def _outlook(place: Cursor) -> str:
    if not isinstance(place.value, str) or place.value not in OUTLOOKS:
        place.problem("unknown_value", f"must be one of {', '.join(OUTLOOKS)}")
        return "neutral"
    return place.value


def unknown_classes(views: Views, assumptions: AssumptionSet) -> list[Problem]:
    """Asset classes that the views name and the assumption set lacks, each with its place."""
    known = set(assumptions.codes)
    named = [
        (f"/views/{index}/{side}/{code}", code)
        for index, view in enumerate(views.views)
        for side, shares in (("long", view.long), ("short", view.short))
        for code, _ in shares
    ]
    named += [(f"/outlook/{code}", code) for code, _ in views.outlook]
    return [
        Problem(pointer, "unknown_asset_class", f"the assumption set has no class {code}")
        for pointer, code in named
        if code not in known
    ]


@dataclass(frozen=True, eq=False)
class _Statement:
    """One view on a given assumption set: `row` (k,) of P, what it earns, how sure that is, and where it stands."""

    pointer: str
    row: Array
    expected: float
    confidence: float


def _statements(assumptions: AssumptionSet, views: Views) -> Iterator[_Statement]:
    """The views that say something about this set, those in full first."""
    places = {code: place for place, code in enumerate(assumptions.codes)}
    for index, view in enumerate(views.views):
        sides = [(1.0, *share) for share in view.long] + [(-1.0, *share) for share in view.short]
        confidence = PROPORTIONAL if views.proportional else view.confidence
        if confidence > 0 and all(code in places for _, code, _ in sides):
            row = np.zeros(len(places))
            for sign, code, share in sides:
                row[places[code]] = sign * share
            yield _Statement(f"/views/{index}/expected_return", row, view.expected_return, confidence)
    confidence = PROPORTIONAL if views.proportional else views.outlook_confidence
    for code, outlook in views.outlook:
        if OUTLOOKS[outlook] and code in places and confidence > 0:
            row = np.eye(len(places))[places[code]]
            expected = float(row @ assumptions.expected_returns) + OUTLOOKS[outlook] * views.outlook_size
            yield _Statement(f"/outlook/{code}", row, expected, confidence)


def apply_views(assumptions: AssumptionSet, views: Views) -> AssumptionSet:
    """The assumption set with its expected returns moved by the views; the same set where these say nothing.

    Covariances stay: a view is about returns, and a portfolio's risk is not to shrink because somebody has an opinion.
    What was published stays in `asset_classes`. A view on a class that the set lacks has no effect.
    """
    statements = list(_statements(assumptions, views))
    if not statements:
        return assumptions
    rows = np.array([s.row for s in statements])
    expected = np.array([s.expected for s in statements])
    own = own_variance(assumptions.covariance, rows)
    uncertainty = confident_uncertainty(own, np.array([s.confidence for s in statements]))
    moved = posterior(assumptions.expected_returns, assumptions.covariance, rows, expected, uncertainty)
    return replace(assumptions, moved=tuple(moved.tolist()))


def contradictory_certainties(views: Views, assumptions: AssumptionSet) -> list[Problem]:
    """Certain views that cannot all come true with those before them (repeating these is fine), and views on portfolios
    that the assumptions give no volatility, so that nothing can move them."""
    problems = []
    prior, covariance = assumptions.expected_returns, assumptions.covariance
    mean, left = prior, covariance
    for s in _statements(assumptions, views):
        implied = float(s.row @ mean)
        if own_variance(covariance, s.row[None, :])[0] == 0:
            if abs(s.expected - s.row @ prior) > _EQUAL:
                detail = "the assumptions give this portfolio no volatility: no view can move it"
                problems.append(Problem(s.pointer, "no_volatility", detail))
        elif s.confidence == 1:
            most = (np.abs(s.row) @ assumptions.volatilities) ** 2
            surprise = left @ s.row
            variance = float(s.row @ surprise)
            if variance > _DEPENDENT * most:
                mean = mean + surprise * ((s.expected - implied) / variance)
                left = left - np.outer(surprise, surprise) / variance
            elif abs(s.expected - implied) > _EQUAL:
                detail = f"{s.expected:.4%} contradicts the certain views before it, which leave {implied:.4%}"
                problems.append(Problem(s.pointer, "contradictory", detail))
    return problems


def excessive_returns(views: Views, assumptions: AssumptionSet) -> list[Problem]:
    """A problem if the views together move a class beyond what an assumption may say (-50 % to 100 % a year)."""
    after = apply_views(assumptions, views).expected_returns
    outside = (after < LOWEST_RETURN) | (after > HIGHEST_RETURN)
    found = np.flatnonzero(outside & (after != assumptions.expected_returns))
    if not len(found):
        return []
    beyond = ", ".join(f"{assumptions.codes[place]} {after[place]:.1%}" for place in found.tolist())
    return [
        Problem(
            "/views" if views.views else "/outlook",
            "out_of_range",
            f"together give returns that are not between -50 % and 100 %: {beyond}",
        )
    ]


def differences(before: AssumptionSet, after: AssumptionSet) -> Mapping[str, float]:
    """By how much the expected return of each class differs, by code."""
    return dict(zip(before.codes, (after.expected_returns - before.expected_returns).tolist(), strict=True))
