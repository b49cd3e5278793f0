"""The written size contract: what each metric means and how a day is counted, in versions that never change.

An agreement names a version, the invoice prints it, and the text is shown by the product itself. A version's text is
pinned by its SHA-256: a test holds that nobody rewrites what was signed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from billing.refusals import NotFound

FOLDER = Path(__file__).parent / "size_contracts"
#: The SHA-256 of each version's text.
VERSIONS = {"1": "73c0d4c7d313d5e8f7882846c9022cdf1a61c5a47412a3b1fcdac75d25707e05"}
NEWEST = "1"


@dataclass(frozen=True)
class SizeContract:
    """A version with its text (Markdown) and the text's SHA-256."""

    version: str
    text: str
    sha256: str


def size_contract(version: str) -> SizeContract:
    """The text of a version. Raises NotFound."""
    if version not in VERSIONS:
        raise NotFound(f"There is no version {version!r} of the size contract; there are: {', '.join(VERSIONS)}.")
    return _read(version)


@lru_cache
def _read(version: str) -> SizeContract:
    written = (FOLDER / f"{version}.md").read_bytes()
    return SizeContract(version, written.decode(), hashlib.sha256(written).hexdigest())
