"""API keys, as pure text: `sf_live_` + 32 random characters + a checksum of 6.

The checksum lets clients and secret scanners tell a mistyped key from a wrong one without asking the server.
"""

import hashlib
import hmac
import secrets
import string
import zlib

PREFIX = "sf_live_"
_ALPHABET = string.ascii_letters + string.digits
_RANDOM = 32
_CHECK = 6

SCOPES: dict[str, str] = {
    "all": "Everything, now and in later versions.",
    "customers:read": "Read customers and lists of them.",
    "customers:write": "Create, change and delete customers.",
    "signals:write": "Send signals, replay and delete parked ones.",
    "lifecycle:read": "Read stages, transitions, intervals, policies, parked signals.",
    "simulations:run": "Run simulations over the whole population.",
    "lifecycle:override": "Move customers by hand, pin their stages.",
    "policies:write": "Draft and publish lifecycle policies.",
    "actions:read": "Read actions and messages.",
    "actions:write": "Complete and cancel actions.",
    "allocation:read": "Read recommendations, profiles, assumptions.",
    "allocation:write": "Save risk profiles, accept recommendations.",
    "assumptions:write": "Draft and publish assumptions, views, policies and questionnaires of portfolios.",
    "webhooks:read": "Read webhook endpoints and their deliveries.",
    "webhooks:write": "Create, change and delete webhook endpoints.",
    "events:read": "Read the feed of events.",
    "operations:read": "Read long-running work and its results.",
    "operations:write": "Cancel long-running work.",
    "keys:manage": "Create and revoke API keys.",
}


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(_CHECK):
        number, rest = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[rest])
    return "".join(digits)


def new_key() -> str:
    """A fresh key with about 190 bits of randomness."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return body + _checksum(body)


def well_formed(key: str) -> bool:
    """Whether the prefix, length and checksum are right. Says nothing about validity."""
    return (
        key.startswith(PREFIX)
        and len(key) == len(PREFIX) + _RANDOM + _CHECK
        and key.isascii()
        and _checksum(key[:-_CHECK]) == key[-_CHECK:]
    )


def hash_key(key: str, secret: str) -> bytes:
    """HMAC-SHA256 of `key`: a stolen database alone does not let anybody test keys."""
    return hmac.new(secret.encode(), key.encode(), hashlib.sha256).digest()


def allowed(held: frozenset[str], wanted: str) -> bool:
    """Whether scopes `held` include `wanted`."""
    return "all" in held or wanted in held
