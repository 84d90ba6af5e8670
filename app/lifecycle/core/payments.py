"""Formulas of facts about what was paid in and out since a stage began, or because of which it began."""

import numpy as np

from app.lifecycle.core.formulas import LEAST_ASSETS, LEAST_NOTED, net, net_total, ratio
from app.lifecycle.core.ledger import MONEY, Floats, Known, Ledger, _column
from app.lifecycle.core.stages import Stage


def outflow_pct(ledger: Ledger) -> Floats:
    """Net outflow of 30 days, as a share of the assets before.

    In a stage that was chosen by hand, what had left before counts no more: whoever chose it knew, and the customer
    must not be thrown back by the same outflow.
    """
    out = ledger.window("outflow", 30)
    gone = np.maximum(out - ledger.window("inflow", 30), 0) / MONEY
    since = _column([_outflow_since(k) for k in ledger.known])
    return ratio(np.minimum(gone, since), ledger.balance(30) / MONEY, LEAST_ASSETS / MONEY)


def _outflow_since(known: Known) -> float:
    by_hand = known.state.stage_before is not None and known.state.entered_by is None
    before: float = known.state.entry.get("outflow_total", 0.0) if by_hand else 0.0
    return known.totals.outflow / MONEY - before


def funded_here(ledger: Ledger) -> Floats:
    """Paid in since the stage began; up to the end of the first trial, everything so far."""
    return _column([_of_first_stages(k, k.totals.inflow if _is_first(k) else sum(_paid_here(k))) for k in ledger.known])


def _of_first_stages(known: Known, paid: int) -> float | None:
    """In a later life, payments are read one by one for the first stages alone; elsewhere they are not computed."""
    later = known.state.stage_before is not None and known.state.stage not in (Stage.PROSPECT, Stage.TRIAL)
    return None if later else paid / MONEY


def _is_first(known: Known) -> bool:
    return known.state.stage_before is None or known.state.last_trial_ended_day is None


def _paid_here(known: Known) -> list[int]:
    """What was paid in on each day since the stage began, in order."""
    days = zip(*known.days[:2], strict=True) if known.days else ()
    return [paid for day, paid in sorted(days) if paid and day >= known.state.entered_day]


def first_funding(ledger: Ledger) -> Floats:
    """Paid in on the first day of funding; in a later life, on the first such day since the stage began."""
    return _column([_of_first_stages(k, _first_funding(k)) for k in ledger.known])


def _first_funding(known: Known) -> int:
    first = known.totals.first_funded_day
    if known.state.stage_before is None or first is None or first >= known.state.entered_day:
        return known.totals.first_funded
    return next(iter(_paid_here(known)), 0)


def refunded_pct(ledger: Ledger) -> Floats:
    """What came back since the assets were lowest, as a share of all that had left by then.

    Many announce that they leave and take their money afterwards: what leaves during the decline belongs to it too.
    """
    lowest = _lowest_since(ledger)
    back = net_total(ledger) - ledger.entry("net_total") - lowest
    return ratio(back, ledger.entry("outflow") - lowest, LEAST_NOTED)


def net_pct_before(ledger: Ledger) -> Floats:
    """Net flow of 30 days, at most what came back since the assets were lowest, as a share of the assets before decline."""
    back = net_total(ledger) - ledger.entry("net_total") - _lowest_since(ledger)
    return ratio(np.minimum(net(ledger, 30) / MONEY, back), ledger.entry("aum_before"), LEAST_NOTED)


def _lowest_since(ledger: Ledger) -> Floats:
    """The lowest that payments since the decline began have added up to, at most zero; zero in other stages: (n, 1)."""
    return _column([_lowest(k) / MONEY if k.state.stage == Stage.DECLINE else 0.0 for k in ledger.known])


def _lowest(known: Known) -> int:
    if not known.days or "net_total" not in known.state.entry:
        return 0
    # Backwards from today, so that what was paid on the day of the step itself, before it, is not counted.
    before: int = round(known.state.entry["net_total"] * MONEY)
    stand = lowest = known.totals.inflow - known.totals.outflow - before
    rows = sorted(zip(*known.days[:3], strict=True), reverse=True)
    for day, paid_in, paid_out in rows:
        if day <= known.state.entered_day:
            break
        stand -= paid_in - paid_out
        lowest = min(lowest, stand)
    return min(lowest, 0)
