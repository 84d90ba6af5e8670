"""Where everything stands in the picture of a policy. Pure.

Prospect, trial, growth and mature stand in a row, decline lies below them over the whole width. Neighbours are joined by
straight lines in the gap between them, forward above and back below; stages further apart by tracks over the row; decline
by vertical lines. Labels stand in gaps that no other line enters: over its own track, or in the half column beside its
vertical line, each in a band of its own. So nothing can overlap, whatever the policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from app.lifecycle.core.policy import Policy
from app.lifecycle.core.stages import STAGES
from app.lifecycle.explaining.wording import Voice
from app.lifecycle.versions.diagram import Edge, edges_of
from app.lifecycle.versions.fitting import fit, text_width
from app.lifecycle.versions.words import condition_words, terms

ROW = STAGES[:-1]
BELOW = STAGES[-1]
BOX, GAP, HIGH, BAR = 150.0, 236.0, 66.0, 58.0
MARGIN = 28.0
SIZE, LINE = 12.0, 15.5
"""Font size of labels, and the distance of their lines."""

_PITCH = BOX + GAP
_PAD = 14.0
_SPREAD = 11.0
_BETWEEN = 7.0
_LINES = 3
_ROUND = 12.0


@dataclass(frozen=True, slots=True)
class Entry:
    """The label of one edge: the rule, its condition in lines, its terms, and everything in words."""

    rule_id: str
    lines: tuple[str, ...]
    terms: tuple[str, ...]
    words: str

    @property
    def height(self) -> float:
        """In pixels."""
        return LINE * (1 + len(self.lines) + len(self.terms))


@dataclass(frozen=True, slots=True)
class Bundle:
    """All edges of one pair of stages: one line with the labels of its rules, the first at (x, y), one below the other."""

    source: str
    target: str
    path: str
    x: float
    y: float
    is_right: bool
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """The box of a stage."""

    stage: str
    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class Layout:
    """The whole picture."""

    boxes: list[Box] = field(default_factory=list)
    bundles: list[Bundle] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def block_height(entries: Sequence[Entry]) -> float:
    """Height of labels that stand one below the other."""
    return sum(entry.height for entry in entries) + _BETWEEN * (len(entries) - 1)


def entry_of(edge: Edge, width: float, voice: Voice) -> Entry:
    """The label of an edge, at most `width` wide."""
    condition, rest = condition_words(edge.rule.when, voice), terms(edge.rule, voice)
    words = " · ".join(part for part in (f"{edge.rule.id}: {condition}", rest) if part)
    [name] = fit(edge.rule.id, width, SIZE * 1.1, 1)  # bold
    shown = tuple(line.rstrip(" ·") for line in fit(rest, width, SIZE, 2))
    return Entry(name, tuple(fit(condition, width, SIZE, _LINES)), shown, words)


def entries_width(entries: Sequence[Entry]) -> float:
    """Width of the widest line of labels."""
    lines = [line for entry in entries for line in (*entry.lines, *entry.terms)]
    names = [text_width(entry.rule_id, SIZE * 1.1) for entry in entries]
    return max([*names, *(text_width(line, SIZE) for line in lines)])


class _Places:
    """Coordinates of the row, and the labels of every pair of stages."""

    def __init__(self, policy: Policy, voice: Voice) -> None:
        self.labels: dict[tuple[str, str], tuple[Entry, ...]] = {}
        for edge in edges_of(policy.rules):
            pair = (edge.source, edge.target)
            width = _PITCH / 2 - _SPREAD - _PAD if BELOW in pair else GAP - 2 * _PAD
            self.labels[pair] = (*self.labels.get(pair, ()), entry_of(edge, width, voice))
        outside = _PITCH / 2 - BOX / 2
        self.left = MARGIN + (outside if (ROW[0], BELOW) in self.labels else 0.0)
        self.right = MARGIN + (outside if (BELOW, ROW[-1]) in self.labels else 0.0)
        self.top = self.middle = self.bottom = 0.0

    def x(self, stage: str) -> float:
        """Left edge of a box of the row."""
        return self.left + _PITCH * ROW.index(stage)


def layout(policy: Policy, voice: Voice, head: float) -> Layout:
    """The picture of a policy; `head` pixels are left free above everything."""
    places = _Places(policy, voice)
    found = Layout()
    found.width = places.left + len(ROW) * BOX + (len(ROW) - 1) * GAP + places.right
    tracks = _tracks(places)
    above = [block_height(places.labels[pair]) for pair in _neighbours(places, step=1)]
    # Over the middle of the row stand the labels of forward lines, above these the tracks.
    low = max([HIGH / 2, *(height + _SPREAD + _PAD for height in above)])
    high = sum(block_height(places.labels[pair]) + _PAD for pair in tracks)
    places.middle = head + high + low + (_PAD if tracks else 0.0)
    places.top, places.bottom = places.middle - HIGH / 2, places.middle + HIGH / 2
    for stage in ROW:
        found.boxes.append(Box(stage, places.x(stage), places.top, BOX, HIGH))
    found.bundles += _straight(places)
    found.bundles += _over(places, tracks, places.middle - low - (_PAD if tracks else 0.0))
    begin = max([places.bottom, *(_end(b) for b in found.bundles if b.y > places.middle)]) + _PAD
    heights = [block_height(labels) for pair, labels in places.labels.items() if BELOW in pair]
    floor = begin + max(heights, default=0.0) + 2 * _PAD
    found.bundles += _down(places, begin, floor)
    found.boxes.append(Box(BELOW, places.left, floor, found.width - places.left - places.right, BAR))
    found.height = floor + BAR + MARGIN
    return found


def _end(bundle: Bundle) -> float:
    return bundle.y + block_height(bundle.entries)


def _neighbours(places: _Places, step: int) -> list[tuple[str, str]]:
    """Pairs of neighbours in the row that rules join, forward (1) or back (-1)."""
    return [pair for pair in pairwise(ROW[::step]) if pair in places.labels]


def _straight(places: _Places) -> list[Bundle]:
    """Lines between neighbours: forward with the labels above, back with the labels below."""
    found = []
    for step in (1, -1):
        for pair in _neighbours(places, step):
            left = min(pair, key=ROW.index)
            begin, end = places.x(left) + BOX, places.x(left) + _PITCH
            both = pair[::-1] in places.labels
            y = places.middle - (step * _SPREAD if both else 0.0)
            height = block_height(places.labels[pair])
            path = f"M{begin:g} {y:g}H{end - 3:g}" if step > 0 else f"M{end:g} {y:g}H{begin + 3:g}"
            top = y - 6 - height if step > 0 else y + 6
            found.append(Bundle(*pair, path, begin + _PAD, top, False, places.labels[pair]))
    return found


def _tracks(places: _Places) -> list[tuple[str, str]]:
    """Pairs of the row that are no neighbours, the lowest track first."""
    pairs = [(a, b) for a in ROW for b in ROW if abs(ROW.index(a) - ROW.index(b)) > 1 and (a, b) in places.labels]
    return sorted(pairs, key=lambda pair: abs(ROW.index(pair[0]) - ROW.index(pair[1])))


def _ports(places: _Places, tracks: Sequence[tuple[str, str]]) -> dict[tuple[str, tuple[str, str]], float]:
    """Where tracks leave and enter the boxes: the lower ones outside, so that none crosses another of the same box."""
    found = {}
    for stage in ROW:
        mine = [pair for pair in tracks if stage in pair]
        to_left = [p for p in mine if min(map(ROW.index, p)) < ROW.index(stage)]
        to_right = [p for p in reversed(mine) if p not in to_left]
        for i, pair in enumerate([*to_left, *to_right], 1):
            found[stage, pair] = places.x(stage) + BOX * i / (len(mine) + 1)
    return found


def _over(places: _Places, tracks: Sequence[tuple[str, str]], y: float) -> list[Bundle]:
    """Tracks over the row, the lowest at `y`, each with its labels above it in the gap beside its source."""
    ports = _ports(places, tracks)
    found = []
    for pair in tracks:
        begin, end = ports[pair[0], pair], ports[pair[1], pair]
        turn = _ROUND if end > begin else -_ROUND
        path = (
            f"M{begin:g} {places.top:g}V{y + _ROUND:g}Q{begin:g} {y:g} {begin + turn:g} {y:g}"
            f"H{end - turn:g}Q{end:g} {y:g} {end:g} {y + _ROUND:g}V{places.top - 3:g}"
        )
        gap = places.x(pair[0]) + BOX if turn > 0 else places.x(pair[0]) - GAP
        height = block_height(places.labels[pair])
        found.append(Bundle(*pair, path, gap + _PAD, y - 6 - height, False, places.labels[pair]))
        y -= height + _PAD
    return found


def _down(places: _Places, begin: float, floor: float) -> list[Bundle]:
    """Vertical lines to decline and from it: labels to the left of those that lead down, to the right of the others."""
    found = []
    for stage in ROW:
        both = (stage, BELOW) in places.labels and (BELOW, stage) in places.labels
        centre = places.x(stage) + BOX / 2
        for pair in ((stage, BELOW), (BELOW, stage)):
            if pair not in places.labels:
                continue
            down = pair[1] == BELOW
            x = centre + (_SPREAD if both else 0.0) * (-1 if down else 1)
            path = f"M{x:g} {places.bottom:g}V{floor - 3:g}" if down else f"M{x:g} {floor:g}V{places.bottom + 3:g}"
            height = block_height(places.labels[pair])
            y = (begin + floor - height) / 2
            found.append(Bundle(*pair, path, x - 8 if down else x + 8, y, down, places.labels[pair]))
    return found
