"""The replay of the Berka bank: on a few lines written by hand, and on the real files where they are."""

import gzip
import os
from collections.abc import AsyncIterator, Callable
from io import StringIO
from pathlib import Path

import aiohttp
import asyncpg
import click
import pytest
from rich.console import Console
from standardwebhooks import Webhook

from app.clock import utc_now
from app.config import Settings
from app.demo import berka_replay
from app.demo.receiver import Receiver
from app.webhooks.signing import new_secret
from tests.demo.test_berka import FILES, REAL

NAME = "stagefolio_replay_test"


@pytest.fixture
async def own(settings: Settings, worker_name: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Settings]:
    """Settings of a server on which the bank's database is not there yet; it is dropped afterwards."""
    server = os.environ["STAGEFOLIO_TEST_SERVER"]
    name = f"{NAME}_{worker_name}"
    monkeypatch.setattr(berka_replay, "DATABASE", name)
    yield settings.model_copy(update={"database_url": server})
    connection = await asyncpg.connect(server)
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        with gzip.open(tmp_path / f"{name}.csv.gz", "wt", encoding="utf-8") as file:
            file.write(content)
    return tmp_path


async def printed(settings: Settings, folder: Path) -> Callable[[str], list[str]]:
    """Run the replay; the result finds the cells behind a label in what it printed."""
    out = StringIO()
    await berka_replay.replay(settings, folder, Console(file=out, width=160))
    lines = [line for line in out.getvalue().splitlines() if line.strip()]

    def cells(label: str) -> list[str]:
        found = [line for line in lines if line.strip("│ ").startswith(label)]
        assert found, out.getvalue()
        return [cell.strip() for cell in found[0].strip("│").split("│")][1:]

    cells.text = out.getvalue()  # type: ignore[attr-defined]
    return cells


async def test_a_small_bank_is_replayed_with_verified_webhooks_and_repeating_adds_nothing(own: Settings, folder: Path):
    first = await printed(own, folder)
    assert first("clients") == ["4", "4", "4", "yes"]
    assert first("accounts") == ["3", "2", "2", "yes"]
    assert first("postings") == ["9", "9", "9", "yes"]
    assert first("system postings") == ["3", "3", "3", "yes"]
    assert first("days of a customer with nothing but") == ["1"]
    for check in ("… of these counted", "acts counted", "inflow counted", "outflow counted"):
        assert float(first(check)[0]) == 0
    assert first("trial_started") == ["prospect", "trial", "2", "2"]
    assert first("customer.created") == ["4"]
    assert first("refused") == ["0"]
    assert "Added in this run: 4 customers, 16 signals," in first.text

    second = await printed(own, folder)
    assert second("postings") == ["9", "9", "9", "yes"]
    nothing = "0 customers, 0 signals, 0 transitions, 0 actions planned, 0 due, 0 webhooks."
    assert f"Added in this run: {nothing}" in second.text


async def test_a_folder_without_the_files_is_refused_by_name(own: Settings, tmp_path: Path):
    with pytest.raises(click.ClickException, match=r"berka_client\*\.csv\.gz: no such file"):
        await berka_replay.replay(own, tmp_path)


async def test_the_receiver_takes_what_the_reference_library_signs_once_and_refuses_the_rest():
    secret, body, now = new_secret(), '{"type":"customer.created"}', utc_now()
    async with Receiver() as receiver, aiohttp.ClientSession() as http:
        receiver.secret = secret
        signed = {
            "webhook-id": "evt_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign("evt_1", now, body),
        }
        stale = {**signed, "webhook-timestamp": str(int(now.timestamp()) - 400)}
        for headers, data in ((signed, body), (signed, body), (signed, body + " "), (stale, body), ({}, body)):
            await http.post(receiver.url, data=data, headers=headers)
    assert (dict(receiver.verified), receiver.repeated, receiver.refused) == ({"customer.created": 1}, 1, 3)


@pytest.mark.evidence
async def test_the_real_bank_is_replayed_whole(own: Settings):
    if not REAL.is_dir():
        pytest.skip(f"the Berka files are missing: no folder {REAL}")
    first = await printed(own, REAL)
    print(first.text)
    for name in ("clients", "accounts", "orders", "loans", "cards", "postings", "system postings"):
        in_files, until, stored, equal = first(name)
        assert (stored, equal) == (until, "yes")
        assert in_files == until or name not in ("clients", "postings", "system postings")
    assert int(first("days of a customer with nothing but")[0].replace(",", "")) > 5000
    for check in ("… of these counted", "acts counted", "inflow counted", "outflow counted"):
        assert float(first(check)[0]) == 0
    second = await printed(own, REAL)
    assert (
        "Added in this run: 0 customers, 0 signals, 0 transitions, 0 actions planned, 0 due, 0 webhooks." in second.text
    )
