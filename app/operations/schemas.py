"""Shapes of long-running work."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.errors import FieldProblem
from app.pagination import PageQuery

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-z0-9_]+$")]


class OperationProgress(BaseModel):
    """How far the work is."""

    done: int = Field(ge=0, description="Pieces of work that are done")
    total: int | None = Field(description="All pieces; null if not known yet")
    share: float | None = Field(description="0 to 1; null while the total is not known")


class OperationError(BaseModel):
    """Why an operation failed."""

    code: str = Field(description="A code as of a problem document, or gave_up: started again and again in vain")
    detail: str = Field(description="Reason in words")
    errors: list[FieldProblem] = Field(description="What was wrong with single inputs, if that was the reason")


class OperationRead(BaseModel):
    """A long-running piece of work."""

    id: UUID
    kind: str = Field(description="What kind of work it is")
    status: Status
    progress: OperationProgress
    params: dict[str, Any] = Field(description="What was asked for; the fields depend on the kind")
    result: dict[str, Any] | None = Field(
        description="What came of it, once it succeeded; the fields depend on the kind"
    )
    error: OperationError | None = Field(description="Why it failed")
    actor: str = Field(description="Who asked for it")
    created_at: datetime
    started_at: datetime | None = Field(description="When it was first started")
    finished_at: datetime | None
    cancel_requested_at: datetime | None = Field(
        description="When its end was asked for; until then it runs on for the piece of work under way"
    )


class OperationPage(BaseModel):
    """One page of operations, newest first."""

    items: list[OperationRead]
    next_cursor: str | None = Field(description="Null on the last page")


class OperationQuery(PageQuery):
    """Filters of the list of operations. A filter given twice means either value."""

    kind: Annotated[list[Name], Field(max_length=20, description="Only these kinds; repeat for several")] = []
    status: Annotated[list[Status], Field(max_length=5, description="Only these; repeat for several")] = []


class OperationItemRead(BaseModel):
    """What came of one customer or row."""

    ordinal: int = Field(description="Its place in the input")
    customer_id: UUID | None = Field(description="The customer; null where there is none")
    outcome: str = Field(description="What came of it; the values depend on the kind of the operation")
    code: str | None = Field(description="Stable reason, where it was refused")
    data: dict[str, Any] = Field(description="More about it; the fields depend on the kind of the operation")


class OperationItemPage(BaseModel):
    """One page of items, in the order of the input."""

    items: list[OperationItemRead]
    next_cursor: str | None = Field(description="Null on the last page")


class OperationItemQuery(PageQuery):
    """Filter of the items."""

    outcome: Annotated[list[Name], Field(max_length=20, description="Only these; repeat for several")] = []
