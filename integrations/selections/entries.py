"""The files of an inventory as values, and the checks that every form of listing puts its numbers and paths to.

Numbers are whole, not negative and within 63 bits; paths are of bounded length and depth. What breaks this is refused
with its line, since half an inventory is no measurement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from integrations.selections.paths import MAX_PARTS, MAX_PATH
from integrations.selections.refusals import BadInventory

#: The largest size that a figure can have here, in bytes.
LARGEST = 2**63 - 1
Kind = Literal["file", "folder", "link", "other"]


class Entry(NamedTuple):
    """One line. ``key`` tells which inode it is ("" unknown), ``names`` how many names that has.

    ``size`` is in bytes, None when it could not be read. A byte of a path that is no UTF-8 is a lone surrogate.
    """

    line: int
    path: str
    size: int | None
    kind: Kind = "file"
    key: str = ""
    names: int = 1


@dataclass(frozen=True)
class Summary:
    """What the wrapper says of its walk. ``bytes_once`` is None where hard links could not be told apart."""

    roots: tuple[str, ...]
    excludes: tuple[str, ...]
    taken_at: datetime | None
    missing_roots: tuple[str, ...]
    listed: bool
    files: int
    links: int
    bytes_once: int | None
    bytes_each: int
    unreadable: int
    vanished: int


@dataclass(frozen=True)
class Inventory:
    """``form`` names how it was made; ``summary`` is the wrapper's, None for other listings; ``entries`` a stream."""

    form: str
    summary: Summary | None
    entries: Iterator[Entry]


def inode(about: bytes, *, line: int) -> tuple[str, int]:
    """("device:inode", names) from ``device:inode:links``."""
    key, colon, names = about.rpartition(b":")
    device, between, number = key.partition(b":")
    if not (colon and between and device.isdigit() and number.isdigit()) or len(about) > 80:
        raise BadInventory(line, "device:inode:links must be three whole numbers.")
    return key.decode("ascii"), whole(names, line)


def whole(told: bytes, line: int) -> int:
    """A number as written: digits alone. Raises BadInventory for any other, also for one that no disk holds."""
    if not told.isdigit() or len(told) > 19 or (number := int(told)) > LARGEST:
        raise BadInventory(line, f"{told[:40].decode('utf-8', 'replace')!r} is no whole number from 0 to 2^63 - 1.")
    return number


def decoded(path: bytes) -> str:
    """A path as text; bytes that are no UTF-8 become lone surrogates, so that nothing falls together."""
    return path.decode("utf-8", "surrogateescape")


def checked(path: str, line: int) -> str:
    """The same path. Raises BadInventory for one that is empty, or longer or deeper than systems make them."""
    if not path:
        raise BadInventory(line, "has no path.")
    if len(path) > 250 and (len(path) > MAX_PATH or path.count("/") + path.count("\\") > MAX_PARTS):
        raise BadInventory(line, f"a path of more than {MAX_PATH:,} signs or {MAX_PARTS} folders.")
    return path
