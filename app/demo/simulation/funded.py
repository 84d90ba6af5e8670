"""Growth and maturity: the years with money.

How it ends, a year: 10 % begin to leave gradually, 5 % leave suddenly, 2.5 % fall asleep; the rest stay. Growth turns
into maturity 300 days plus an exponential wait (mean 150) after the first money (150 plus the same for those won back);
12 % never settle. Growing means top-ups of 3-10 % of wealth about every 45 days until three quarters of the wealth are
here; settled means small flows both ways. Holiday pauses: 0.2 a year, 35-110 days without any act of the customer,
only standing orders and salary go on. Rates of everything else stand beside the code that uses them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from app.demo.shapes import Leaver
from app.demo.simulation.life import NEVER, Account, Life, Next, rounded

LEAVERS: tuple[tuple[Leaver, float], ...] = (("gradual", 0.10), ("sudden", 0.05), ("dormant", 0.025))  # a year
SETTLES_AFTER, SETTLES_AGAIN, SETTLES_MEAN, NEVER_SETTLES = 300, 150, 150.0, 0.12
PAUSES_PER_YEAR, PAUSE_DAYS = 0.2, (35, 110)
INVESTABLE = 0.75  # the share of wealth that finds its way here
MEETINGS_PER_YEAR = {"A": 3.0, "B": 1.2, "C": 0.3}
SECOND_PRODUCTS = {
    "individual": ("savings_plan", "pension_plan", "insurance", "deposit"),
    "business": ("business_loan", "deposit", "insurance", "payroll"),
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stay with money: from `first` to before `stop`, settled from `settles` on. `recurring_until` and
    `salary_until` may lie beyond `stop`: leavers cancel their standing order and move their salary later."""

    account: Account
    first: int
    settles: int
    stop: int
    recurring_until: int
    salary_until: int

    def parts(self, growing: float, settled: float) -> list[tuple[int, int, float]]:
        """The spans of growth and maturity with a rate for each; an empty span is left out."""
        spans = ((self.first, min(self.settles, self.stop), growing), (self.settles, self.stop, settled))
        return [span for span in spans if span[0] < span[1]]


def funded(life: Life, day: int) -> Next:
    """Live with money until the day on which leaving begins, if ever."""
    draws, account = life.draws, life.main
    if account is None or day >= life.days:
        return None
    total = sum(rate for _, rate in LEAVERS)
    kind = draws.weighted([(kind, rate / total) for kind, rate in LEAVERS])
    ends = day + 45 + round(draws.exponential(365.25 / total))
    again = bool(life.leaves)
    wait = (SETTLES_AGAIN if again else SETTLES_AFTER) + round(draws.exponential(SETTLES_MEAN))
    settles = NEVER if draws.chance(NEVER_SETTLES) else day + wait
    stop = min(ends, life.days)
    # over before anybody who leaves gradually is saved (44 days) or gone (80 days)
    cancels, moves = (ends, ends) if kind == "sudden" else (ends + draws.between(5, 42), ends + draws.between(5, 42))
    stretch = Stretch(account, day, settles, stop, cancels, moves)
    life.enter(day, "growth")
    if settles < stop:
        life.enter(settles, "mature")
    _pauses(life, stretch)
    for habit in HABITS:
        habit(life, stretch)
    return (kind, ends) if ends < life.days else None


def _pauses(life: Life, stretch: Stretch) -> None:
    """Long silences that mean nothing; none within 30 days of a real departure."""
    free = stretch.first + 60
    for day in life.arrivals(free, stretch.stop, PAUSES_PER_YEAR, voluntary=False):
        end = day + life.draws.between(*PAUSE_DAYS)
        if day >= free and end < stretch.stop - 30:
            life.pauses.append((day, end))
            free = end + 60


