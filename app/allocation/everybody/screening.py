"""Who would get another recommendation now: chunks of customers judged as arrays, nobody locked, nothing written.

The verdict is that of `service.recommend` on what was known when the chunk was read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.changes import is_news
from app.allocation.engine.correlation import Array
from app.allocation.engine.people import People, Restriction
from app.allocation.engine.policy import SCORES
from app.allocation.engine.recommend import Recommendations, Status, recommend
from app.allocation.engine.upkeep import TIERS
from app.allocation.everybody.bulk import BAR, CASH_BITS, EPOCH, NO_DAY, SHARE, Chunk
from app.allocation.inputs import age_on
from app.allocation.records import FRONTIERS, portfolio_keys, shares_of, standing_keys
from app.allocation.versions.store import InForce
from app.customers.models import SEGMENTS


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """Verdicts on n customers in order of id.

    `changed`: they get a new record; `told`: its weights are other ones, so they are told; `sooner`: nothing changes but
    the time of the next review, which comes sooner. `turnover` is the share of the portfolio that is exchanged, 0 where
    nobody is told, 1 from or to no portfolio. `segment` points into SEGMENTS, `risk_class` is C 1 to 5.
    """

    ids: NDArray[np.void]
    segment: NDArray[np.int32]
    risk_class: NDArray[np.int8]
    suitable: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    told: NDArray[np.bool_]
    sooner: NDArray[np.bool_]
    turnover: Array

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, begin: int, end: int) -> "Screened":
        """The customers from one place up to another."""
        return Screened(*(getattr(self, f.name)[begin:end] for f in fields(self)))

    @property
    def candidates(self) -> NDArray[np.bool_]:
        """For whom something is to be written."""
        return self.changed | self.sooner


def computed(rules: InForce, chunk: Chunk, now: datetime) -> Recommendations:
    """What the engine says of a chunk."""
    return recommend(rules.policy, rules.assumptions, people_in(rules, chunk.rows, now), FRONTIERS)


class Screen:
    """Judges chunks by one set of rules, and remembers what it judged: many customers had and get the same."""

    def __init__(self, rules: InForce) -> None:
        self.rules = rules
        self._judged: dict[tuple[Any, ...], _Verdict] = {}

    def judge(self, chunk: Chunk, now: datetime) -> Screened:
        """The verdicts on a chunk."""
        rows, rules = chunk.rows, self.rules
        result = computed(rules, chunk, now)
        verdicts, of_row = self._verdicts(result, rows["former"], chunk.formers)
        changed = np.array([v.changed for v in verdicts], np.bool_)[of_row]
        return Screened(
            ids=rows["id"],
            segment=rows["segment"] - 1,
            risk_class=result.risk_class,
            suitable=result.status == Status.OK,
            changed=changed,
            told=np.array([v.told for v in verdicts], np.bool_)[of_row],
            sooner=~changed & (next_reviews(rules, rows, now) < rows["review_at"]),
            turnover=np.array([v.turnover for v in verdicts], np.float64)[of_row],
        )

    def _verdicts(
        self, result: Recommendations, codes: NDArray[Any], formers: Mapping[int, str]
    ) -> tuple[list["_Verdict"], NDArray[np.intp]]:
        """The distinct verdicts, and for each customer the place of theirs."""
        portfolios, standings = portfolio_keys(result), standing_keys(result)
        new = (result.signature.astype(np.int64) * SCORES + result.score) << 8 | result.basis << 4 | result.limit
        _, new_place = np.unique(new, return_inverse=True)
        known, former_place = np.unique(codes, return_inverse=True)
        _, first, of_row = np.unique(new_place * len(known) + former_place, return_index=True, return_inverse=True)
        verdicts = [
            self._verdict(result, i, formers.get(code), portfolios[i], standings[i])
            for i, code in zip(first.tolist(), codes[first].tolist(), strict=True)
        ]
        return verdicts, of_row

    def _verdict(
        self, result: Recommendations, i: int, former: str | None, portfolio: str, standing: str
    ) -> "_Verdict":
        if former == f"{portfolio}{BAR}{standing}":
            return _SAME
        signature, risk_class = int(result.signature[i]), int(result.risk_class[i])
        key = (former, portfolio, standing, result.signatures[signature], risk_class)
        if key not in self._judged:
            had, _, stood = former.partition(BAR) if former is not None else (None, "", None)
            other, news = had != portfolio, standing != stood
            if other and not news:
                portfolios, weights = result.portfolios[signature], result.weights[i]
                rules = self.rules
                news = is_news(rules.policy, rules.assumptions, portfolios, risk_class, shares_of(had), weights)
            told = other and news
            self._judged[key] = _Verdict(news, told, _turnover(shares_of(had), shares_of(portfolio)) if told else 0.0)
        return self._judged[key]


class _Verdict(NamedTuple):
    changed: bool
    told: bool
    turnover: float


_SAME = _Verdict(changed=False, told=False, turnover=0.0)


def _turnover(former: Mapping[str, float], new: Mapping[str, float]) -> float:
    if not former or not new:
        return 1.0
    return sum(abs(former.get(code, 0.0) - new.get(code, 0.0)) for code in {**former, **new}) / 2


def people_in(rules: InForce, rows: NDArray[Any], now: datetime) -> People:
    """The engine's columns: what `knowing.inputs_of` says of each customer."""
    today, valid = now.astimezone(UTC).date(), rows["valid_until"] > _microseconds(now)
    days, of_day = np.unique(rows["birth_on"], return_inverse=True)
    limits, of_limit = np.unique(rows["excluded"] << CASH_BITS | rows["minimum_cash"], return_inverse=True)
    profile = {
        name: np.where(valid, rows[name], np.nan)
        for name in ("tolerance", "capacity", "horizon_years", "liquidity_need")
    }
    return People(
        age=np.array([_age(day, today) for day in days.tolist()], np.float64)[of_day],
        kind=rows["business"].astype(np.int8),
        segment=rows["segment"] - 1,
        stage=rows["stage"] - 1,
        **profile,
        has_valid_profile=valid,
        announced_withdrawal=rows["withdrawal"] / SHARE,
        contradictions=np.zeros(len(rows), np.int16),  # reasons tell of them, portfolios do not depend on them
        restriction=of_limit,
        segments=SEGMENTS,
        restrictions=tuple(_restriction(rules.assumptions.codes, limit) for limit in limits.tolist() or [0]),
    )


@lru_cache(maxsize=1 << 17)
def _age(day: int, today: date) -> float:
    age = None if day == NO_DAY else age_on(EPOCH.date() + timedelta(days=day), today)
    return np.nan if age is None else age


def _restriction(codes: Sequence[str], limit: int) -> Restriction:
    excluded = [code for place, code in enumerate(codes) if limit >> CASH_BITS >> place & 1]
    return Restriction(tuple(sorted(excluded)), (limit & (1 << CASH_BITS) - 1) / SHARE)


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def next_reviews(rules: InForce, rows: NDArray[Any], now: datetime) -> NDArray[np.int64]:
    """What `knowing.next_review` says of each customer, in microseconds."""
    upkeep, present, day = rules.policy.upkeep, _microseconds(now), 86_400_000_000
    days = np.array([upkeep.days_for(tier) for tier in TIERS], np.int64)
    found: NDArray[np.int64] = present + days[rows["tier"] - 1] * day
    np.minimum(found, rows["valid_until"], out=found, where=rows["valid_until"] > present)
    for shift in (-upkeep.withdrawal_notice_days, 1):
        moment = (rows["withdrawal_by"].astype(np.int64) + shift) * day
        np.minimum(found, moment, out=found, where=moment > present)
    return found
