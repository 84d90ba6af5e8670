"""Random lives that can be lived again: who they are and what happens to them when, as data. Pure.

The same seed gives the same lives. What happens is meant to be awkward: late, twice, taken back, at midnight, in the same
microsecond as a step, by a clock that is behind.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.conftest import NOW

MICROSECOND = timedelta(microseconds=1)

Payloads = Callable[[random.Random], dict[str, Any]]


def _plain(_: random.Random) -> dict[str, Any]:
    return {}


def _money(*amounts: int) -> Payloads:
    def payload(rng: random.Random) -> dict[str, Any]:
        found: dict[str, Any] = {"amount": f"{rng.choice(amounts)}.{rng.choice(('00', '37'))}"}
        if rng.random() < 0.3:
            found |= {"account": rng.choice("AB"), "balance_after": str(rng.choice((0, 800, 5_000, 60_000)))}
        return found | ({"system": True} if rng.random() < 0.1 else {})

    return payload


def _choice(**fields: tuple[Any, ...]) -> Payloads:
    return lambda rng: {name: rng.choice(values) for name, values in fields.items()}


KINDS: dict[str, tuple[int, Payloads]] = {
    "login": (9, _plain),
    "trade": (4, _plain),
    "deposit": (7, _money(50, 1_500, 12_000, 40_000)),
    "withdrawal": (4, _money(40, 1_500, 12_000, 30_000)),
    "balance": (3, _choice(account=("A", "B"), balance=("0", "900", "15000", "80000", "-20.5"))),
    "trial_started": (2, _plain),
    "account_opened": (2, _choice(account=("A", "B"))),
    "account_closed": (1, _choice(account=("A", "B"))),
    "portfolio_accepted": (2, _plain),
    "risk_profile_completed": (2, _plain),
    "kyc_passed": (2, _plain),
    "kyc_rejected": (1, _plain),
    "enquiry": (2, _plain),
    "contact_in": (2, _choice(topic=("fee", "meeting_booked", "general"))),
    "meeting_held": (1, _plain),
    "onboarding_step": (1, _choice(step=("one", "two"))),
    "product_opened": (3, _choice(product_id=("p", "q", "r"))),
    "product_closed": (1, _choice(product_id=("p", "q", "r"))),
    "recurring_deposit_started": (1, _plain),
    "recurring_deposit_cancelled": (1, _plain),
    "complaint_opened": (1, _choice(complaint_id=("c", "d"), severity=("low", "severe", None))),
    "complaint_resolved": (1, _choice(complaint_id=("c", "d"))),
    "survey_answered": (1, _choice(survey=("nps", "csat"), score=(0, 2, 6, 9))),
    "offer_redeemed": (1, _plain),
    "life_event": (1, _plain),
    "transfer_out_started": (1, _plain),
    "closure_requested": (1, _plain),
    "social_mention": (1, _plain),
    "custom.visit": (1, _choice(anything=(1, None, [2]))),
}
"""Every type that a sender may send except retractions: how often, and with what."""

EDITS: tuple[dict[str, Any], ...] = (
    {"holds": ["compliance"]},
    {"holds": ["dispute", "vulnerable"]},
    {"holds": []},
    {"holds": []},
    {"kyc_status": "passed"},
    {"kyc_status": "rejected"},
    {"contact_verified": False},
    {"contact_verified": True},
    {"segment": "affluent"},
    {"birth_on": "1980-02-29"},
    {"relationship": "closed"},
    {"relationship": "open"},
    {"consents": [{"channel": "email", "purpose": "marketing", "granted": True}]},
    {"consents": [{"channel": "email", "purpose": "marketing", "granted": False}]},
)


@dataclass(frozen=True)
class Sent:
    """A signal of the customer `who`, by number; `key` is its id at the source."""

    who: int
    source: str
    key: str
    kind: str
    at: datetime
    payload: dict[str, Any]


@dataclass(frozen=True)
class Happening:
    """Something that happens at a moment: `signals` come together; `data` says more by kind.

    Kinds: signals, edit, move, pin, lift, sweep, publish, switch, merge, part.
    """

    at: datetime
    kind: str
    who: tuple[int, ...] = ()
    signals: tuple[Sent, ...] = ()
    data: Any = None


@dataclass
class Author:
    """Writes lives. `punctual` and `retracted`: how often a sweep comes by, and a signal is taken back, from 0 to 1.
    `behind`: how many seconds the clocks that requests read may be behind.
    """

    rng: random.Random
    zone: ZoneInfo
    customers: int
    punctual: float
    acts: tuple[str, ...]
    retracted: float
    behind: tuple[int, ...]
    now: datetime = NOW
    sent: list[Sent] = field(default_factory=list)
    moments: list[datetime] = field(default_factory=list)

    def write(self, until: datetime) -> Iterator[Happening]:
        """What happens until then, in order, beginning with what makes customers of most."""
        yield self._batch([self._first(who) for who in range(self.customers) if self.rng.random() < 0.8])
        if "publish" in self.acts:
            yield Happening(self.now, "publish")
            yield Happening(self.now, "switch", tuple(range(0, self.customers, 2)))
        while self.now < until:
            self._pass_time()
            self.moments.append(self.now)
            if self.rng.random() < self.punctual:
                yield Happening(self.now, "sweep")
            yield self._happening()
        yield Happening(self.now, "sweep")

    def _pass_time(self) -> None:
        rng = self.rng
        step = rng.choice(
            (MICROSECOND, timedelta(minutes=7), timedelta(hours=5), timedelta(hours=26), timedelta(days=2))
        )
        self.now += step
        if rng.random() < 0.04:
            self.now += timedelta(days=rng.choice((20, 45)))
        if rng.random() < 0.15:
            local = self.now.astimezone(self.zone) + timedelta(days=1)
            self.now = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(NOW.tzinfo)

    def _happening(self) -> Happening:
        rng = self.rng
        kind = rng.choice(("signals",) * 8 + self.acts)
        who = rng.randrange(self.customers)
        match kind:
            case "signals":
                return self._batch(self._new() for _ in range(rng.choice((2, 4, 8, 16, 32))))
            case "edit":
                return Happening(self._clock(), kind, (who,), data=rng.choice(EDITS))
            case "move":
                return Happening(self._clock(), kind, (who,), data=rng.choice(("trial", "growth", "mature", "decline")))
            case "pin":
                return Happening(
                    self._clock(), kind, (who,), data=timedelta(days=rng.choice((1, 9, 40)), hours=rng.randrange(24))
                )
            case "switch":
                some = rng.sample(range(self.customers), rng.randint(1, self.customers))
                return Happening(self.now, kind, tuple(some))
            case "merge":
                other = rng.choice([n for n in range(self.customers) if n != who])
                return Happening(self._clock(), kind, (who, other))
        return Happening(self._clock(), kind, (who,))

    def _clock(self) -> datetime:
        """Now, or a little behind: a request reads its clock before it waits for a lock."""
        return self.now - timedelta(seconds=self.rng.choice(self.behind))

    def _batch(self, signals: Any) -> Happening:
        found = list(signals)
        self.sent += found
        if self.rng.random() < 0.3 and found:
            found.append(self.rng.choice(self.sent[-40:]))
        return Happening(self._clock(), "signals", signals=tuple(found))

    def _first(self, who: int) -> Sent:
        kind, payload = self.rng.choice(
            (("risk_profile_completed", {}), ("deposit", {"amount": "25000", "account": "A"}), ("trial_started", {}))
        )
        return self._sent(who, kind, self._occurred(), payload)

    def _new(self) -> Sent:
        rng = self.rng
        if self.sent and rng.random() < self.retracted:
            wrong = rng.choice(self.sent[-rng.choice((4, 20, 80)) :])
            return Sent(
                wrong.who, wrong.source, self._key("r"), "signal_retracted", self.now, {"source_event_id": wrong.key}
            )
        kind = rng.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
        # Some customers do much more than others, so that some lives are dense.
        who = int(self.customers * rng.random() ** 1.5)
        return self._sent(who, kind, self._occurred(), KINDS[kind][1](rng))

    def _sent(self, who: int, kind: str, at: datetime, payload: dict[str, Any]) -> Sent:
        return Sent(who, self.rng.choice(("core", "crm")), self._key("s"), kind, at, payload)

    def _key(self, kind: str) -> str:
        return f"{kind}{self.rng.getrandbits(48):012x}"

    def _occurred(self) -> datetime:
        rng, now = self.rng, self.now
        match rng.choice("nnnnhdwqmtf"):
            case "h":
                return now - timedelta(seconds=rng.randrange(7200))
            case "d":
                return now - timedelta(hours=rng.randrange(72))
            case "w":
                return now - timedelta(days=rng.randrange(30), seconds=rng.randrange(86_400))
            case "q":
                return now - timedelta(days=rng.randrange(200))
            case "m":
                local = now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
                return local.astimezone(NOW.tzinfo)
            case "t":
                return rng.choice(self.moments[-6:])
            case "f":
                return now + timedelta(seconds=rng.randrange(290))
        return now


ACTS = ("edit", "edit", "edit", "move", "move", "pin", "pin", "lift", "publish", "switch", "merge", "part", "part")
"""What may happen beside signals; what stands here twice happens twice as often."""


def lives(
    seed: int,
    *,
    customers: int,
    days: int,
    zone: ZoneInfo,
    start: datetime = NOW,
    punctual: float = 0.7,
    acts: tuple[str, ...] = ACTS,
    retracted: float = 0.12,
    behind: tuple[int, ...] = (0, 0, 0, 0, 0, 3),
) -> list[Happening]:
    """What happens to so many customers in so many days."""
    author = Author(random.Random(seed), zone, customers, punctual, acts, retracted, behind, start, moments=[start])
    return list(author.write(start + timedelta(days=days)))
