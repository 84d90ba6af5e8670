"""Before the first money: prospects and trials.

Prospect: 85 % go on to a trial after a log-normal wait (median 15 days, sigma 0.9), 35 % of those who come back do.
Interest in content fades with a half-life of about 100 days. Trial: 74 % fund the account 3-60 days later, 20 % stall
and are prospects again after 45-55 days, 6 % close within 12-38 days. Identification fails at first for 4 %.
"""

import math
from typing import Any

from app.demo.simulation.life import Leave, Life, Next, rounded

CONVERTS, CONVERTS_AGAIN, WAIT_MEDIAN, WAIT_SIGMA = 0.85, 0.35, 15.0, 0.9
TRIAL_FATES = (("funds", 0.74), ("stalls", 0.20), ("leaves", 0.06))
TRIAL_LOGINS_PER_YEAR = 110.0
REJECTED_FIRST = 0.04
TOPICS = ("retirement", "education", "property", "fees", "markets", "insurance")


def prospect(life: Life, day: int) -> Next:
    """Reads, asks, comes to an event; goes on to a trial or stays where they are."""
    draws = life.draws
    again = life.trials > 0
    life.enter(day, "prospect")
    converts = draws.chance(CONVERTS_AGAIN if again else CONVERTS)
    wait = (95 if again else 1) + round(draws.lognormal(WAIT_MEDIAN, WAIT_SIGMA))
    until = day + wait if converts else life.days
    _interest(life, day, until)
    return ("trial", until) if converts else None


def _interest(life: Life, day: int, until: int) -> None:
    draws = life.draws
    if draws.chance(0.65):
        life.add(day, "enquiry")
        if draws.chance(0.6):
            life.add(day + draws.between(1, 4), "contact_out")
    for at in life.arrivals(day, until, 16.0):
        if draws.chance(math.exp(-(at - day) / 150.0)):
            life.add(at, "content_opened")
    rare: tuple[tuple[str, float, dict[str, Any]], ...] = (
        ("event_attended", 0.2, {}),
        ("contact_in", 0.15, {"topic": "general"}),
        ("meeting_held", 0.12, {}),
    )
    for kind, probability, payload in rare:
        at = day + draws.between(3, 60)
        if draws.chance(probability) and at < until:
            life.add(at, kind, payload)
    if draws.chance(0.1) and (at := day + draws.between(0, 40)) < until:
        life.add(at, "social_mention", {"tag": draws.choice(TOPICS)})


def trial(life: Life, day: int) -> Next:
    """Tries the service: onboarding, identification, questionnaire, portfolio, and perhaps the first money."""
    life.trials += 1
    life.enter(day, "trial")
    life.add(day, "trial_started", slot=0)
    fate = life.draws.weighted(TRIAL_FATES)
    if fate == "stalls":
        return _stall(life, day)
    accepted = _onboard(life, day)
    return _leave(life, day, accepted) if fate == "leaves" else _fund(life, day, accepted)


def _logins(life: Life, first: int, stop: int, fade: float = math.inf) -> None:
    for at in life.arrivals(first, stop, TRIAL_LOGINS_PER_YEAR):
        if life.draws.chance(math.exp(-(at - first) / fade)):
            life.add(at, "login")


def _identify(life: Life, day: int) -> int:
    """The day on which identification has passed."""
    if not life.identified:
        if life.draws.chance(REJECTED_FIRST):
            life.add(day, "kyc_rejected", slot=4)
            day += life.draws.between(3, 12)
        life.add(day, "kyc_passed", slot=4)
        life.identified = day < life.days
    return day


def _onboard(life: Life, day: int) -> int:
    """Every step up to the accepted portfolio; the day of the acceptance."""
    draws = life.draws
    life.add(day, "login", slot=1)
    life.add(day, "onboarding_step", {"step": "identity"}, slot=2)
    at = day + draws.between(0, 2)
    life.add(at, "onboarding_step", {"step": "documents"}, slot=3)
    at = _identify(life, at + draws.between(0, 4))
    life.add(at, "onboarding_step", {"step": "bank_link"}, slot=5)
    at += draws.between(1, 6)
    life.add(at, "onboarding_step", {"step": "questionnaire"}, slot=1)
    life.add(at, "risk_profile_completed", slot=2)
    at += draws.between(0, 2)
    life.main = life.open_account(at, invested=True, slot=3)
    life.open_product(at, "investment_account", slot=4)
    at += draws.between(0, 10)
    life.add(at, "portfolio_accepted", slot=5)
    if draws.chance(0.45):
        _ask(life, day + 7)
    return at


def _ask(life: Life, day: int) -> None:
    draws = life.draws
    life.add(
        day, "survey_answered", {"survey": "ces", "score": draws.weighted(((7, 0.2), (6, 0.35), (5, 0.3), (3, 0.15)))}
    )
    life.add(
        day,
        "survey_answered",
        {"survey": "csat", "score": draws.weighted(((5, 0.45), (4, 0.37), (3, 0.13), (2, 0.05)))},
    )


def _fund(life: Life, day: int, accepted: int) -> Next:
    draws = life.draws
    at = accepted + min(round(draws.exponential(9.0)), 30)
    _logins(life, day, at)
    life.add(at, "login", slot=5)
    amount = max(rounded(life.person.wealth * draws.uniform(0.08, 0.3)), 500.0)
    if life.main is not None:
        life.deposit(at, life.main, "transfer", amount, slot=6)
        life.invested_so_far = amount
        if draws.chance(0.75):
            life.add(
                at + draws.between(0, 5), "trade", {"side": "buy", "amount": amount * draws.uniform(0.3, 0.9)}, slot=8
            )
    return "funded", at


def _stall(life: Life, day: int) -> Next:
    draws = life.draws
    back = day + draws.between(45, 55)
    steps = draws.between(1, 3)
    for number, step in enumerate(("identity", "documents", "bank_link")[:steps]):
        life.add(day + number * draws.between(0, 3), "onboarding_step", {"step": step}, slot=2 + number)
    _logins(life, day, day + 28, fade=9.0)
    if draws.chance(0.25):
        life.add(day + draws.between(3, 20), "contact_in", {"topic": "general"})
    return "prospect", back


def _leave(life: Life, day: int, accepted: int) -> Next:
    draws = life.draws
    gone = max(accepted + 4, day + draws.between(12, 38))
    _logins(life, day, gone, fade=12.0)
    if draws.chance(0.4) and life.main is not None:
        life.deposit(accepted + 1, life.main, "transfer", rounded(life.person.wealth * 0.03))
    life.add(gone - 2, "survey_answered", {"survey": "csat", "score": draws.between(1, 3)})
    life.add(gone - 1, "closure_requested")
    life.enter(gone - 1, "decline")
    life.leaves.append(Leave("trial", gone - 1, gone))
    life.close_relationship(gone)
    return None
