"""Documents of stored versions, by number."""

from typing import Any

from sqlalchemy import select

from app.allocation.models import AllocationVersion
from app.allocation.versions.store import Executor, Kind
from app.errors import invalid


async def stored_document(executor: Executor, kind: Kind, version: int, pointer: str) -> dict[str, Any]:
    """The document of a version, draft or published; a 422 at `pointer` if there is none."""
    table = AllocationVersion.__table__
    wanted = select(table.c.body).where(table.c.kind == kind, table.c.version == version)
    body: dict[str, Any] | None = (await executor.execute(wanted)).scalar_one_or_none()
    if body is None:
        raise invalid(pointer, "unknown_version", "There is no such version.")
    return body
