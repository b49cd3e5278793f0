"""Listings that people can make with what a system has: find, PowerShell, rclone, robocopy, Proxmox Backup.

``find ROOT -printf '%s\\t%D:%i:%n\\t%y\\t%p\\0'``; ``Get-ChildItem -Recurse -Force | Select FullName, Length,
LinkType | Export-Csv``; ``rclone lsjson -R``; ``robocopy SRC NUL /L /S /NJH /NJS /NDL /NC /FP /BYTES``;
``proxmox-backup-client catalog dump``. A line that does not fit is refused with its number.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator

from integrations.selections.entries import Entry, Inventory, Kind, checked, decoded, inode, whole
from integrations.selections.refusals import BadInventory
from integrations.selections.streams import lines_of

_FIND = re.compile(rb"^\d+\t\d+:\d+:\d+\t[a-zA-Z?]\t")
_ROBOCOPY = re.compile(rb"^\s*(\d{1,19})[ \t]+((?:[A-Za-z]:|\\\\).+?)\s*$")
_CATALOGUE = re.compile(rb'^([a-z]) "((?:[^"\\]|\\.)*)"(?: (\d{1,20})(?: .*)?)?$')
_CATALOGUE_START = re.compile(rb'^[a-z] "\./')
_RUST = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|(.))")
_FIND_KINDS: dict[bytes, Kind] = {b"f": "file", b"d": "folder", b"l": "link"}
_CATALOGUE_KINDS: dict[bytes, Kind] = {b"f": "file", b"d": "folder", b"l": "link", b"h": "link"}


def read_listing(start: bytes, pieces: Iterator[bytes]) -> Inventory:
    """The listing that begins so. Raises BadInventory when it is of no known form."""
    line = start.split(b"\n", 1)[0]
    chosen: list[tuple[bool, str, Callable[[Iterator[bytes]], Iterator[Entry]]]] = [
        (_FIND.match(start) is not None, "find", _find_ended_by_nul if b"\0" in start else _find_ended_by_line),
        (start.lstrip()[:1] == b"[", "rclone", _rclone),
        (b"FullName" in line or line.startswith(b"#TYPE"), "powershell", _powershell),
        (_CATALOGUE_START.match(line) is not None, "proxmox-backup", _catalogue),
        (not line.strip() or _ROBOCOPY.match(line.rstrip(b"\r")) is not None, "robocopy", _robocopy),
    ]
    for fits, form, read in chosen:
        if fits:
            return Inventory(form, None, read(pieces))
    raise BadInventory(1, "is of no form of listing that is known here.")


def _find_ended_by_nul(pieces: Iterator[bytes]) -> Iterator[Entry]:
    return _find(lines_of(pieces, end=b"\0"))


def _find_ended_by_line(pieces: Iterator[bytes]) -> Iterator[Entry]:
    return _find(lines_of(pieces))


def _find(lines: Iterator[bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        fields = line.split(b"\t", 3)
        if len(fields) != 4:
            raise BadInventory(number, "is not 'size TAB device:inode:links TAB type TAB path'.")
        key, names = inode(fields[1], line=number)
        kind = _FIND_KINDS.get(fields[2], "other")
        yield Entry(number, checked(decoded(fields[3]), number), whole(fields[0], number), kind, key, names)


def _robocopy(pieces: Iterator[bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines_of(pieces), 1):
        if not line.strip():
            continue
        found = _ROBOCOPY.match(line)
        if found is None:
            raise BadInventory(number, "is not 'bytes path': list with /L /S /NJH /NJS /NDL /NC /FP /BYTES.")
        yield Entry(number, checked(decoded(found.group(2)), number), whole(found.group(1), number))


def _rclone(pieces: Iterator[bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines_of(pieces), 1):
        text = line.strip().removeprefix(b"[").removesuffix(b"]").strip().strip(b",")
        if not text:
            continue
        try:
            told = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInventory(number, "is not one object of JSON a line, as rclone lsjson writes it.") from error
        yield _rclone_entry(told, number)


def _rclone_entry(told: object, number: int) -> Entry:
    path, size = (told.get("Path"), told.get("Size")) if isinstance(told, dict) else (None, None)
    if not isinstance(told, dict) or not isinstance(path, str) or isinstance(size, bool) or not isinstance(size, int):
        raise BadInventory(number, "has no Path or no Size.")
    path = checked("/" + path.lstrip("/"), number)
    if told.get("IsDir") is True:
        return Entry(number, path, 0, "folder")
    # rclone says -1 where the remote does not know
    return Entry(number, path, None if size == -1 else whole(str(size).encode(), number))


def _powershell(pieces: Iterator[bytes]) -> Iterator[Entry]:
    texts = (line.decode("utf-8", "replace").rstrip("\r") + "\n" for line in lines_of(pieces))
    header = next(texts, "")
    if header.startswith("#TYPE"):
        header = next(texts, "")
    delimiter = max(",;\t", key=header.count)
    columns = next(csv.reader([header], delimiter=delimiter), [])
    if "FullName" not in columns or "Length" not in columns:
        raise BadInventory(1, "needs the columns FullName and Length.")
    rows = csv.reader(texts, delimiter=delimiter)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise BadInventory(rows.line_num + 1, f"is no line of CSV: {error}.") from error
        if row is None:
            return
        if row:
            yield _powershell_entry(dict(zip(columns, row, strict=False)), rows.line_num + 1)


def _powershell_entry(row: dict[str, str], number: int) -> Entry:
    path = checked(row.get("FullName", ""), number)
    length, link = row.get("Length", "").strip(), row.get("LinkType", "")
    if link in ("SymbolicLink", "Junction"):
        return Entry(number, path, 0, "link")
    if not length:
        return Entry(number, path, 0, "folder")
    return Entry(number, path, whole(length.encode("utf-8", "replace"), number))


def _catalogue(pieces: Iterator[bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines_of(pieces), 1):
        if not line.strip():
            continue
        found = _CATALOGUE.match(line)
        if found is None:
            raise BadInventory(number, "is not a line of a catalogue: type, path in quotation marks, size.")
        kind = _CATALOGUE_KINDS.get(found.group(1), "other")
        size = whole(found.group(3), number) if found.group(3) else (None if kind == "file" else 0)
        yield Entry(number, checked(_catalogue_path(found.group(2)), number), size, kind)


def _catalogue_path(told: bytes) -> str:
    """``./root.pxar.didx/etc/hosts`` is ``/etc/hosts``: the archive's name is no folder."""
    path = _RUST.sub(_rust_sign, decoded(told)).removeprefix("./")
    return "/" + path.partition("/")[2]


def _rust_sign(found: re.Match[str]) -> str:
    if found.group(1):
        code = int(found.group(1), 16)
        return chr(code) if code < 0x110000 else "\ufffd"
    if found.group(2):
        code = int(found.group(2), 16)
        return chr(code) if code < 0x80 else chr(0xDC00 + code)
    return {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}.get(found.group(3), found.group(3))
