"""Invariant 7: what a customer does moves them, and not what the market does to their assets."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import text

from tests.lifecycle.playing import Player
from tests.lifecycle.population import Happening, Sent, lives

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
