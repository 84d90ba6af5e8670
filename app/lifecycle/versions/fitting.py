"""Text that must fit: its width without a font at hand, and its lines. Pure."""

import unicodedata

# Of DejaVu Sans, in parts of the font size.
_WIDTHS = {
    **dict.fromkeys("ijl.,:;'|! \u00a0·", 0.34),
    **dict.fromkeys("frt()[]{}-/\\", 0.42),
    **dict.fromkeys("csxyzkvJ?", 0.59),
    **dict.fromkeys("mMW@%", 1.0),
    **dict.fromkeys("w≥≤≠=<>+", 0.84),
}
_BOUND = tuple("≥≤≠=<>\u00a0")


def text_width(text: str, size: float) -> float:
    """Width in pixels, of the widest of the common sans-serif fonts: no text becomes longer than that."""
    return sum(_relative(char) for char in text) * size


def _relative(char: str) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return 1.0
    return _WIDTHS.get(char, 0.79 if char.isupper() else 0.64)


def fit(text: str, width: float, size: float, most: int) -> list[str]:
    """`text` in at most `most` lines, none wider than `width`; what does not fit ends in an ellipsis."""
    lines, line = [], ""
    for unit in _units(text):
        if line and text_width((line + unit).rstrip(), size) > width:
            lines.append(line.rstrip())
            line = unit.lstrip()
        else:
            line += unit
        while text_width(line.rstrip(), size) > width and len(line) > 1:  # one word that is wider than a line
            cut = next(n for n in range(len(line), 0, -1) if n == 1 or text_width(line[:n], size) <= width)
            lines.append(line[:cut])
            line = line[cut:]
    lines += [line.rstrip()] if line.strip() else []
    if len(lines) <= most:
        return lines
    last = lines[most - 1] + " "
    while text_width(last.rstrip() + "…", size) > width and last:
        whole_words, space, _ = last.rstrip().rpartition(" ")
        last = whole_words if space else last[:-1]
    return [*lines[: most - 1], last.rstrip() + "…"]


def _units(text: str) -> list[str]:
    """Pieces between which a line may end: words with the space behind them, single Chinese characters, no threshold."""
    units = [""]
    for char in text:
        wide = unicodedata.east_asian_width(char) in "WF"
        closing = wide and unicodedata.category(char) in ("Po", "Pe")
        ended = units[-1].endswith(" ") or (units[-1] != "" and unicodedata.east_asian_width(units[-1][-1]) in "WF")
        opened = units[-1] != "" and unicodedata.category(units[-1][-1]) == "Ps"
        bound = opened or units[-1].rstrip(" ").endswith(_BOUND)
        if (wide or ended) and not closing and not bound and not char.isspace():
            units.append(char)
        else:
            units[-1] += char
    return [unit for unit in units if unit]
