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
    if not _is_address(url):
        raise BadConfig(
            "url", "The address must be such as https://backup.example.com, without user and question mark."
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.port == 0:
            return False
    except ValueError:
        return False
    return not (parts.query or parts.fragment) and parts.username is None and url.isascii() and " " not in url


def check_fingerprint(told: str) -> None:
    """Raises BadConfig for what is no SHA-256."""
    if told and not _FINGERPRINT.fullmatch(bare_fingerprint(told)):
        raise BadConfig("fingerprint", "The fingerprint must be a SHA-256: 64 hexadecimal digits, colons or not.")


def bare_fingerprint(told: str) -> str:
    return told.replace(":", "").replace(" ", "").lower()


def joined(url: str, path: str) -> str:
    return f"{url.rstrip('/')}{path}"
