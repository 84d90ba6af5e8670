"""One attempt: what reaches the network, and what every kind of failure is called."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from app.config import Settings
from app.webhooks.address import AddressPolicy
from app.webhooks.sending import Answer, address_policy, http_session, post
from tests.webhooks.receiver import Receiver


class Names(AbstractResolver):
    """A resolver with a fixed table."""

    def __init__(self, table: dict[str, list[str]]) -> None:
        self.table = table

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self.table:
            raise OSError(None, "no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.table[host]
        ]

    async def close(self) -> None: ...


NAMES = {
    "inside.test": ["127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
    "mixed.test": ["127.0.0.1", "10.0.0.1"],
    "mapped.test": ["::ffff:127.0.0.1"],
}


async def send(settings: Settings, url: str, policy: AddressPolicy | None = None) -> Answer:
    async with http_session(settings, Names(NAMES)) as http:
        return await post(http, policy or address_policy(settings), url, "{}", {})


async def test_a_name_is_connected_at_the_address_that_was_judged(settings: Settings, receiver: Receiver) -> None:
    answer = await send(settings, f"http://inside.test:{receiver.port}/")
    assert (answer.status, answer.error_class) == (204, None)
    assert receiver.requests[0].headers["host"] == f"inside.test:{receiver.port}"


@pytest.mark.parametrize("host", ["metadata.test", "mixed.test", "mapped.test", "10.0.0.1", "[::ffff:127.0.0.1]"])
async def test_a_refused_address_is_never_connected(settings: Settings, receiver: Receiver, host: str) -> None:
    answer = await send(settings, f"http://{host}:{receiver.port}/")
    assert (answer.status, answer.error_class) == (None, "address_refused")
    assert receiver.requests == []


async def test_the_socket_itself_is_the_last_guard(settings: Settings, receiver: Receiver) -> None:
    """Even when the text of a URL was judged by a laxer policy than that of the session."""
    strict = settings.model_copy(update={"webhook_allow": ()})
    answer = await send(strict, receiver.url, AddressPolicy.parse(["0.0.0.0/0"], allow_http=True))
    assert answer.error_class == "address_refused"
    assert receiver.requests == []


async def test_an_unknown_name_is_a_dns_failure(settings: Settings) -> None:
    assert (await send(settings, "http://nowhere.test/")).error_class == "dns"


async def test_a_closed_port_is_a_connect_failure(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert (await send(settings, f"http://127.0.0.1:{port}/")).error_class == "connect"


async def test_https_to_a_plain_port_is_a_tls_failure(settings: Settings, receiver: Receiver) -> None:
    assert (await send(settings, receiver.url.replace("http:", "https:"))).error_class == "tls"


@asynccontextmanager
async def talking(first: bytes) -> AsyncIterator[str]:
    """A server that says `first` to everybody and hangs up."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_an_answer_that_is_not_http_is_a_protocol_failure(settings: Settings) -> None:
    async with talking(b"220 mail.example.com ESMTP\r\n\r\n") as url:
        assert (await send(settings, url)).error_class == "protocol"


async def test_a_hang_up_is_a_protocol_failure(settings: Settings) -> None:
    async with talking(b"") as url:
        assert (await send(settings, url)).error_class == "protocol"


async def test_once_the_status_came_a_broken_body_does_not_matter(settings: Settings) -> None:
    async with talking(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") as url:
        answer = await send(settings, url)
    assert (answer.status, answer.error_class, answer.text) == (200, None, "half")


async def test_cookies_are_not_kept(settings: Settings, receiver: Receiver) -> None:
    receiver.headers["Set-Cookie"] = "a=b"
    async with http_session(settings) as http:
        for _ in range(2):
            await post(http, address_policy(settings), receiver.url, "{}", {})
    assert all("cookie" not in request.headers for request in receiver.requests)
