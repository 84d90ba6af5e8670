"""What corrections, false alarms and freezes mean for customers and advisers, through the front door."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.lifecycle.sweeps import evaluate_due
from app.playbooks.performing import run_due
from tests.factories import make_customer, send, signal

DAY = timedelta(days=1)


class Institution:
    """A service whose time passes day by day, with the sweeps of the worker."""

    def __init__(self, client, db, clock, settings):
        self.client, self.db, self.clock, self.settings = client, db, clock, settings

    async def growing(self):
        """A customer of the adviser mei who put a large sum into the account."""
        consents = [{"channel": "in_app", "purpose": "marketing", "granted": True}]
        customer = await make_customer(self.client, owner="mei", consents=consents)
        await self.sends(customer, "risk_profile_completed")
        await self.sends(customer, "deposit", amount="25000", account="main", balance_after="25000")
        return customer

    async def sends(self, customer, kind, **payload):
        """The id of the signal that was sent, and the steps that it caused."""
        sent = signal(customer, kind, self.clock.now, **payload)
        receipt = await send(self.client, sent)
        assert [r["status"] for r in receipt["results"]] == ["accepted"]
        return sent["source_event_id"], [(t["to_stage"], t["rule_id"] or t["kind"]) for t in receipt["transitions"]]

    async def days(self, count):
        for _ in range(count):
            self.clock.now += DAY
            async with self.db.transaction() as session:
                await evaluate_due(session, self.clock.now, self.settings.tz)
            async with self.db.transaction() as session:
                while await run_due(session, self.clock.now):
                    pass

    async def days_until(self, customer, stage, at_most):
        for _ in range(at_most):
            await self.days(1)
            if (await self.lifecycle(customer))["stage"] == stage:
                return
        raise AssertionError(f"not in {stage} after {at_most} days")

    async def get(self, address, **params):
        answer = await self.client.get(address, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def lifecycle(self, customer):
        return await self.get(f"/v1/customers/{customer['id']}/lifecycle")

    async def actions(self, customer, stage):
        """The actions of a stage in the order of their planning: key, number, state."""
        items = (await self.get(f"/v1/customers/{customer['id']}/actions", limit=200))["items"]
        return sorted((a["key"], a["occurrence"], a["state"]) for a in items if a["stage"] == stage)

    async def due(self, customer, key, occurrence="1"):
        """When an action is due, in days from now; there is one of that name only."""
        items = (await self.get(f"/v1/customers/{customer['id']}/actions", limit=200))["items"]
        [found] = [a for a in items if (a["key"], a["occurrence"]) == (key, occurrence)]
        return (self.clock.now.fromisoformat(found["due_at"]) - self.clock.now) / DAY


@pytest.fixture
def institution(client, db, clock, settings):
    return Institution(client, db, clock, settings)


async def test_a_correction_takes_back_what_a_wrong_signal_had_started(institution):
    customer = await institution.growing()
    await institution.days(28)
    wrong, steps = await institution.sends(customer, "transfer_out_started")
    assert steps == [("decline", "leaving")]
    await institution.days(3)
    before = await institution.actions(customer, "growth")
    assert before == [
        ("assign_adviser", "1", "skipped"),
        ("plan", "1", "claimed"),
        ("promotion", "1", "cancelled"),
        ("proposal", "1", "cancelled"),
        ("value_added", "1", "cancelled"),
    ]

    _, steps = await institution.sends(customer, "signal_retracted", source_event_id=wrong)
    assert steps == [("growth", "correction")]
    assert await institution.actions(customer, "growth") == [
        (key, number, "planned" if state == "cancelled" else state) for key, number, state in before
    ]
    assert (await institution.due(customer, "value_added"), await institution.due(customer, "promotion")) == (0, 14)
    in_decline = await institution.actions(customer, "decline")
    assert {state for key, _, state in in_decline if key not in ("save_call_leaving", "coupon")} == {"cancelled"}

    # The stay goes on for as long as it likes: everything of it happens once, and nothing of decline any more.
    await institution.days(100)
    after = {key: state for key, _, state in await institution.actions(customer, "decline")}
    assert after == {key: state for key, _, state in in_decline}
    keys = [key for key, number, _ in await institution.actions(customer, "growth") if number == "1"]
    assert keys == ["assign_adviser", "plan", "promotion", "proposal", "value_added"]
    inbox = (await institution.get(f"/v1/customers/{customer['id']}/messages"))["items"]
    assert len([m for m in inbox if m["created_at"] >= "2026-04-02"]) == 1


async def test_a_false_alarm_lets_the_stay_go_on_where_it_was(institution):
    customer = await institution.growing()
    await institution.days(100)
    await institution.sends(customer, "withdrawal", amount="7500", account="main", balance_after="17500")
    await institution.sends(customer, "contact_in", topic="fee")
    await institution.days(10)
    lifecycle = await institution.lifecycle(customer)
    assert (lifecycle["stage"], lifecycle["entered_by"]) == ("decline", "at_risk")
    before = await institution.actions(customer, "growth")
    assert ("promotion", "2", "cancelled") in before

    await institution.sends(customer, "deposit", amount="7400", account="main", balance_after="24900")
    await institution.days(16)
    assert (await institution.lifecycle(customer))["stage"] == "growth"
    assert (await institution.lifecycle(customer))["entered_by"] == "false_alarm"
    resumed = await institution.actions(customer, "growth")
    assert [key for key, number, _ in resumed if number == "1"] == [key for key, number, _ in before if number == "1"]
    assert ("promotion", "2", "planned") in resumed
    assert ("proposal", "4", "skipped") in resumed, "it was due again at once, and handed over"
    assert ("win_back_60", "1", "cancelled") in await institution.actions(customer, "decline")
    lists = await institution.get("/v1/actions", owner="mei", kind="task", state="claimed")
    assert [a["key"] for a in lists["items"]].count("plan") == 1


async def gone_and_won_back(institution, customer):
    _, steps = await institution.sends(customer, "transfer_out_started")
    assert steps == [("decline", "leaving")]
    await institution.days(1)
    await institution.sends(customer, "deposit", amount="20000", account="main")
    await institution.days_until(customer, "growth", 35)


async def reviews(institution):
    """The tasks on the adviser's list that ask for a judgement."""
    items = (await institution.get("/v1/actions", owner="mei", kind="task", state="claimed"))["items"]
    return [a for a in items if a["key"] == "flapping_review"]