def _logins(life: Life, stretch: Stretch) -> None:
    """From 0.6 to 1.3 times the settled rate in the first 180 days, then falling back to it with maturity."""
    usual = life.person.logins_per_year
    for first, stop, most in stretch.parts(1.3, 0.9):
        for day in life.arrivals(first, stop, usual * most):
            warm = min(1.0, 0.46 + 0.54 * (day - stretch.first) / 180.0)
            if most < 1.0 or life.draws.chance(warm):
                life.add(day, "login")


def _trades(life: Life, stretch: Stretch) -> None:
    """6 a year while growing, 4 when settled; 72 % are purchases; 1-8 % of what was paid in."""
    for first, stop, rate in stretch.parts(6.0, 4.0):
        for day in life.arrivals(first, stop, rate):
            side = "buy" if life.draws.chance(0.72) else "sell"
            life.add(day, "trade", {"side": side, "amount": life.invested_so_far * life.draws.uniform(0.01, 0.08)})


def _flows(life: Life, stretch: Stretch) -> None:
    draws, wealth = life.draws, life.person.wealth
    for first, stop, rate in stretch.parts(8.0, 1.8):
        growing = rate > 2.0
        for day in life.arrivals(first, stop, rate):
            amount = rounded(wealth * (draws.uniform(0.03, 0.10) if growing else draws.uniform(0.005, 0.025)))
            if not growing or life.invested_so_far + amount <= INVESTABLE * wealth:
                life.deposit(day, stretch.account, "transfer", amount)
                life.invested_so_far += amount
    for first, stop, rate in stretch.parts(2.5, 4.5):
        for day in life.arrivals(first, stop, rate):
            life.withdraw(day, stretch.account, draws.choice(("transfer", "cash")), share=draws.uniform(0.004, 0.025))


def _recurring(life: Life, stretch: Stretch) -> None:
    """65 % pay in every month by standing order: 0.3-0.9 % of wealth, on a fixed day."""
    draws = life.draws
    if not draws.chance(0.65):
        return
    begin, order = stretch.first + draws.between(2, 50), life.number("R")
    if begin >= stretch.stop:
        return
    amount = rounded(life.person.wealth * draws.uniform(0.003, 0.009))
    life.add(begin, "recurring_deposit_started", {"id": order})
    for day in life.window.monthly(draws.between(1, 28), begin + 1, stretch.recurring_until):
        life.deposit(day, stretch.account, "standing_order", amount, slot=0)
    if stretch.stop < life.days:
        life.add(stretch.recurring_until, "recurring_deposit_cancelled", {"id": order}, slot=1)


def _payments(life: Life, stretch: Stretch) -> None:
    """22 % keep a payment account here: salary or takings every month, most of it spent again.

    The pay is at most 6 % of wealth, so that ordinary spending stays small beside what is invested.
    """
    draws, person = life.draws, life.person
    begin = stretch.first + draws.between(20, 150)
    if not draws.chance(0.22) or begin >= stretch.stop:
        return
    if life.payment is None:
        life.payment = life.open_account(begin, invested=False, slot=2)
        life.open_product(begin, "payment_account", slot=3)
    pay = min(person.wealth * 0.06, 9_000.0) * draws.uniform(0.5, 1.0)
    kind = "transfer" if person.customer.kind == "business" else "salary"
    for day in life.window.monthly(draws.between(1, 28), begin + 1, stretch.salary_until):
        life.deposit(day, life.payment, kind, round(pay * draws.uniform(0.97, 1.03), 2), slot=0)
        life.withdraw(day + draws.between(1, 8), life.payment, "transfer", amount=pay * draws.uniform(0.4, 0.55))
        life.withdraw(day + draws.between(10, 24), life.payment, "cash", amount=pay * draws.uniform(0.25, 0.45))


def _products(life: Life, stretch: Stretch) -> None:
    """A second product for 78 % after 60-330 days, a third for a quarter of these a year later."""
    draws = life.draws
    offered = SECOND_PRODUCTS[life.person.customer.kind]
    day = stretch.first + draws.between(60, 330)
    if draws.chance(0.78) and day < stretch.stop:
        life.open_product(day, draws.choice(offered))
        later = day + draws.between(200, 500)
        if draws.chance(0.25) and later < stretch.stop:
            life.open_product(later, draws.choice(offered))


