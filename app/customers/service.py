"""Creating, changing and deleting customers; every function takes a set."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import new_id
from app.customers.models import Customer, ErasedCustomer, ExternalId
from app.customers.schemas import ConsentInput, CustomerCreate
from app.errors import FieldProblem, Problem, invalid
from app.events import CustomerChange, CustomersCreated, CustomersErased, CustomersUpdated, NewCustomer, publish

FACT_FIELDS = ("kyc_status", "segment", "tier", "birth_on", "contact_verified", "holds", "relationship")
"""Profile fields that rules may read. Changes of these are recorded as dated internal signals."""


MOST_ATTRIBUTES = 50


def _refuse_unborn(birth_on: Any, now: datetime, pointer: str) -> None:
    if birth_on is not None and birth_on > now.date():
        raise invalid(pointer, "in_the_future", "Lies in the future.")


async def lock(session: AsyncSession, customer_ids: Sequence[UUID]) -> list[UUID]:
    """Lock customers in id order, the first lock of every writer; returns those that exist."""
    return list(await lock_with_merges(session, customer_ids))


async def lock_with_merges(session: AsyncSession, customer_ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """The same; with each the customer that it was merged into, None if it is no duplicate."""
    found = await session.execute(
        text("SELECT id, merged_into FROM customers WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE"),
        {"ids": list(customer_ids)},
    )
    return {row.id: row.merged_into for row in found}


async def duplicates_of(session: AsyncSession, customer_ids: Sequence[UUID]) -> list[UUID]:
    """The customers that were merged into these; no others come while these are locked."""
    found = await session.scalars(select(Customer.id).where(Customer.merged_into.in_(customer_ids)))
    return list(found)


def profile_facts(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a profile rules may read, as JSON values."""
    facts = {name: values[name] for name in FACT_FIELDS if name in values}
    if facts.get("birth_on") is not None:
        facts["birth_on"] = facts["birth_on"].isoformat()
    if "consents" in values:
        facts["marketing_consent"] = any(c["purpose"] == "marketing" and c["granted"] for c in values["consents"])
    return facts


