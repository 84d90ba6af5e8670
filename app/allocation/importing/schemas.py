"""Shapes of return series and tables that come as CSV, and of what is read from them."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.allocation.importing.tables import LARGEST
from app.allocation.schemas import Code, Share

Version = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]
PeriodsPerYear = Annotated[int, Field(ge=1, le=366, strict=True)]
ReturnsCsv = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LARGEST,
        description="A column `date` (ISO, rising, the ends of the periods) and one for each asset class, named by its "
        "code; total returns as shares: 0.012 is 1.2 %",
        examples=["date,equity,cash\n2025-01-31,0.012,0.002\n2025-02-28,-0.031,0.002\n"],
    ),
]
Columns = Annotated[
    dict[Annotated[str, Field(max_length=200)], Code],
    Field(max_length=40, description="The asset class of each column that is not named by its code"),
]


class EstimateCreate(BaseModel):
    """Return series to estimate risk from."""

    model_config = ConfigDict(extra="forbid")

    csv: ReturnsCsv
    columns: Columns = {}
    periods_per_year: Annotated[
        PeriodsPerYear | None,
        Field(
            description="12 for months; found from the dates if absent (252, 52, 12 or 4), which then may have no gap"
        ),
    ] = None
    shrinkage: Annotated[Literal["ledoit_wolf", "none"], Field(description="none: the sample covariance as it is")] = (
        "ledoit_wolf"
    )
    based_on: Annotated[
        Version | None, Field(description="Version of the assumptions into whose document the figures are to be put")
    ] = None


class ClassEstimate(BaseModel):
    """What the returns of one asset class say, for one year."""

    asset_class: str
    volatility: Share
    mean_return: Share = Field(description="Arithmetic mean: history, and no forecast")
    standard_error: Share = Field(description="Of the mean: two of them either way are plausible")


class EstimateRead(BaseModel):
    """Risk figures of one year, estimated from return series."""

    asset_classes: list[ClassEstimate]
    correlation: list[list[float]] = Field(description="In the order of `asset_classes`")
    shrinkage: Share = Field(description="0 to 1: the share of equal correlations in the covariance")
    observations: int
    periods_per_year: float
    first_on: date
    last_on: date
    document: dict[str, Any] | None = Field(
        description="The document of `based_on` with these volatilities and correlations, ready for a draft"
    )


class AssumptionTableCreate(BaseModel):
    """Assumptions as tables. What is absent here is taken from `based_on`, class by class."""

    model_config = ConfigDict(extra="forbid")

    csv: Annotated[
        str,
        Field(
            min_length=1,
            max_length=LARGEST,
            description="Columns code, name_en, name_zh, risk_level (R1 to R5), liquid, growth (true or false), "
            "expected_return, return_measure (arithmetic or compound), volatility, annual_cost, market_weight, source; "
            "with `based_on` only code is needed. Shares: 0.067 is 6.7 %",
        ),
    ]
    correlation_csv: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=LARGEST,
                description="A square: codes in the first line and the first column; an empty cell takes the one opposite",
            ),
        ]
        | None
    ) = None
    based_on: Annotated[Version | None, Field(description="Version that the other figures are taken from")] = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    currency: Annotated[str, Field(min_length=3, max_length=3)] | None = None
    horizon: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    source: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    as_of: date | None = None


class TableProblem(BaseModel):
    """One thing wrong in a table, or in the document that it makes."""

    pointer: str = Field(description="JSON pointer into the request, or of a missing field of the document")
    line: int | None = Field(description="Of the CSV, from 1; null where it is about the whole")
    column: int | None = Field(description="Of the CSV, from 1; null where it is about the line")
    code: str = Field(description="Stable reason, for programs")
    detail: str = Field(description="Reason in words")


class RepairRead(BaseModel):
    """How a matrix that is none of correlations would be replaced by the nearest one when it is used."""

    smallest_eigenvalue: float
    largest_change: float


class AssumptionTableRead(BaseModel):
    """The document in the tables as far as it could be read; ready for a draft if there are no problems."""

    document: dict[str, Any]
    problems: list[TableProblem]
    repair: RepairRead | None = Field(description="Null where the correlations are in order")
