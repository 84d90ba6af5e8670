"""What keeps a recommendation under review: when it is looked at, what counts as a change, and when to rebalance."""

from dataclasses import dataclass

from app.allocation.engine.document import Cursor

TIERS = ("A", "B", "C")
_YEAR = 365


@dataclass(frozen=True)
class Upkeep:
    """`change_threshold`: weights closer than this (half the sum of absolute differences) to those recommended before
    are no news. `review_days`: (tier, days) after which a recommendation is computed again at the latest.
    `withdrawal_notice_days`: how long before its last day an announced withdrawal is held in cash.

    A class breaches beyond max(`band_least`, min(`band_most`, `band_relative` times its target)); trades smaller than
    `minimum_trade`, a share of the portfolio, are not worth their cost.
    """

    change_threshold: float = 0.0
    review_days: tuple[tuple[str, int], ...] = tuple((tier, _YEAR) for tier in TIERS)
    withdrawal_notice_days: int = 3660
    band_least: float = 0.01
    band_most: float = 0.05
    band_relative: float = 0.25
    minimum_trade: float = 0.002

    def days_for(self, tier: str) -> int:
        """Days between two reviews of a customer of this tier."""
        return dict(self.review_days)[tier]


UNSTATED = Upkeep()


def parse_upkeep(root: Cursor) -> Upkeep:
    """The member `upkeep` of a policy; what it does not say is as in `Upkeep`."""
    default, place = UNSTATED, root.child("upkeep")
    if place.value is None:
        return default
    numbers = ("change_threshold", "band_least", "band_most", "band_relative", "minimum_trade")
    place.fields((), optional=(*numbers, "review_days", "withdrawal_notice_days"))
    shares = {name: place.number(name, 0, 1, default=getattr(default, name)) for name in numbers}
    if shares["band_least"] > shares["band_most"]:
        place.child("band_least").problem("wrong_order", "band_least is above band_most")
    days = place.child("review_days")
    if days.value is not None:
        days.fields(TIERS)
    review = tuple((tier, int(days.number(tier, 1, 3660, default=_YEAR))) for tier in TIERS)
    notice = place.number("withdrawal_notice_days", 1, 3660, default=default.withdrawal_notice_days)
    return Upkeep(review_days=review, withdrawal_notice_days=int(notice), **shares)
