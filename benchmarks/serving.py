"""Two applications, each in a process of its own, asked the same in turns: what one costs beside the other."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp

SECRET = "benchmark-secret-of-more-than-32-characters"
REQUESTS = 2000
CONCURRENCY = 16
ROUNDS = 7
_PORTS = (8451, 8452)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: a GET, or a POST with a JSON `body`."""

    path: str
    body: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """`ratio`: median over the rounds of our time to the floor's. `rates`: requests a second of the floor, and ours."""

    ratio: float
    rates: tuple[float, float]

    @property
    def detail(self) -> str:
        floor, ours = self.rates
        return f"{ours:.0f} requests a second, floor {floor:.0f}, {CONCURRENCY} at a time, one process each"


async def compare(floor: str, ours: str, url: str, asks: Sequence[Ask], key: str) -> Compared:
    """Ask both factories (`module:name`), served over the database at `url`, in interleaved rounds."""
    processes = [_start(factory, port, url) for factory, port in zip((floor, ours), _PORTS, strict=True)]
    times: tuple[list[float], list[float]] = ([], [])
    try:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
            for port in _PORTS:
                await _ready(http, port)
                await _round(http, port, asks)
            for _ in range(ROUNDS):
                for port, found in zip(_PORTS, times, strict=True):
                    found.append(await _round(http, port, asks))
    finally:
        for process in processes:
            process.terminate()
            process.wait(20)
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    floor_rate, our_rate = (REQUESTS / statistics.median(found) for found in times)
    return Compared(ratio, (floor_rate, our_rate))


def _start(factory: str, port: int, url: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "uvicorn", factory, "--factory", "--port", str(port)]
    return subprocess.Popen(
        [*command, "--log-level", "critical", "--no-access-log"], env={**os.environ, "DATABASE_URL": url}
    )


async def _round(http: aiohttp.ClientSession, port: int, asks: Sequence[Ask]) -> float:
    queue = [asks[i % len(asks)] for i in range(REQUESTS)]

    async def drain() -> None:
        while queue:
            ask = queue.pop()
            method = "GET" if ask.body is None else "POST"
            async with http.request(method, f"http://127.0.0.1:{port}{ask.path}", json=ask.body) as answer:
                await answer.read()
                assert answer.status == 200, f"{ask.path}: {answer.status}"

    begun = time.perf_counter()
    await asyncio.gather(*(drain() for _ in range(CONCURRENCY)))
    return time.perf_counter() - begun


async def _ready(http: aiohttp.ClientSession, port: int) -> None:
    for _ in range(100):
        try:
            async with http.get(f"http://127.0.0.1:{port}/openapi.json"):
                return
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")
