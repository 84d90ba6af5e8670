"""What customers answer to a proposed portfolio: they accept it, or decline it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation.holdings.service import measure_drift
from app.errors import Problem, not_found
from app.events import RecommendationsAccepted, publish


async def accept(session: AsyncSession, chosen: Mapping[UUID, UUID], now: datetime) -> None:
    """Put the chosen recommendation of each locked customer into force; the one accepted before is superseded.

    Accepting again changes nothing. 404 if it is not one of the customer's; 409 `no_recommendation` if there is no
    portfolio, or it is an indication, or its risk profile has ended; 409 `conflict` if a newer one took its place.
    """
    rows = await _load(session, chosen)
    for row in rows:
        _refuse_outdated(row)
        if row.status != "ok":
            raise Problem("no_recommendation", "No portfolio is suitable for this customer.")
        if row.basis != "advised":
            raise Problem("no_recommendation", "This is an indication; complete the risk questionnaire first.")
        if row.profile_until is None or row.profile_until <= now:
            raise Problem("no_recommendation", "The risk profile has ended; complete the questionnaire again.")
    new = [row for row in rows if row.state != "accepted"]
    if not new:
        return
    parameters = {"ids": [row.id for row in new], "customers": [row.customer_id for row in new], "now": now}
    await session.execute(
        text(
            "UPDATE recommendations SET state = 'superseded' WHERE customer_id = ANY(:customers) AND state = 'accepted'"
        ),
        parameters,
    )
    await session.execute(
        text("UPDATE recommendations SET state = 'accepted', accepted_at = :now WHERE id = ANY(:ids)"), parameters
    )
    publish(session, RecommendationsAccepted(now, tuple((row.customer_id, row.id) for row in new)))


async def decline(session: AsyncSession, chosen: Mapping[UUID, UUID], now: datetime) -> None:
    """Note that locked customers do not want the chosen recommendation; what was accepted before stays in force.

    Declining again changes nothing. 404 if it is not one of the customer's; 409 `conflict` if it was accepted, or a
    newer one took its place.
    """
    rows = await _load(session, chosen)
    for row in rows:
        _refuse_outdated(row)
        if row.state == "accepted":
            raise Problem("conflict", "This recommendation was accepted.")
    await session.execute(
        text(
            "UPDATE recommendations SET state = 'declined', declined_at = :now"
            " WHERE id = ANY(:ids) AND state = 'proposed'"
        ),
        {"ids": [row.id for row in rows], "now": now},
    )
    await measure_drift(session, [row.customer_id for row in rows], now)


async def _load(session: AsyncSession, chosen: Mapping[UUID, UUID]) -> list[Row[Any]]:
    """The chosen recommendations; refuses if one is missing."""
    found = await session.execute(
        text(
            "SELECT c.customer_id, c.profile_until, c.recommendation_id AS current,"
            " r.id, r.state, r.status, r.basis"
            " FROM unnest(CAST(:customers AS uuid[]), CAST(:ids AS uuid[])) AS v(customer_id, id)"
            " JOIN recommendation_current c ON c.customer_id = v.customer_id"
            " LEFT JOIN recommendations r ON r.id = v.id AND r.customer_id = v.customer_id"
            " ORDER BY c.customer_id"
        ),
        {"customers": list(chosen), "ids": list(chosen.values())},
    )
    rows = list(found)
    if len(rows) < len(chosen):
        raise Problem("no_recommendation", "This customer has no recommendation yet.")
    if any(row.id is None for row in rows):
        raise not_found("recommendation of this customer")
    return rows


def _refuse_outdated(row: Row[Any]) -> None:
    if row.id != row.current:
        raise Problem("conflict", "A newer recommendation took its place; read it first.")
