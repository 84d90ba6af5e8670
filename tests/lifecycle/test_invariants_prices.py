"""Invariant 7: what a customer does moves them, and not what the market does to their assets."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from tests.conftest import NOW
from tests.factories import make_customer, send, signal
from tests.lifecycle.playing import Player
from tests.lifecycle.population import Happening, Sent, lives
from tests.lifecycle.replaying import lived

_BALANCES = text("""
SELECT DISTINCT ON (customer_id, account) customer_id, account, balance FROM account_day
ORDER BY customer_id, account, day DESC
""")
_STEPS = text("""
SELECT customer_id, from_stage, to_stage, rule_id, evaluated_at, effective_at FROM transitions
WHERE evaluated_at > :since ORDER BY customer_id, sequence
""")


async def halved(db, ids, at):
    """Signals that halve every balance known: half of them as closing balances, half as postings of the system."""
    async with db.read() as connection:
        rows = (await connection.execute(_BALANCES)).all()
    found = []
    for n, row in enumerate(rows):
        now = f"{row.balance / 20_000:.4f}"
        lost = {
            "account": row.account,
            "amount": f"{abs(row.balance) / 20_000:.4f}",
            "balance_after": now,
            "system": True,
        }
        kind, payload = ("withdrawal", lost) if n % 2 else ("balance", {"account": row.account, "balance": now})
        found.append(Sent(ids.index(row.customer_id), "prices", f"fall-{n}", kind, at, payload))
    return found


async def steps(db, since):
    async with db.read() as connection:
        return [tuple(row) for row in await connection.execute(_STEPS, {"since": since})]


async def test_invariant_7_a_fall_of_prices_by_half_moves_nobody(clone, played):
    """Neither at once nor in the hundred days after, in the first of which customers act as they would have done."""
    (control, _), (fallen, _) = await clone(), await clone()
    acting = lives(7, customers=36, days=30, zone=played.zone, start=played.now, acts=("sweep",), behind=(0,))
    acting = [replace(h, signals=tuple(s for s in h.signals if _is_no_money(s))) for h in acting]
    silence = [Happening(played.now + timedelta(days=day), "sweep") for day in (40, 70, 100)]
    for database in (control, fallen):
        player = Player(database, played.zone, played.ids)
        if database is fallen:
            signals = await halved(database, played.ids, played.now)
            assert len(signals) > 15
            await player.play([Happening(played.now, "signals", signals=tuple(signals))])
        await player.play([*(h for h in acting if h.signals or h.kind == "sweep"), *silence])
    moved = await steps(fallen, played.now)
    assert moved == await steps(control, played.now)
    assert len(moved) > 10


def _is_no_money(signal):
    """Money that moves after the fall is a share of what is left, and may rightly be a larger one."""
    return signal.kind not in ("deposit", "withdrawal", "balance", "account_closed", "signal_retracted")


def _told(kind, day, **payload):
    at = NOW + timedelta(days=day)
    return Happening(at, "signals", signals=(Sent(0, "core", f"{kind}-{day}", kind, at, payload),))


@pytest.mark.parametrize("balance", ["80000", "40000"])
async def test_invariant_7_a_fall_of_prices_does_not_shorten_the_patience_with_the_silent(
    client, db, settings, balance
):
    """A customer about to mature falls silent. With or without a fall on the eve, silence alone makes nobody leave sooner."""
    customer = await make_customer(client, stage="growth", playbook_mode="none")
    valid = (NOW + timedelta(days=700)).isoformat()
    paid_in = signal(customer, "deposit", NOW - timedelta(days=300), amount="80000", account="A", balance_after="80000")
    past = [signal(customer, "login", NOW - timedelta(days=day)) for day in range(0, 200, 15)]
    await send(client, paid_in, signal(customer, "risk_profile_completed", NOW, valid_until=valid), *past)
    player = Player(db, settings.tz, [UUID(customer["id"])])
    for day in range(15, 96, 10):
        await player.play([_told("login", day), Happening(NOW + timedelta(days=day), "sweep")])
    await player.play(
        [Happening(NOW + timedelta(days=179), "sweep"), _told("balance", 179, account="A", balance=balance)]
    )
    await player.play([Happening(NOW + timedelta(days=279), "sweep")])
    steps = await lived(db, player.ids[0])
    assert [step[3] for step in steps if step[1] == "decline"] == []
