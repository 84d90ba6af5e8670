"""Ways out, and back.

Gradual (80-220 days): logins fall to a twentieth, questions about fees and transfers, the standing order is cancelled
and the salary moves (planned in `funded`), 3-6 growing withdrawals, then closure. 22 % are saved on the way, between
55 % and 70 % of it, and bring back 60-100 % of what they took. Sudden: one transfer out; 70 % close the accounts within
15 days, a fifth of the others come back after 30-150 days. Dormant: nothing at all, the money stays; 12 % wake up after
200-330 days. Of those who closed, 12 % ask again after 90-300 days and are prospects once more.
"""

import math

from app.demo.simulation.life import Leave, Life, Next

SAVED, ASKS_AGAIN, CLOSES_AT_ONCE, RETURNS, WAKES = 0.22, 0.12, 0.7, 0.2, 0.12


def gradual(life: Life, day: int) -> Next:
    """Fade for weeks, then close, unless somebody saves them."""
    draws = life.draws
    length = draws.between(80, 220)
    saved = draws.chance(SAVED)
    until = day + (round(length * draws.uniform(0.55, 0.7)) if saved else length)
    leave = Leave("gradual", day)
    life.leaves.append(leave)
    life.enter(day, "decline")
    _fade(life, day, length, until)
    if saved:
        return _win_back(life, leave, until)
    if draws.chance(0.5):
        life.add(until - 5, "transfer_out_started")
    life.add(until - 3, "closure_requested")
    return _gone(life, leave, until)


def _fade(life: Life, day: int, length: int, until: int) -> None:
    draws = life.draws
    for at in life.arrivals(day, until, life.person.logins_per_year * 0.9):
        if draws.chance(math.exp(-3.0 * (at - day) / length)):
            life.add(at, "login")
    for topic, probability, share in (("fee", 0.6, 0.3), ("transfer", 0.6, 0.75)):
        at = day + round(length * share * draws.uniform(0.5, 1.2))
        if draws.chance(probability) and at < until:
            life.add(at, "contact_in", {"topic": topic})
    if draws.chance(0.5):
        life.add(day + draws.between(5, 60), "survey_answered", {"survey": "nps", "score": draws.between(1, 6)})
    if draws.chance(0.25):
        identifier = life.number("C")
        severity = draws.choice(("medium", "severe"))
        life.add(day + draws.between(0, 20), "complaint_opened", {"complaint_id": identifier, "severity": severity})
        life.add(day + draws.between(35, 70), "complaint_resolved", {"complaint_id": identifier})
    extra = [key for key, product in life.products.items() if product not in {"investment_account", "payment_account"}]
    if extra and draws.chance(0.6) and (at := day + round(length * 0.45)) < until:
        life.close_product(at, draws.choice(extra))
    times = draws.between(3, 6)
    for number in range(times):
        at = day + round(length * (0.12 + 0.8 * number / times))
        if life.main is not None and at < until:
            life.withdraw(at, life.main, "transfer", share=0.06 + 0.32 * number / times)


def _win_back(life: Life, leave: Leave, day: int) -> Next:
    """A call, a meeting, perhaps an offer; then the money comes back and life goes on."""
    draws = life.draws
    life.add(day, "contact_out")
    at = day + draws.between(2, 6)
    life.add(at, "meeting_held")
    if draws.chance(0.6):
        life.add(at + draws.between(1, 4), "offer_redeemed")
    back = at + draws.between(5, 14)
    for _ in range(3):
        life.add(at + draws.between(0, back - at), "login")
    return _return(life, leave, back)


def _return(life: Life, leave: Leave, day: int) -> Next:
    if life.main is None or day >= life.days:
        return None
    leave.returned = day
    life.add(day, "login", slot=2)
    life.refund(day, life.main, life.draws.uniform(0.6, 1.0))
    return "funded", day


def _gone(life: Life, leave: Leave, day: int) -> Next:
    """Close everything; some ask again one day."""
    leave.left = day
    life.close_relationship(day)
    back = day + life.draws.between(90, 300)
    if not life.draws.chance(ASKS_AGAIN) or back >= life.days:
        return None
    leave.returned = back
    life.add(back, "enquiry")
    return "prospect", back


def sudden(life: Life, day: int) -> Next:
    """One transfer takes 92-100 %; nothing announced it."""
    draws = life.draws
    life.enter(day, "decline")
    leave = Leave("sudden", day)
    life.leaves.append(leave)
    life.add(day, "login", slot=1)
    life.add(day, "transfer_out_started", slot=2)
    out = day + draws.between(1, 3)
    if life.main is not None:
        life.withdraw(out, life.main, "transfer", share=draws.uniform(0.92, 1.0))
    if draws.chance(CLOSES_AT_ONCE):
        closed = out + draws.between(3, 12)
        life.add(closed - 1, "closure_requested")
        return _gone(life, leave, closed)
    leave.left = out
    return _return(life, leave, out + draws.between(30, 150)) if draws.chance(RETURNS) else None


def dormant(life: Life, day: int) -> Next:
    """Falls asleep; what is here stays here."""
    life.enter(day, "decline")
    leave = Leave("dormant", day)
    life.leaves.append(leave)
    if not life.draws.chance(WAKES):
        return None
    return _return(life, leave, day + life.draws.between(200, 330))