def _said(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts that differ from what is assumed of everybody. A default nobody sent must not outweigh an older signal."""
    assumed = {"kyc_status": "none", "contact_verified": False, "holds": [], "relationship": "open"}
    return {name: value for name, value in facts.items() if value not in (None, assumed.get(name))}


def _consents(given: Sequence[ConsentInput], now: datetime) -> list[dict[str, Any]]:
    times = [(c.at or now).astimezone(UTC).isoformat().replace("+00:00", "Z") for c in given]
    return [{**c.model_dump(), "at": at} for c, at in zip(given, times, strict=True)]


def _row(item: CustomerCreate, now: datetime, zone: str) -> dict[str, Any]:
    segment = item.segment or ("small_business" if item.kind == "business" else "mass")
    return {
        **item.model_dump(exclude={"consents", "external_ids", "playbook_mode"}),
        "id": new_id(),
        "segment": segment,
        "time_zone": item.time_zone or zone,
        "consents": _consents(item.consents, now),
        "stage": item.stage or "prospect",
        "stage_entered_at": now,
        "created_at": now,
        "updated_at": now,
    }


async def create_customers(
    session: AsyncSession, items: Sequence[CustomerCreate], now: datetime, *, zone: str, silent: bool = False
) -> list[UUID]:
    """Create customers in the order given; returns their ids.

    An external id that is taken, or named twice, refuses the whole set (409). `silent` keeps the creations out of the
    webhooks (imports).
    """
    for item in items:
        _refuse_unborn(item.birth_on, now, "/birth_on")
    rows = [_row(item, now, zone) for item in items]
    await session.execute(insert(Customer), rows)
    wanted = [(external, row["id"]) for item, row in zip(items, rows, strict=True) for external in item.external_ids]
    await _claim_external_ids(session, wanted)
    publish(
        session,
        CustomersCreated(
            now,
            tuple(
                NewCustomer(
                    row["id"],
                    tuple(item.external_ids),
                    row["stage"],
                    item.playbook_mode or "full",
                    _said(profile_facts(row)),
                    silent,
                )
                for item, row in zip(items, rows, strict=True)
            ),
        ),
    )
    return [row["id"] for row in rows]


async def _claim_external_ids(session: AsyncSession, wanted: Sequence[tuple[str, UUID]]) -> None:
    if not wanted:
        return
    ordered = sorted(wanted)
    claimed = await session.execute(
        text(
            "INSERT INTO customer_external_ids (external_id, customer_id)"
            " SELECT * FROM unnest(CAST(:externals AS text[]), CAST(:owners AS uuid[]))"
            " ON CONFLICT DO NOTHING RETURNING external_id"
        ),
        {"externals": [external for external, _ in ordered], "owners": [owner for _, owner in ordered]},
    )
    if len(claimed.all()) < len(ordered):
        raise Problem(
            "external_id_taken",
            errors=[FieldProblem(pointer="/external_ids", code="taken", detail="Belongs to another customer.")],
        )


async def patch_customer(session: AsyncSession, customer: Customer, changes: Mapping[str, Any], now: datetime) -> None:
    """Apply a merge patch to a locked customer, raise its version, and tell of it. An empty change does nothing."""
    values = dict(changes)
    _refuse_unborn(values.get("birth_on"), now, "/birth_on")
    if "attributes" in values:
        merged = {**customer.attributes, **values["attributes"]}
        values["attributes"] = {key: value for key, value in merged.items() if value is not None}
        if len(values["attributes"]) > MOST_ATTRIBUTES:
            raise invalid("/attributes", "too_long", f"There would be more than {MOST_ATTRIBUTES} attributes.")
    if "consents" in values:
        given = _consents([ConsentInput.model_validate(c) for c in values["consents"]], now)
        kept = {(c["channel"], c["purpose"]): c for c in customer.consents}
        values["consents"] = list((kept | {(c["channel"], c["purpose"]): c for c in given}).values())
    if customer.kind == "business" and values.get("segment", "small_business") != "small_business":
        raise invalid("/segment", "not_for_business", "A business belongs to the segment small_business.")
    external_ids = values.pop("external_ids", None)
    changed = {name: value for name, value in values.items() if getattr(customer, name) != value}
    if external_ids is not None and await _replace_external_ids(session, customer.id, external_ids):
        changed["external_ids"] = external_ids
    if not changed:
        return
    for name, value in changed.items():
        if name != "external_ids":
            setattr(customer, name, value)
    customer.updated_at = now
    customer.version += 1
    await session.flush()
    facts = profile_facts(changed)
    publish(session, CustomersUpdated(now, (CustomerChange(customer.id, tuple(changed), facts),)))


async def _replace_external_ids(session: AsyncSession, customer_id: UUID, wanted: list[str]) -> bool:
    """Make `wanted` the external ids of a customer; returns whether that was a change."""
    held = set(
        (await session.scalars(select(ExternalId.external_id).where(ExternalId.customer_id == customer_id))).all()
    )
    if held == set(wanted):
        return False
    await session.execute(
        delete(ExternalId).where(ExternalId.customer_id == customer_id, ExternalId.external_id.not_in(wanted))
    )
    await _claim_external_ids(session, [(external, customer_id) for external in wanted if external not in held])
    return True


async def erase_customers(session: AsyncSession, customer_ids: Sequence[UUID], now: datetime) -> None:
    """Delete locked customers and every row that names them; what remains is that they existed.

    Duplicates that were merged into them go too: they are the same people.
    """
    erased = [*customer_ids, *await duplicates_of(session, customer_ids)]
    await session.execute(insert(ErasedCustomer), [{"customer_id": i, "erased_at": now} for i in erased])
    known_as = await session.scalars(select(ExternalId.external_id).where(ExternalId.customer_id.in_(erased)))
    external_ids = tuple(known_as.all())
    await session.execute(delete(Customer).where(Customer.id.in_(erased)))
    publish(session, CustomersErased(now, tuple(erased), external_ids))


async def set_profile(session: AsyncSession, values: Mapping[UUID, Mapping[str, Any]], now: datetime) -> None:
    """Write profile fields that follow from signals (KYC, suitability, relationship) on locked customers.

    Raises versions and tells of the change, without facts: the signal that caused it is already recorded.
    """
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for customer_id, changed in values.items():
        row = {"id": customer_id, "updated_at": now, **changed}
        by_columns.setdefault(tuple(sorted(changed)), []).append(row)
    for rows in by_columns.values():
        await session.execute(update(Customer), rows)
    await session.execute(
        text("UPDATE customers SET version = version + 1 WHERE id = ANY(:ids)"), {"ids": list(values)}
    )
    publish(session, CustomersUpdated(now, tuple(CustomerChange(i, tuple(sorted(v)), {}) for i, v in values.items())))
