"""Computing a stored recommendation again from its record alone: the proof that it follows from what it says."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.allocation.engine import ENGINE_VERSION
from app.allocation.engine.defaults import default_views
from app.allocation.engine.views import apply_views
from app.allocation.models import Recommendation
from app.allocation.records import (
    Computed,
    basis_of,
    class_of,
    compute,
    inputs_of_record,
    level_of,
    limit_of,
    weights_of,
)
from app.allocation.versions.store import Executor, documents_of
from app.customers.reading import refuse_missing
from app.errors import not_found


async def recompute(executor: Executor, record: Mapping[str, Any]) -> Computed:
    """What the engine says today of the inputs and the versions that a record names.

    Raises:
        LookupError: if a version that it names is gone.
    """
    versions = record["versions"]
    named = {kind: versions.get(f"{kind}_digest") for kind in ("assumptions", "views", "policy")}
    documents = await documents_of(executor, {kind: found for kind, found in named.items() if found is not None})
    views = documents.get("views", default_views())  # the first records know of no views: there were none
    assumptions = apply_views(documents["assumptions"], views)
    return compute(documents["policy"], assumptions, [inputs_of_record(record)])


async def verify(connection: AsyncConnection, customer_id: UUID, recommendation_id: UUID) -> dict[str, Any]:
    """A stored recommendation beside what its record gives today; 404 if the customer has no such recommendation."""
    await refuse_missing(connection, customer_id)
    table = Recommendation.__table__
    chosen = (table.c.id == recommendation_id, table.c.customer_id == customer_id)
    row = (await connection.execute(select(table).where(*chosen))).mappings().first()
    if row is None:
        raise not_found("recommendation of this customer")
    computed = await recompute(connection, row["record"])
    result = computed.result
    stored = {
        "weights": row["weights"],
        "score": row["record"]["score"],
        "basis": row["basis"],
        "risk_class": row["risk_class"],
        "risk_level": row["risk_level"],
        "limit": row["limit_code"],
    }
    again = {
        "weights": weights_of(result.codes, result.weights[0]),
        "score": int(result.score[0]),
        "basis": basis_of(result, 0),
        "risk_class": class_of(result, 0),
        "risk_level": level_of(result.risk_level[0]),
        "limit": limit_of(result, 0),
    }
    return {
        "recommendation_id": recommendation_id,
        "same": stored == again,
        "stored": stored,
        "recomputed": again,
        "record": row["record"],
        "engine_version": ENGINE_VERSION,
    }
