"""Where webhooks may be sent. Pure: judges text and addresses, and resolves nothing.

An endpoint's owner chooses a URL and this service connects to it from inside the institution's network, so every
address is judged twice: a literal one when the endpoint is saved, and whatever a name resolves to when it is connected.
Python's `is_global` is not enough: it passes 6to4, NAT64 and others that lead back inside.

Sources: the IANA registries of special-purpose addresses for IPv4 and IPv6.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEVER = {
    "169.254.0.0/16": "link-local, where clouds answer for a machine's identity",
    "168.63.129.16/32": "cloud metadata",
    "100.100.100.200/32": "cloud metadata",
    "192.0.0.192/32": "cloud metadata",
    "fd00:ec2::/32": "cloud metadata",
    "fd20:ce::/32": "cloud metadata",
    "fd00:42::42/128": "cloud metadata",
    "fe80::/10": "link-local",
    "::/96": "IPv4-compatible",
    "::ffff:0:0/96": "IPv4-mapped",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "2001::/32": "Teredo",
    "2002::/16": "6to4",
    "192.88.99.0/24": "6to4",
}
"""Refused even if an allow list names them: metadata services, and IPv6 forms that carry an IPv4 address inside."""

_DENIED = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "carrier-grade NAT",
    "127.0.0.0/8": "loopback",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "multicast tunnels",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::1/128": "loopback",
    "100::/64": "discard only",
    "100:0:0:1::/64": "dummy prefix",
    "2001::/23": "protocol assignments",
    "2001:db8::/32": "documentation",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "private",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}

_LOOPBACK6 = IPv6Address("::1")
_GLOBAL_UNICAST6 = IPv6Network("2000::/3")


def _networks(listed: dict[str, str]) -> list[tuple[Network, str]]:
    return [(ip_network(text), reason) for text, reason in listed.items()]


_NEVER_NETWORKS = _networks(_NEVER)
_DENIED_NETWORKS = _networks(_DENIED)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What an operator permits beyond the public internet: networks, and plain HTTP."""

    allow: tuple[Network, ...] = ()
    allow_http: bool = False

    @classmethod
    def parse(cls, allow: Sequence[str], *, allow_http: bool) -> "AddressPolicy":
        """A policy from networks in CIDR notation; ValueError names one that is not."""
        return cls(tuple(ip_network(text) for text in allow), allow_http)


class AddressRefused(OSError):
    """A webhook may not go there. `code` is stable; the message says why, without repeating the address.

    An OSError, because that is what the HTTP client expects of a resolver that fails.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL that decide: scheme, host (lower case, brackets removed), port, and the literal address."""

    scheme: str
    host: str
    port: int
    literal: Address | None


_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<v6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*)?(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*)?",
    re.IGNORECASE | re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBERISH = re.compile(r"[0-9]+|0x[0-9a-f]*")


def parse_url(url: str) -> Target:
    """The parts of a URL; AddressRefused `bad_url` if it is anything but plainly spelt.

    Strict on purpose: parsers disagree about credentials, backslashes, 0x7f000001, 127.1 and the like, and
    what one reads as a public name another connects to the inside.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise AddressRefused(
            "bad_url", "Write http(s)://host[:port]/path?query in ASCII, without credentials or fragment."
        )
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else (443 if scheme == "https" else 80)
    if not 1 <= port <= 65535:
        raise AddressRefused("bad_url", "The port lies between 1 and 65535.")
    host = (found["v6"] or found["name"]).lower()
    return Target(scheme, host, port, _literal(host, bracketed=found["v6"] is not None))


def _literal(host: str, *, bracketed: bool) -> Address | None:
    """The address that `host` spells, or None for a name; refuses numbers in other spellings."""
    try:
        if bracketed:
            return IPv6Address(host)
        labels = host.split(".")
        if _NUMBERISH.fullmatch(labels[-1]):
            return IPv4Address(host)
    except ValueError as error:
        raise AddressRefused("bad_url", "Write an address as four decimal numbers, or as IPv6 in brackets.") from error
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("bad_url", "The host is not a well-formed name.")
    return None


def refusal(address: Address, policy: AddressPolicy) -> str | None:
    """Why a webhook may not connect to `address` (loopback, private, …), or None if it may."""
    # ::1 lies inside the IPv4-compatible range, but it is an ordinary loopback address that a policy may allow.
    if address != _LOOPBACK6:
        for network, reason in _NEVER_NETWORKS:
            if address in network:
                return reason
    if any(address in network for network in policy.allow):
        return None
    for network, reason in _DENIED_NETWORKS:
        if address in network:
            return reason
    return "reserved" if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST6 else None


def check_url(url: str, policy: AddressPolicy) -> Target:
    """The parts of a URL that webhooks may be sent to, as far as text can tell; AddressRefused otherwise."""
    target = parse_url(url)
    if target.scheme != "https" and not policy.allow_http:
        raise AddressRefused("https_required", "Use https.")
    if target.literal is not None:
        check_addresses([target.literal], policy)
    return target


def check_addresses(addresses: Sequence[Address], policy: AddressPolicy) -> None:
    """Refuse if any one is refused: a name with a public and an inner address is a trick, not a service."""
    for address in addresses:
        reason = refusal(address, policy)
        if reason is not None:
            raise AddressRefused("forbidden_network", f"The address is not one webhooks may reach: {reason}.")
