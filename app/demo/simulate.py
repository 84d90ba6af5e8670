"""A simulated institution: made-up customers with whole lives, the signals they send, and the truth about them.

It shows every stage, feeds benchmarks and is the yardstick for rules: unlike real data it knows who really left, when
it began, and who was only on holiday. It is frozen: the same seed, number of customers, years and end give the same
bytes for ever (a test pins the fingerprint); any change of a distribution raises `VERSION`.

The distributions are documented where they are drawn, with their units: who the customers are in
`simulation/people.py`, the market and its crash in `simulation/market.py`, prospects and trials in
`simulation/before.py`, growth and maturity in `simulation/funded.py`, leaving and coming back in
`simulation/leaving.py`, balances, fees and interest in `simulation/ledger.py`. They were chosen to be plausible and to
hold the hard cases (price crashes, holidays, house purchases, sudden exits), not fitted to any institution.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date

from app.demo.shapes import DemoCustomer, DemoSignal, Departure, Truth
from app.demo.simulation.before import prospect, trial
from app.demo.simulation.draws import Draws
from app.demo.simulation.funded import funded
from app.demo.simulation.leaving import dormant, gradual, sudden
from app.demo.simulation.ledger import signals, statements
from app.demo.simulation.life import Life, Next
from app.demo.simulation.market import Window, window
from app.demo.simulation.people import person

VERSION = 1
SEED = 20_261_101
CUSTOMERS = 2_000
YEARS = 3
LIFE_STREAM = 1

PHASES: dict[str, Callable[[Life, int], Next]] = {
    "prospect": prospect,
    "trial": trial,
    "funded": funded,
    "gradual": gradual,
    "sudden": sudden,
    "dormant": dormant,
}


@dataclass(frozen=True, slots=True)
class Institution:
    """Customers and truth in the order of their number; signals by `occurred_at`, then `source_event_id`."""

    customers: list[DemoCustomer]
    signals: list[DemoSignal]
    truth: list[Truth]


def simulate(*, seed: int = SEED, customers: int = CUSTOMERS, years: int = YEARS, end: date) -> Institution:
    """Let `customers` live through the `years` before `end`; `end` itself is not simulated, so that an `end` of today
    gives no signal in the future.

    Customer number i is the same whatever the number of customers. ValueError: `customers` or `seed` negative, or
    `years` below one.
    """
    for name, value, least in (("seed", seed, 0), ("customers", customers, 0), ("years", years, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
    calendar = window(seed, years, end)
    lives = [_live(seed, index, calendar) for index in range(1, customers + 1)]
    everything = [signal for life in lives for signal in signals(life)]
    everything.sort(key=lambda signal: (signal.occurred_at, signal.source_event_id))
    return Institution([life.person.customer for life in lives], everything, [_truth(life) for life in lives])


def _live(seed: int, index: int, calendar: Window) -> Life:
    """From phase to phase until one of them lasts, or the window ends."""
    life = Life(person(seed, index, calendar), Draws(seed, index, LIFE_STREAM), calendar)
    following: Next = ("prospect", life.person.created)
    while following is not None and following[1] < life.days:
        following = PHASES[following[0]](life, following[1])
    statements(life)
    return life


def _truth(life: Life) -> Truth:
    """What had happened by the end of the window; what would have come later is not known yet."""

    def known(day: int | None) -> date | None:
        return calendar.on(day) if day is not None and day < life.days else None

    calendar = life.window
    return Truth(
        external_id=life.person.customer.external_id,
        stages=[(calendar.on(day), stage) for day, stage in life.stages],
        departures=[
            Departure(leave.kind, calendar.on(leave.started), known(leave.left), known(leave.returned))
            for leave in life.leaves
            if leave.started < life.days
        ],
        holidays=[(calendar.on(first), calendar.on(stop)) for first, stop in life.pauses],
    )


def fingerprint(institution: Institution) -> str:
    """SHA-256 over every field of every customer, signal and truth, in order: equal if and only if nothing changed."""
    digest = hashlib.sha256(f"version {VERSION}".encode())
    for customer in institution.customers:
        digest.update(json.dumps(asdict(customer), sort_keys=True, default=str).encode())
    for signal in institution.signals:
        row = [
            signal.source,
            signal.source_event_id,
            signal.type,
            signal.external_id,
            signal.occurred_at,
            signal.payload,
        ]
        digest.update(json.dumps(row, sort_keys=True, default=str).encode())
    for truth in institution.truth:
        digest.update(json.dumps(asdict(truth), sort_keys=True, default=str).encode())
    return digest.hexdigest()
