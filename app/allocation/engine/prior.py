"""What the markets are expected to earn before anybody's view: the published figures, or those of equilibrium."""

from dataclasses import dataclass

from app.allocation.engine.black_litterman import equilibrium_returns
from app.allocation.engine.correlation import Array
from app.allocation.engine.document import Cursor

LOWEST_RETURN, HIGHEST_RETURN = -0.5, 1.0  # of one year; beyond, a figure is a slip of the pen
PUBLISHED_RETURNS, EQUILIBRIUM = "published", "equilibrium"
FIELDS = ("prior", "market_risk_aversion", "riskless_return")


@dataclass(frozen=True)
class Prior:
    """`kind` is published or equilibrium. In equilibrium investors of `market_risk_aversion` hold the classes by their
    market weights, and each class earns `riskless_return` (arithmetic, one year) and what its risk is worth to them."""

    kind: str = PUBLISHED_RETURNS
    market_risk_aversion: float = 0.0
    riskless_return: float = 0.0

    def returns(self, published: Array, covariance: Array, market_weights: Array) -> Array:
        """(k,) arithmetic, one year, from what was `published` (k,), `covariance` (k, k) and `market_weights` (k,)."""
        if self.kind != EQUILIBRIUM:
            return published
        excess = equilibrium_returns(covariance, market_weights, self.market_risk_aversion)
        return self.riskless_return + excess


PUBLISHED = Prior()


def parse_prior(root: Cursor) -> Prior:
    """The prior that an assumption document asks for; the published figures if it says nothing."""
    kind = root.choice("prior", (PUBLISHED_RETURNS, EQUILIBRIUM)) or PUBLISHED_RETURNS
    place = root.child("market_risk_aversion")
    aversion = root.number("market_risk_aversion", 0, 50, default=0.0)
    if kind == EQUILIBRIUM and not root.has("market_risk_aversion"):
        place.problem("missing", "market_risk_aversion is required when the prior is equilibrium")
    elif place.value == 0 and not isinstance(place.value, bool):
        place.problem("out_of_range", "must be above 0")
    return Prior(kind, aversion, root.number("riskless_return", -0.1, 0.5, default=0.0))
