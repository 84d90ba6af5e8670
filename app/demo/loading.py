"""Feeds customers and their signals through the real path, under a shifted clock.

Time goes in steps of whole local days, each in one transaction. The customers who arrive in a step are created at the
midnight with which it begins. Then the signals of the step are recorded, as an institution that sends them in the
evening would. Then time acts, as the sweeps of a worker would: evaluations, actions and reviews that are due, and now and
then the tasks that have long been on a list are completed. The clock of all this is the last moment of the step, so that
what falls due at the midnight after it finds the whole step known.

Feeding again adds nothing: customers are known by their external id, signals by source and id, and steps before the last
signal received are over. What was interrupted or killed goes on with the step that was under way.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.allocation.reviewing import REVIEWED_AT_ONCE, review_due
from app.allocation.reviews.due import REMINDED_AT_ONCE, remind_due
from app.config import Settings
from app.customers.schemas import CustomerCreate
from app.customers.service import create_customers
from app.db import Database, settle
from app.demo.shapes import DemoCustomer, DemoSignal
from app.lifecycle.parking import Offered
from app.lifecycle.service import record_signals
from app.lifecycle.sweeps import BATCH as EVALUATED_AT_ONCE
from app.lifecycle.sweeps import evaluate_due
from app.playbooks.performing import BATCH as PERFORMED_AT_ONCE
from app.playbooks.performing import run_due
from app.playbooks.worklist import complete_listed

BATCH = 1_000
"""Signals recorded at once: as many as one request may send."""
CREATED_AT_ONCE = 500
TASKS_TAKE = timedelta(days=30)
"""How long a task stays on its list before somebody does it: the list shows what was due in the last month."""
TASKS_AT_ONCE = 500
TASKS_EVERY = 28
"""Days between two times that tasks are completed."""
ACTOR = "demo"
_MOMENT = timedelta(microseconds=1)


@dataclass(slots=True)
class Fed:
    """What feeding added. `actions` counts those that became due, `completed` the tasks among them that were done."""

    customers: int = 0
    signals: int = 0
    transitions: int = 0
    actions: int = 0
    completed: int = 0


class Stopped(Exception):
    """Feeding was asked to stop before its end."""


class SignalRefused(ValueError):
    """A signal of sample data was not accepted; the message names it and says why."""


Beside = Callable[[AsyncSession, Sequence[DemoSignal], datetime], Awaitable[None]]
"""What else happens after a batch of signals, in its transaction; their customers are locked, `now` is shifted."""

OnStep = Callable[[date, Fed], None]
"""Told after each step: the first day that is not over yet, and what was added so far."""


async def feed(
    database: Database,
    settings: Settings,
    customers: Sequence[DemoCustomer],
    signals: Sequence[DemoSignal],
    *,
    until: date,
    step_days: int = 1,
    attributes: Mapping[str, str] | None = None,
    beside: Beside | None = None,
    on_step: OnStep | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Fed:
    """Let customers and signals happen, step by step, up to the midnight with which `until` begins.

    Both may come in any order; what happens on `until` or later is left out. `attributes` are given to every customer.

    Raises:
        SignalRefused: the service did not accept a signal, or knows no customer for it.
        Stopped: `stopped()` became true; the steps before it are committed, and feeding again goes on from there.
    """
    added = Fed()
    for step in await _coming(database, customers, signals, until, step_days, settings.tz):
        if stopped():
            raise Stopped
        now = _midnight(step.end, settings.tz) - _MOMENT
        async with database.transaction() as session:
            await _create(session, settings, step, attributes or {}, added)
            for at in range(0, len(step.signals), BATCH):
                await _record(session, settings, step.signals[at : at + BATCH], now, added, beside)
            await _let_time_act(session, settings, now, added)
            if step.end >= until or step.end.toordinal() % TASKS_EVERY < step_days:
                await _complete_tasks(session, now, added)
        if on_step is not None:
            on_step(step.end, added)
    return added


@asynccontextmanager
async def as_one(database: Database) -> AsyncIterator[Database]:
    """A database whose transactions become one, that commits when the block ends.

    Nobody sees a customer whose clock still stands in the past, which sweeps beside it would drag into the present; and
    a killed process leaves nothing. It holds its locks to the end, so feed it new customers only.
    """
    assert isinstance(database.writer, AsyncEngine)
    async with database.writer.begin() as connection:
        yield Database(connection, connection, database.reactions)


@dataclass(slots=True)
class _Step:
    """What has not happened yet of the days from `first` to the day before `end`."""

    first: date
    end: date
    customers: list[DemoCustomer] = field(default_factory=list)
    signals: list[DemoSignal] = field(default_factory=list)

    def ends_with(self, moment: datetime | None, zone: ZoneInfo) -> bool:
        """Whether this is the step that received signals at `moment`."""
        return moment is not None and self.first <= moment.astimezone(zone).date() < self.end


async def _coming(
    database: Database,
    customers: Sequence[DemoCustomer],
    signals: Sequence[DemoSignal],
    until: date,
    step_days: int,
    zone: ZoneInfo,
) -> list[_Step]:
    """All steps that are not over, in order of time, with what the database does not know yet."""
    known = await _known_customers(database, customers)
    received = await _received(database, signals)
    days = {moment: moment.astimezone(zone).date() for moment in {s.occurred_at for s in signals}}
    new = [c for c in customers if c.external_id not in known and c.created_on < until]
    sent = [s for s in signals if (s.source, s.source_event_id) not in received and days[s.occurred_at] < until]
    origin = min([*(c.created_on for c in customers), *days.values()], default=until)
    begins = range(0, (until - origin).days, step_days)
    steps = [_Step(origin + timedelta(days=n), min(origin + timedelta(days=n + step_days), until)) for n in begins]
    for customer in sorted(new, key=lambda c: c.created_on):
        steps[(customer.created_on - origin).days // step_days].customers.append(customer)
    for signal in sorted(sent, key=lambda s: (s.occurred_at, s.source_event_id)):
        steps[(days[signal.occurred_at] - origin).days // step_days].signals.append(signal)
    under_way = max(received.values(), default=None)
    todo = (n for n, step in enumerate(steps) if step.customers or step.signals or step.ends_with(under_way, zone))
    return steps[min(todo, default=len(steps) - 1) :]


async def _known_customers(database: Database, customers: Sequence[DemoCustomer]) -> set[str]:
    async with database.read() as connection:
        found = await connection.execute(
            text("SELECT external_id FROM customer_external_ids WHERE external_id = ANY(:ids)"),
            {"ids": [c.external_id for c in customers]},
        )
        return set(found.scalars())


async def _received(database: Database, signals: Sequence[DemoSignal]) -> dict[tuple[str, str], datetime]:
    """Which of these signals the database has, and when it received them."""
    async with database.read() as connection:
        found = await connection.execute(
            text(
                "SELECT k.source, k.source_event_id, k.received_at FROM signal_keys k JOIN"
                " unnest(CAST(:sources AS text[]), CAST(:events AS text[])) AS s(source, event)"
                " ON k.source = s.source AND k.source_event_id = s.event"
            ),
            {"sources": [s.source for s in signals], "events": [s.source_event_id for s in signals]},
        )
        return {(row.source, row.source_event_id): row.received_at for row in found}


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, with which a local day begins."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


async def _create(
    session: AsyncSession, settings: Settings, step: _Step, attributes: Mapping[str, str], added: Fed
) -> None:
    """Create the customers who arrive in a step, when it begins."""
    for at in range(0, len(step.customers), CREATED_AT_ONCE):
        items = [_item(customer, attributes) for customer in step.customers[at : at + CREATED_AT_ONCE]]
        await create_customers(session, items, _midnight(step.first, settings.tz), zone=settings.zone)
        await settle(session)
        added.customers += len(items)


def _item(customer: DemoCustomer, attributes: Mapping[str, str]) -> CustomerCreate:
    """What a request that creates this customer would say."""
    return CustomerCreate.model_validate(
        {
            "kind": customer.kind,
            "full_name": customer.full_name,
            "email": customer.email,
            "phone": customer.phone,
            "contact_verified": customer.email is not None or customer.phone is not None,
            "birth_on": customer.birth_on,
            "segment": customer.segment,
            "tier": customer.tier,
            "country": customer.country,
            "language": customer.language,
            "time_zone": customer.time_zone,
            "external_ids": [customer.external_id],
            "owner": customer.owner,
            "tags": customer.tags,
            "attributes": attributes,
            "consents": [{**consent, "source": ACTOR} for consent in customer.consents],
            "kyc_status": customer.kyc_status,
        }
    )


async def _record(
    session: AsyncSession,
    settings: Settings,
    batch: Sequence[DemoSignal],
    now: datetime,
    added: Fed,
    beside: Beside | None,
) -> None:
    """Record a batch of signals, with all that follows from it."""
    offered = [
        Offered(None, s.external_id, s.source, s.source_event_id, s.type, s.occurred_at, s.payload) for s in batch
    ]
    outcomes, changes = await record_signals(session, offered, now, settings.tz)
    for signal, outcome in zip(batch, outcomes, strict=True):
        if outcome.status not in ("accepted", "duplicate"):
            raise SignalRefused(f"{signal.source} {signal.source_event_id}: {outcome.status}: {outcome.detail}")
    await settle(session)
    if beside is not None:
        await beside(session, batch, now)
    added.signals += sum(outcome.status == "accepted" for outcome in outcomes)
    added.transitions += len(changes)


async def _let_time_act(session: AsyncSession, settings: Settings, now: datetime, added: Fed) -> None:
    """Do what the sweeps of a worker do, until nothing is due at `now`."""
    count = EVALUATED_AT_ONCE
    while count == EVALUATED_AT_ONCE:
        count, changes = await evaluate_due(session, now, settings.tz)
        added.transitions += len(changes)
        await settle(session)
    while await review_due(session, now) == REVIEWED_AT_ONCE:
        await settle(session)
    while await remind_due(session, now) == REMINDED_AT_ONCE:
        await settle(session)
    count = PERFORMED_AT_ONCE
    while count == PERFORMED_AT_ONCE:
        count = await run_due(session, now)
        added.actions += count
        await settle(session)


async def _complete_tasks(session: AsyncSession, now: datetime, added: Fed) -> None:
    """Complete the tasks that have been on a list for `TASKS_TAKE`."""
    count = TASKS_AT_ONCE
    while count == TASKS_AT_ONCE:
        count = await complete_listed(session, now - TASKS_TAKE, now, outcome="done", by=ACTOR, limit=TASKS_AT_ONCE)
        added.completed += count
