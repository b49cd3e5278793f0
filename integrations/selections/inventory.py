"""Reads an inventory: the wrapper's form, or a listing that a person made (see ``listings``); strict and in a stream.

``read_inventory`` looks at the first line, chooses the form and answers what the header said together with an iterator
over the files. Numbers are whole, not negative and within 63 bits, paths are of bounded length; what breaks this is
refused with its line, since half an inventory is no measurement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.selections.entries import LARGEST, Entry, Inventory, Summary, checked, decoded, inode, whole
from integrations.selections.listings import read_listing
from integrations.selections.refusals import BadInventory
from integrations.selections.streams import lines_of, opened

MAX_ROOTS = 1000
#: So much of a listing is looked at to find its form: more than a name with line ends in it.
FORM_BYTES = 8192
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.)|$)", re.S)
_SHORT = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


def read_inventory(chunks: Iterable[bytes]) -> Inventory:
    """An inventory from its bytes, of which no more is read than is asked for. Raises BadInventory, also later."""
    pieces = opened(chunks)
    start = b""
    for piece in pieces:
        start += piece
        if len(start) > FORM_BYTES:
            break
    if start.startswith(b'{"backledger_inventory"'):
        return _read_own(_chained(start, pieces))
    return read_listing(start, _chained(start, pieces))


def _chained(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from rest


# --- the wrapper's form ------------------------------------------------------------------------------------------


def _read_own(pieces: Iterator[bytes]) -> Inventory:
    lines = lines_of(pieces)
    summary = _summary(next(lines))
    return Inventory("wrapper", summary, _own_entries(lines) if summary.listed else _nothing_more(lines))


def _nothing_more(lines: Iterator[bytes]) -> Iterator[Entry]:
    if any(line.strip() for line in lines):
        raise BadInventory(2, "lines of files, though the first line says that there are none.")
    return iter(())


def _summary(line: bytes) -> Summary:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInventory(1, "is not the JSON that it begins like.") from error
    if not isinstance(told, dict) or told.get("backledger_inventory") != 1:
        raise BadInventory(1, "is of a form that is not known here: a newer wrapper made it.")
    return Summary(
        roots=tuple(unescaped(root, line=1) for root in _texts(told, "roots")),
        excludes=_texts(told, "excludes"),
        taken_at=_moment(told.get("taken_at")),
        missing_roots=tuple(unescaped(root, line=1) for root in _texts(told, "missing_roots")),
        listed=told.get("listed") is True,
        files=_number(told, "files"),
        links=_number(told, "links"),
        bytes_once=None if told.get("bytes") is None else _number(told, "bytes"),
        bytes_each=_number(told, "bytes_each"),
        unreadable=_number(told, "unreadable"),
        vanished=_number(told, "vanished"),
    )


def _texts(told: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = told.get(key, [])
    if not isinstance(found, list) or len(found) > MAX_ROOTS or not all(isinstance(one, str) for one in found):
        raise BadInventory(1, f"{key} must be a list of at most {MAX_ROOTS} texts.")
    return tuple(found)


def _number(told: Mapping[str, Any], key: str) -> int:
    found = told.get(key, 0)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= LARGEST:
        raise BadInventory(1, f"{key} must be a whole number, 0 or more.")
    return found


def _moment(told: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None


def _own_entries(lines: Iterator[bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines, 2):
        size, _, rest = line.partition(b"\t")
        about, tab, path = rest.partition(b"\t")
        if not tab:
            if not line.strip():
                continue
            raise BadInventory(number, "is not 'size TAB device:inode:links TAB path'.")
        key, names = ("", 1) if about == b"-" else inode(about, line=number)
        yield Entry(
            number, checked(unescaped(decoded(path), line=number), number), whole(size, number), "file", key, names
        )


def unescaped(text: str, *, line: int) -> str:
    """The path that the wrapper wrote. Raises BadInventory for an escape that it does not write."""
    if "\\" not in text:
        return text
    turned = text.replace("\\\\", "\0")
    if "\\" not in turned and text.count("\0") == 0:
        return turned.replace("\0", "\\")

    def sign(found: re.Match[str]) -> str:
        if found.group(1):
            code = int(found.group(1), 16)
            return chr(code) if code < 0x80 else chr(0xDC00 + code)
        if found.group(2) not in _SHORT:
            raise BadInventory(line, "an escape in the path that is not known.")
        return _SHORT[found.group(2)]

    return _ESCAPE.sub(sign, text)
