"""A customer in the middle of a small playbook, for the tests of the routes."""

from datetime import timedelta
from uuid import UUID

import pytest

from app.db import Database
from app.playbooks.performing import run_due
from tests.conftest import NOW, FrozenClock
from tests.playbooks.makers import add_customer, change, definition, enter, publish_playbook, task

DAY = timedelta(days=1)


@pytest.fixture
async def customer(db: Database, clock: FrozenClock) -> UUID:
    """A growth customer of the adviser mei: one message in the inbox, one task on the list, one task to come."""
    async with db.transaction() as session:
        await publish_playbook(
            session,
            definition("tip"),
            task("call", every="P30D"),
            task("plan", offset="P20D"),
            definition("mail", offset="P9D", channel="email"),
        )
        customer = await add_customer(session, owner="mei")
        await enter(session, change(customer))
        clock.now = NOW + DAY
        await run_due(session, clock.now)
    return customer
