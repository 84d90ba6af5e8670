"""One HTTP session for all outgoing webhooks, and one attempt on it.

The session connects only to addresses that `app.webhooks.address` allows: the resolver judges every answer, the client
connects to exactly what was judged, and the factory of sockets judges once more whatever is about to be connected.
"""

import asyncio
import socket
import time
from dataclasses import dataclass
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from yarl import URL

from app.config import Settings
from app.webhooks.address import AddressPolicy, AddressRefused, check_addresses, check_url

ANSWER_BYTES = 4096
"""How much of an answer is kept, for the owner to read."""

_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)
_HEADERS = {"Content-Type": "application/json", "User-Agent": "Stagefolio-Webhooks/1", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt. `status` None: no HTTP answer; `error_class` then says why (`connect`, `tls` …).

    `text` is the beginning of the body, `retry_after` that header as sent, `duration_ms` the time until the answer was
    read or given up.
    """

    status: int | None
    error_class: str | None
    text: str | None
    retry_after: str | None
    duration_ms: int


def address_policy(settings: Settings) -> AddressPolicy:
    """What the operator permits."""
    return AddressPolicy.parse(settings.webhook_allow, allow_http=settings.webhook_allow_http)


class GuardedResolver(AbstractResolver):
    """Resolves with `inner` and refuses the name if any of its addresses is refused."""

    def __init__(self, policy: AddressPolicy, inner: AbstractResolver) -> None:
        self._policy = policy
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of `host`, all of them allowed; AddressRefused otherwise."""
        found = await self._inner.resolve(host, port, family)
        check_addresses([ip_address(result["host"]) for result in found], self._policy)
        return found

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def http_session(settings: Settings, resolver: AbstractResolver | None = None) -> aiohttp.ClientSession:
    """The session of a worker process: no cookies, no proxies, no redirects, guarded addresses. The caller closes it.

    `resolver` answers names in place of the system's. How many requests run at once is bounded by who drains.
    """
    policy = address_policy(settings)

    def guarded_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, peer = info
        check_addresses([ip_address(str(peer[0]))], policy)
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(policy, resolver or aiohttp.ThreadedResolver()),
        socket_factory=guarded_socket,
        limit=0,
        keepalive_timeout=30,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_TIMEOUT,
        auto_decompress=False,
        headers=_HEADERS,
    )


async def post(
    http: aiohttp.ClientSession, policy: AddressPolicy, url: str, body: str, headers: dict[str, str]
) -> Answer:
    """POST `body` once, within 5 seconds to connect and 15 in all. Whatever goes wrong is an answer, not an error."""
    started = time.perf_counter()
    status: int | None = None
    retry_after: str | None = None
    said: str | None = None
    error_class: str | None = None
    try:
        check_url(url, policy)
        target = URL(url, encoded=True)
        async with http.post(target, data=body.encode(), headers=headers, allow_redirects=False) as response:
            status = response.status
            retry_after = response.headers.get("Retry-After")
            said = await _beginning(response)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        # Once a status came, it decides; what broke while the rest was read does not matter.
        error_class = _class_of(error) if status is None else None
    if status is not None and not 200 <= status < 300:
        error_class = "redirect" if 300 <= status < 400 else "status"
    return Answer(status, error_class, said, retry_after, round((time.perf_counter() - started) * 1000))


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first bytes of the body as text that PostgreSQL can store."""
    read = bytearray()
    try:
        while len(read) < ANSWER_BYTES and (chunk := await response.content.read(ANSWER_BYTES - len(read))):
            read += chunk
    except (TimeoutError, aiohttp.ClientError, OSError):
        response.close()
    return bytes(read).decode("utf-8", "replace").replace("\x00", "\ufffd")


def _class_of(error: Exception) -> str:
    """A stable name for why there was no answer."""
    refused = error if isinstance(error, AddressRefused) else getattr(error, "os_error", None)
    if isinstance(refused, AddressRefused):
        return "address_refused"
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError():
            return "tls"
        case aiohttp.ConnectionTimeoutError():
            return "connect_timeout"
        case asyncio.TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorError():
            return "connect"
    return "protocol"