async def held_back(institution, customer):
    found = (await institution.lifecycle(customer))["held_back"]
    return {entry["code"]: entry["until"] for entry in found}


async def test_the_third_return_switches_the_rules_off_and_asks_the_adviser(institution):
    customer = await institution.growing()
    await institution.days(40)
    await gone_and_won_back(institution, customer)
    assert "returns" not in await held_back(institution, customer)
    await gone_and_won_back(institution, customer)
    until = (await held_back(institution, customer))["returns"]
    [review] = await reviews(institution)
    assert (review["customer_id"], review["stage"], review["cause"]) == (customer["id"], "any", "returns")
    assert review["occurrence"] == until[:10]
    assert "three times" in review["content"]["en"]["body"]
    assert "三次" in review["content"]["zh"]["body"]
    moved = (await institution.get(f"/v1/customers/{customer['id']}/transitions"))["items"][0]
    assert review["transition_id"] == moved["id"]

    # Leaving still works, and is no further freeze; what would win the customer back has to wait for the end of it.
    await institution.sends(customer, "transfer_out_started")
    assert (await institution.lifecycle(customer))["stage"] == "decline"
    await institution.days(10)
    await institution.sends(customer, "deposit", amount="20000", account="main")
    await institution.days_until(customer, "growth", 30)
    assert institution.clock.now.date().isoformat() == until[:10]
    assert (await institution.lifecycle(customer))["entered_by"] == "won_back"

    # That was the third return within 60 days again, so another judgement is asked for.
    assert [a["occurrence"] for a in await reviews(institution)] == sorted(
        [until[:10], (await held_back(institution, customer))["returns"][:10]]
    )


async def test_other_systems_hear_of_the_freeze_once(institution, db):
    customer = await institution.growing()
    await institution.days(40)
    for _ in range(2):
        await gone_and_won_back(institution, customer)
    until = (await held_back(institution, customer))["returns"]
    async with db.read() as connection:
        told = await connection.execute(text("SELECT body FROM events WHERE type = 'lifecycle.rules_frozen'"))
        [body] = told.scalars()
    assert f'"until":"{until}"' in body
    assert customer["id"] in body
