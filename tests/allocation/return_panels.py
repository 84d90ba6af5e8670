"""Return series for tests: random ones, and the real panel."""

from pathlib import Path

import numpy as np
import pytest

from app.allocation.engine.defaults import default_assumptions
from app.allocation.engine.estimation import ReturnPanel
from app.allocation.importing.returns_csv import parse_returns

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "asset_class_returns_panel_monthly.csv"
CODES = default_assumptions().codes


def month_ends(count):
    """So many last days of months, one after the other."""
    following = (np.datetime64("2000-02" if count < 12_000 else "0100-02") + np.arange(count)).astype("datetime64[D]")
    return tuple((following - 1).tolist())


def market(seed, periods):
    """Months as the default assumptions expect them, by chance."""
    assumptions = default_assumptions()
    rng = np.random.default_rng(seed)
    returns = rng.multivariate_normal(assumptions.expected_returns / 12, assumptions.covariance / 12, periods)
    return ReturnPanel(month_ends(periods), CODES, np.clip(returns, -0.5, 0.5), 12.0)


def csv_of(panel):
    """The panel as an institution would send it."""
    lines = [",".join(("date", *panel.codes))]
    for day, row in zip(panel.dates, panel.returns, strict=True):
        lines.append(",".join((day.isoformat(), *(f"{value:.8f}" for value in row))))
    return "\n".join(lines) + "\n"


def real_panel():
    """Eight asset classes, January 1997 to May 2021."""
    if not REAL.is_file():
        pytest.skip(f"the returns of asset classes are missing: no file {REAL}")
    return parse_returns(REAL.read_text(), columns={"em_equity": "emerging_equity"}, known=CODES)
