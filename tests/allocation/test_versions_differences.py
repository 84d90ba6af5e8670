"""Differences between JSON documents: total, and enough to make one of the other."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from app.allocation.versions.differences import Difference, differences

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab~/", max_size=3), inner, max_size=4),
    max_leaves=12,
)
_DOCUMENTS = st.dictionaries(st.text("ab~/0", max_size=3), _VALUES, max_size=4)


def test_each_value_is_named_by_its_pointer():
    before = {"a": 1, "gone": True, "list": [1, 2, {"x": 0.1}], "same": 1, "flag": 1}
    after = {"a": 2, "list": [1, 3], "same": 1.0, "flag": True, "new/er": {"b": None}}
    assert sorted(differences(before, after), key=lambda d: d.pointer) == [
        Difference("/a", "changed", 1, 2),
        Difference("/flag", "changed", 1, True),
        Difference("/gone", "removed", True, None),
        Difference("/list/1", "changed", 2, 3),
        Difference("/list/2", "removed", {"x": 0.1}, None),
        Difference("/new~1er", "added", None, {"b": None}),
    ]


def applied(document, found):
    """The document after the differences: what is removed from a list goes from its end."""
    document = copy.deepcopy(document)
    for change in found:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in change.pointer.split("/")[1:]]
        place = document
        for part in parts[:-1]:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if isinstance(place, list):
            index = int(parts[-1])
            place[index : index + 1] = [] if change.change == "removed" else [change.after]
        elif change.change == "removed":
            del place[parts[-1]]
        else:
            place[parts[-1]] = change.after
    return document


def ordered(found):
    """Entries that leave a list, the last one first."""
    removed = [change for change in found if change.change == "removed"]
    return [change for change in found if change.change != "removed"] + removed[::-1]


@given(_DOCUMENTS, _DOCUMENTS)
def test_the_differences_of_any_two_documents_turn_one_into_the_other(before, after):
    found = list(differences(before, after))
    assert applied(before, ordered(found)) == after
    assert not list(differences(after, copy.deepcopy(after)))
    assert bool(found) or before == after
    assert all(change.pointer.startswith("/") for change in found)
