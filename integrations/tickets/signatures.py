"""Proves that a callback comes from who shares our secret, by the Standard Webhooks scheme.

The signed text is ``id.timestamp.body``, the algorithm HMAC-SHA256, the secret base64 behind ``whsec_``; the header
holds one or more signatures, so that a secret can be changed without a gap. Comparison takes constant time.
Source: the Standard Webhooks specification.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from integrations.errors import PermanentFailure

TOLERANCE_SECONDS = 300


def verify(headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime) -> str:
    """The id of a callback that is proven and recent; raises PermanentFailure. Header names in any case.

    The id is the same in each repeated delivery: who stores it once cannot be fooled by a replay within the window.
    """
    given = {name.lower(): value for name, value in headers.items()}
    event_id, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not event_id or not timestamp.isascii() or not timestamp.isdigit():
        raise PermanentFailure("The callback has no webhook-id or webhook-timestamp.")
    if abs(int(timestamp) - now.timestamp()) > TOLERANCE_SECONDS:
        raise PermanentFailure("The callback's time is more than five minutes off; check the clocks of both machines.")
    expected = sign(event_id, int(timestamp), body, secret=secret)
    offered = [item.encode() for item in given.get("webhook-signature", "").split()]
    if not any(hmac.compare_digest(item, expected.encode()) for item in offered):
        raise PermanentFailure("The callback's signature does not match the secret of this destination.")
    return event_id


def require_same(offered: str, expected: str) -> None:
    """Raises PermanentFailure unless both are the same; takes as long for any difference."""
    if not hmac.compare_digest(offered.encode(), expected.encode()):
        raise PermanentFailure("The callback's signature does not match the secret of this destination.")


def require_recent(timestamp: str, *, now: datetime) -> None:
    """Raises PermanentFailure unless an ISO time is within five minutes of now."""
    try:
        sent = datetime.fromisoformat(timestamp)
        off = abs((sent if sent.tzinfo else sent.replace(tzinfo=UTC)) - now).total_seconds()
    except ValueError:
        raise PermanentFailure("The callback does not say when it was sent.") from None
    if off > TOLERANCE_SECONDS:
        raise PermanentFailure("The callback's time is more than five minutes off; check the clocks of both machines.")


def sign(event_id: str, timestamp: int, body: bytes, *, secret: str) -> str:
    """The value of ``webhook-signature``, such as ``v1,K5oZ...``; ``timestamp`` in Unix seconds."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_key_of(secret), signed, hashlib.sha256).digest()).decode()


def is_secret(secret: str) -> bool:
    """Whether a text can be the shared secret: at least 16 bytes in base64, with or without ``whsec_``."""
    try:
        return len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) >= 16
    except (binascii.Error, ValueError):
        return False


def _key_of(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