def _contacts(life: Life, stretch: Stretch) -> None:
    """Meetings by tier, each arranged a week before; contacts 2 a year; content 3; events 0.3; offers 0.4 in growth."""
    draws = life.draws
    for day in life.arrivals(stretch.first + 14, stretch.stop, MEETINGS_PER_YEAR[life.person.customer.tier]):
        life.add(day - 7, "contact_out")
        life.add(day, "meeting_held")
    topics = (("general", 0.85), ("fee", 0.09), ("transfer", 0.06))
    for day in life.arrivals(stretch.first, stretch.stop, 2.0):
        life.add(day, "contact_in", {"topic": draws.weighted(topics)})
    for day in life.arrivals(stretch.first, stretch.stop, 3.0):
        life.add(day, "content_opened")
    for day in life.arrivals(stretch.first, stretch.stop, 0.3):
        life.add(day, "event_attended")
    for first, stop, rate in stretch.parts(0.4, 0.15):
        for day in life.arrivals(first, stop, rate):
            life.add(day, "offer_redeemed")


def _surveys(life: Life, stretch: Stretch) -> None:
    """Asked every 180 days whether they would recommend us; 45 % answer, around their own mean with deviation 1.2."""
    draws = life.draws
    for day in range(stretch.first + draws.between(60, 180), stretch.stop, 180):
        if draws.chance(0.45) and not life.away(day):
            score = min(max(round(draws.normal(life.person.satisfaction, 1.2)), 0), 10)
            life.add(day, "survey_answered", {"survey": "nps", "score": score})


def _complaints(life: Life, stretch: Stretch) -> None:
    """0.12 a year; solved after a log-normal wait (median 5 days), one in ten after 30-70; then half say how it was."""
    draws = life.draws
    for day in life.arrivals(stretch.first, stretch.stop, 0.12):
        identifier = life.number("C")
        severity = draws.weighted((("low", 0.6), ("medium", 0.32), ("severe", 0.08)))
        slow = draws.chance(0.1)
        solved = day + (draws.between(30, 70) if slow else 1 + round(draws.lognormal(5.0, 0.6)))
        life.add(day, "complaint_opened", {"complaint_id": identifier, "severity": severity})
        life.add(solved, "complaint_resolved", {"complaint_id": identifier}, slot=2)
        if draws.chance(0.5):
            life.add(
                solved + 1,
                "survey_answered",
                {"survey": "csat", "score": draws.between(1, 3) if slow else draws.between(3, 5)},
            )


def _events(life: Life, stretch: Stretch) -> None:
    """Life events, 0.12 a year. A house takes 25-45 % of the balance and is no leaving; an inheritance adds 20 %."""
    draws = life.draws
    if life.person.customer.kind == "business":
        return
    kinds = ("marriage", "child", "house_purchase", "retirement", "inheritance", "job_change")
    for day in life.arrivals(stretch.first + 60, stretch.stop - 40, 0.12):
        kind = draws.choice(kinds)
        life.add(day, "life_event", {"kind": kind})
        if kind == "house_purchase":
            life.withdraw(day + draws.between(3, 25), stretch.account, "transfer", share=draws.uniform(0.25, 0.45))
        elif kind == "inheritance":
            life.deposit(day + draws.between(3, 25), stretch.account, "transfer", rounded(life.person.wealth * 0.2))


def _reviews(life: Life, stretch: Stretch) -> None:
    """The risk questionnaire is answered again every year; one in twelve forgets, a few days late is usual."""
    for day in range(stretch.first + 350, stretch.stop, 350):
        if life.draws.chance(11 / 12):
            life.add(day + life.draws.between(0, 14), "risk_profile_completed")


HABITS: tuple[Callable[[Life, Stretch], None], ...] = (
    _logins,
    _flows,
    _trades,
    _recurring,
    _payments,
    _products,
    _contacts,
    _surveys,
    _complaints,
    _events,
    _reviews,
)
