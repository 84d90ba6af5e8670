"""Work that ended long ago is forgotten."""

from datetime import timedelta

from sqlalchemy import text

from app.operations import pruning
from tests.conftest import NOW
from tests.operations.arrange import hand, start


async def test_an_operation_is_kept_for_90_days_after_its_end(db, settings, clock, monkeypatch):
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    kept = await start(db, "kept")
    for _ in range(3):
        await start(db, "old")
    async with db.transaction() as session:
        await session.execute(
            text("UPDATE operations SET status = 'succeeded', finished_at = :at WHERE kind = 'old'"),
            {"at": NOW - pruning.KEPT_FOR - timedelta(seconds=1)},
        )
    worker = hand(db, settings, clock)
    assert await pruning.prune_operations(worker)
    assert not await pruning.prune_operations(worker)
    async with db.read() as connection:
        assert (await connection.execute(text("SELECT id FROM operations"))).scalars().all() == [kept]
    assert not await pruning.prune_operations(worker)
