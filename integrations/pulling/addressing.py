"""The settings that every connector has alike: where the system is, and which certificate it shows."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from integrations.configuration import BadConfig

FINGERPRINT_HELP = (
    "SHA-256 of its certificate, where no known authority signed it: openssl x509 -noout -fingerprint -sha256. "
    "Empty: the usual authorities."
)

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def check_url(url: str) -> None:
    """Raises BadConfig for what is no address of a server."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or parts.username is not None or not url.isascii() or " " in url:
        raise BadConfig(
            "url", "The address must be such as https://backup.example.com, without user and question mark."
        )


def check_fingerprint(told: str) -> None:
    """Raises BadConfig for what is no SHA-256."""
    if told and not _FINGERPRINT.fullmatch(bare_fingerprint(told)):
        raise BadConfig("fingerprint", "The fingerprint must be a SHA-256: 64 hexadecimal digits, colons or not.")


def bare_fingerprint(told: str) -> str:
    return told.replace(":", "").replace(" ", "").lower()


def joined(url: str, path: str) -> str:
    return f"{url.rstrip('/')}{path}"
