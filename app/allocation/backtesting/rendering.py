"""A backtest in the shape of the API."""

from typing import Any

from app.allocation.backtesting.running import Found
from app.allocation.engine.backtest import Rebalancing
from app.allocation.engine.performance import Performance
from app.allocation.records import level_of, share, weights_of


def shown(found: Found) -> dict[str, Any]:
    """The backtest for one person; versions are for the caller to add."""
    result = found.backtest
    return {
        "label": found.plan.label,
        "estimates": found.plan.estimates,
        "asset_classes": list(result.codes),
        "left_out": list(found.left_out),
        "periods_per_year": found.panel.periods_per_year,
        "history_periods": found.plan.history,
        "rebalance_every": found.plan.rebalance_every,
        "first_on": result.dates[0],
        "last_on": result.dates[-1],
        "dates": result.dates,
        "strategies": [
            {"strategy": name, **_figures(figures), "growth": [share(value) for value in path]}
            for name, figures, path in zip(result.strategies, result.performances, result.wealth.T, strict=True)
        ],
        "rebalancings": [_rebalancing(result.codes, step) for step in result.rebalancings],
    }


def _figures(figures: Performance) -> dict[str, Any]:
    fall, year = figures.drawdown, figures.worst_year
    return {
        "annualised_return": share(figures.annualised_return),
        "volatility": share(figures.volatility),
        "sharpe": share(figures.sharpe),
        "turnover": share(figures.turnover),
        "drawdown": fall
        and {
            "depth": share(fall.depth),
            "peak_on": fall.peak,
            "trough_on": fall.trough,
            "recovered_on": fall.recovered,
        },
        "worst_year": year and {"annual_return": share(year.growth), "from_on": year.begin, "to_on": year.end},
    }


def _rebalancing(codes: tuple[str, ...], step: Rebalancing) -> dict[str, Any]:
    weights = weights_of(codes, step.weights[0])
    return {
        "on": step.on,
        "weights": [{"asset_class": code, "weight": weight} for code, weight in weights.items()],
        "risk_level": level_of(int(step.recommended.risk_level[0])),
        "volatility": share(float(step.recommended.volatility[0])),
        "turnover": share(float(step.turnover[0])),
    }
