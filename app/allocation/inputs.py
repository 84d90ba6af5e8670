"""What is known of a customer when a portfolio is computed: the same values are kept in every record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from app.allocation.engine.people import People, Restriction, people_of


@dataclass(frozen=True, slots=True)
class Inputs:
    """One customer, as the engine sees them. None is unknown.

    `tolerance` and `capacity` 0 to 100; `horizon_years` and `age` in years; `liquidity_need`, `announced_withdrawal`
    and `minimum_cash` as shares of the money; `contradictions` the number of pairs of answers.
    """

    kind: str
    segment: str
    stage: str
    age: float | None = None
    tolerance: float | None = None
    capacity: float | None = None
    horizon_years: float | None = None
    liquidity_need: float | None = None
    has_valid_profile: bool = False
    contradictions: int = 0
    announced_withdrawal: float = 0.0
    excluded: tuple[str, ...] = ()
    minimum_cash: float = 0.0


def people_from(inputs: Sequence[Inputs]) -> People:
    """The columns that the engine computes with, in the order given."""
    return people_of(
        segment=[i.segment for i in inputs],
        stage=[i.stage for i in inputs],
        age=[i.age for i in inputs],
        is_business=[i.kind == "business" for i in inputs],
        tolerance=[i.tolerance for i in inputs],
        capacity=[i.capacity for i in inputs],
        horizon_years=[i.horizon_years for i in inputs],
        liquidity_need=[i.liquidity_need for i in inputs],
        has_valid_profile=[i.has_valid_profile for i in inputs],
        announced_withdrawal=[i.announced_withdrawal for i in inputs],
        contradictions=[i.contradictions for i in inputs],
        restriction=[
            Restriction(tuple(i.excluded), i.minimum_cash) if i.excluded or i.minimum_cash else None for i in inputs
        ],
    )


def age_on(birth_on: date | None, today: date) -> float | None:
    """Age in years with the part of the running year, to four decimals; whole exactly on a birthday.

    Born on 29 February, one is a year older on 1 March of a common year. A birth in the future reads as age 0.
    """
    if birth_on is None:
        return None
    years = today.year - birth_on.year - ((today.month, today.day) < (birth_on.month, birth_on.day))
    last, following = _birthday(birth_on, birth_on.year + years), _birthday(birth_on, birth_on.year + years + 1)
    return max(round(years + (today - last).days / (following - last).days, 4), 0.0)


def _birthday(birth_on: date, year: int) -> date:
    try:
        return birth_on.replace(year=year)
    except ValueError:
        return date(year, 3, 1)
