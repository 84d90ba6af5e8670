"""Shapes of simulations."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from app.clock import Instant
from app.customers.schemas import Segment, Stage, Tier
from app.operations.schemas import OperationError, OperationProgress, Status
from app.pagination import PageQuery

Knowledge = Literal["as_received", "as_occurred"]


class SimulatedPolicy(BaseModel):
    """The rules to try: a stored version, draft or published, or a whole document; one of the two."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[StrictInt, Field(ge=1, le=2**31 - 1)] | None = None
    document: dict[str, Any] | None = None


class SimulationFilter(BaseModel):
    """Whom to simulate, by what they are today; every condition that is given must hold."""

    model_config = ConfigDict(extra="forbid")

    stage: Annotated[list[Stage], Field(max_length=5)] = []
    segment: Annotated[list[Segment], Field(max_length=10)] = []
    tier: Annotated[list[Tier], Field(max_length=3)] = []
    owner: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    tag: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    one_in: Annotated[StrictInt, Field(ge=1, le=10_000, description="A sample: one customer in so many")] = 1


class SimulationCreate(BaseModel):
    """A simulation to run."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    policy: SimulatedPolicy | None = Field(
        None, description="Absent: the policies that applied, which repeats the history and so checks it"
    )
    begin: Instant | None = Field(None, alias="from", description="Absent: the first day of the oldest customer")
    end: Instant | None = Field(None, alias="to", description="Absent: now")
    knowledge: Knowledge = Field(
        "as_received",
        description="Signals when they arrived, or when they occurred, as if everything had been known at once",
    )
    filter: SimulationFilter = SimulationFilter()


class SimulatedSides(BaseModel):
    """A count, live and simulated."""

    live: int
    simulated: int
    live_per_1000: float = Field(description="Per 1,000 customers")
    simulated_per_1000: float


class StageCell(BaseModel):
    """How many customers end in one stage live and in another simulated."""

    live: Stage
    simulated: Stage
    customers: int


class RuleCount(BaseModel):
    """How often one rule moved customers along one edge; `cause` is the kind of the step where no rule did."""

    cause: str
    from_stage: Stage
    to_stage: Stage
    live: int
    simulated: int


class LoadDay(BaseModel):
    """What falls due on one local day, before consents, caps and quiet hours take some of it away."""

    day: date
    messages_live: int
    tasks_live: int
    messages_simulated: int
    tasks_simulated: int


class LeftOut(BaseModel):
    """Customers that cannot be simulated."""

    erased: int = Field(description="Erased since the period began: nothing is left of them")
    merged: int = Field(description="Duplicates that are part of another customer")


class SimulationResult(BaseModel):
    """What would have been different."""

    customers: int
    differing: int = Field(description="Whose way through the stages differs")
    listed: int = Field(description="How many of them are listed one by one")
    left_out: LeftOut
    matrix: list[StageCell] = Field(description="The stage at the end of the period, live against simulated")
    transitions: SimulatedSides
    returns: SimulatedSides = Field(description="Steps back to a stage left less than 60 days before")
    rules: list[RuleCount]
    load: list[LoadDay]


class SimulationRead(BaseModel):
    """A simulation with its progress and, once it succeeded, its result."""

    id: UUID = Field(description="Id of its operation")
    status: Status
    progress: OperationProgress
    policy_version: int | None = Field(description="Null for a document or for the policies that applied")
    policy_name: str | None
    begin: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    knowledge: Knowledge
    filter: dict[str, Any]
    result: SimulationResult | None
    error: OperationError | None
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class SimulatedStep(BaseModel):
    """One step of a customer."""

    from_stage: Stage
    to_stage: Stage
    kind: str
    rule_id: str | None
    effective_at: datetime
    evaluated_at: datetime
    facts: dict[str, Any] = Field(description="What the rule read")


class SimulationDifference(BaseModel):
    """A customer whose way differs: all steps of the period on both sides, and where they part."""

    customer_id: UUID | None = Field(description="Null if the customer is gone")
    live_stage: Stage
    simulated_stage: Stage
    parts_at: datetime | None
    first_live: SimulatedStep | None = Field(description="The first step that was taken and would not have been")
    first_simulated: SimulatedStep | None = Field(description="The first step that would have been taken instead")
    live: list[SimulatedStep]
    simulated: list[SimulatedStep]


class SimulationDifferencePage(BaseModel):
    """One page of customers who differ."""

    items: list[SimulationDifference]
    next_cursor: str | None


class SimulationDifferenceQuery(PageQuery):
    """Pages of customers who differ."""
