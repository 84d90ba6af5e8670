"""Signatures of webhooks, after Standard Webhooks 1.0.0. Pure.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime

PREFIX = "whsec_"
_LEAST_BYTES = 24
_MOST_BYTES = 64


def new_secret() -> str:
    """A fresh signing secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_key(secret: str) -> bytes:
    """The key bytes of a secret; ValueError unless it is `whsec_` and base64 of 24 to 64 bytes."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a signing secret begins with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("the part of a signing secret after its prefix is base64") from error
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(f"a signing secret holds {_LEAST_BYTES} to {_MOST_BYTES} bytes")
    return key


def unix_seconds(timestamp: datetime) -> int:
    """Whole seconds since 1970 of an aware time in any zone, as `webhook-timestamp` says it."""
    if timestamp.tzinfo is None:
        raise ValueError("a signature needs a time with a zone")
    return int(timestamp.timestamp())


def sign(secret: str, message_id: str, timestamp: datetime, body: str) -> str:
    """The signature of one attempt: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

    `timestamp` is the time of the attempt, aware, in any zone; `body` is signed exactly as it will be sent (UTF-8).
    """
    content = f"{message_id}.{unix_seconds(timestamp)}.{body}".encode()
    digest = hmac.new(secret_key(secret), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def signed_headers(secret: str, message_id: str, timestamp: datetime, body: str) -> dict[str, str]:
    """The three headers of one attempt. The id stays the same for every retry; time and signature do not."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(unix_seconds(timestamp)),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }
