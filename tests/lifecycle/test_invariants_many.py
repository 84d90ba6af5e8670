"""The invariants on many populations more, in zones whose days begin and end oddly."""

import pytest

from app.config import Settings
from tests.lifecycle import laws
from tests.lifecycle.playing import Player
from tests.lifecycle.population import lives
from tests.lifecycle.replaying import agree

ZONES = ("Europe/Prague", "Africa/Cairo", "America/Havana", "America/Santiago", "Australia/Lord_Howe", "UTC")
"""Cairo and Santiago leave out a midnight, Havana has one twice, Lord Howe turns its clocks by half an hour."""


@pytest.fixture
def settings(request):
    return Settings(zone=ZONES[request.node.callspec.params["seed"] % len(ZONES)])


@pytest.mark.evidence
@pytest.mark.parametrize("seed", range(1000, 1060))
async def test_the_invariants_hold_for_a_great_many_lives(db, settings, seed):
    player = Player(db, settings.tz)
    await player.create(16)
    some = {"punctual": (0.9, 0.4, 0.05)[seed % 3], "retracted": (0.1, 0.3)[seed % 2]}
    happenings = lives(seed, customers=16, days=400, zone=settings.tz, **some)
    await player.play(happenings)
    async with db.read() as connection:
        await laws.one_chain(connection)
        await laws.only_edges(connection)
        await laws.bound_stay(connection)
        await laws.not_twice_a_day(connection)
        await laws.profiles_follow(connection, settings.zone)
    await agree(db, settings.tz, happenings[-1].at, player.ids)
    for customer_id in player.ids:
        await agree(db, settings.tz, happenings[-1].at, [customer_id])
