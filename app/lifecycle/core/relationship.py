"""Whether the relationship with a customer is open: formulas of the facts that tell. Pure."""

import numpy as np

from app.lifecycle.core.ledger import Bools, Floats, Known, Ledger, _column

Mark = tuple[int, float, object]


def closing(known: Known, assets: int) -> Mark | None:
    """The mark that ended the relationship, None while it is open.

    It ends when the profile says so, or when the last account was closed; a new trial or account begins it again.
    """
    marks = known.marks
    said = marks.get("relationship")
    found = said if said is not None and said[2] == "closed" else None
    if found is None and assets <= 0 and not any(m[2] for name, m in marks.items() if name.startswith("account:")):
        found = marks.get("account_closed")
    begun = [marks[name][1] for name in ("account_opened", "trial_started") if name in marks]
    if said is not None and said[2] != "closed":
        begun.append(said[1])
    return found if found is not None and found[1] >= max(begun, default=-np.inf) else None


def _closings(ledger: Ledger) -> list[Mark | None]:
    return [closing(k, int(a)) for k, a in zip(ledger.known, ledger.balance(0)[:, 0], strict=True)]


def closed(ledger: Ledger) -> Bools:
    """Whether the relationship has ended: (n, 1)."""
    return np.array([found is not None for found in _closings(ledger)])[:, None]


def closed_since(ledger: Ledger) -> Floats:
    """Days since it ended."""
    return ledger.days_since(_column([found and found[0] for found in _closings(ledger)]))


def enquired_after_closing(ledger: Ledger) -> Bools:
    """Whether the last enquiry in this stage came after the relationship had ended."""
    ended = _column([found and found[1] for found in _closings(ledger)])
    return np.asarray(ledger.new_here("enquiry") & (ledger.mark_time("enquiry") >= ended))
