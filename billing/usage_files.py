"""Reads a CSV of usage that no log tells: bytes in, rows and refused lines out. Pure; nothing is looked up here.

A file is hostile until it was read: its size, its encoding, its quotes and every cell are checked, each refusal is a
sentence with its line. Texts stay texts: a cell that a spreadsheet would run is never run here.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import get_args

from billing.metrics import BY_NAME, COUNTS, ENTERED
from billing.refusals import Refused
from integrations.logs.joblog import Basis

MOST_BYTES = 10 * 10**6
MOST_ROWS = 100_000
MOST_NAMES = 5_000
LARGEST = 2**63 - 1
COLUMNS = ("client", "machine", "selection", "day", "metric", "bytes", "count", "basis", "note", "names")
BASES: tuple[str, ...] = get_args(Basis)
#: The figure that takes back what an earlier file said of the day.
WITHDRAWN = "withdrawn"
LONGEST_CELL = 4000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """One line: a figure of a selection on a day. ``quantity`` in bytes or things, None to withdraw an earlier one."""

    line: int
    client: str
    machine: str
    selection: str
    day: date
    metric: str
    quantity: int | None
    basis: str
    note: str
    names: tuple[str, ...]


@dataclass(frozen=True, order=True)
class RefusedLine:
    """Why a line cannot be taken."""

    line: int
    sentence: str


class _BadCell(Exception):
    pass


def read_usage_file(content: bytes) -> tuple[tuple[UsageRow, ...], tuple[RefusedLine, ...]]:
    """The rows of a file, and the lines that cannot be read. Raises Refused for a file that is no such CSV at all."""
    text = _decoded(content)
    lines = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(lines), strict=True)
    rows: list[UsageRow] = []
    refused: list[RefusedLine] = []
    try:
        head = _head(next(reader, []))
        for line, cells in _numbered(reader):
            if len(rows) + len(refused) >= MOST_ROWS:
                raise Refused(f"The file has more than {MOST_ROWS:,} lines: split it.")
            try:
                rows.append(_row(line, head, cells))
            except _BadCell as bad:
                refused.append(RefusedLine(line, str(bad)))
    except csv.Error as error:
        raise Refused(f"Line {reader.line_num}: this is no CSV ({error}). Nothing was taken.") from None
    if not rows and not refused:
        raise Refused("The file has a heading and no line.")
    return tuple(rows), (*refused, *_repeated(rows))


def _decoded(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise Refused(f"The file has {len(content):,} bytes; at most {MOST_BYTES:,} are read. Split it.")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Refused(f'Line {line} is not UTF-8: save the file as "CSV UTF-8".') from None
    found = _CONTROL.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise Refused(f"Line {line} holds a character that no text has (U+{ord(found[0]):04X}): this is no CSV.")
    return text


def _delimiter(heading: str) -> str:
    """Comma, semicolon or tab: the one that parts the heading into most cells."""
    return max(",;\t", key=heading.count)


def _head(cells: Sequence[str]) -> tuple[str, ...]:
    head = tuple(cell.strip().lower() for cell in cells)
    for name in head:
        if name not in COLUMNS:
            raise Refused(f"Line 1: there is no column {name[:60]!r}; there are: {', '.join(COLUMNS)}.")
        if head.count(name) > 1:
            raise Refused(f"Line 1: the column {name} is there twice.")
    missing = [name for name in ("client", "day", "metric") if name not in head]
    if missing or not {"selection", "machine"} & set(head) or not {"bytes", "count"} & set(head):
        raise Refused("Line 1: a file has the columns client, selection or machine, day, metric, and bytes or count.")
    return head


def _numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Each line that is not blank with the number it begins on."""
    begins = reader.line_num + 1  # type: ignore[attr-defined]  # the reader of csv counts lines
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield begins, cells
        begins = reader.line_num + 1  # type: ignore[attr-defined]


def _row(line: int, head: Sequence[str], cells: Sequence[str]) -> UsageRow:
    if len(cells) != len(head):
        raise _BadCell(f"The line has {len(cells)} cells where the heading has {len(head)}.")
    given = dict.fromkeys(COLUMNS, "") | {name: cell.strip() for name, cell in zip(head, cells, strict=True)}
    for name, cell in given.items():
        if len(cell) > LONGEST_CELL and name != "names":
            raise _BadCell(f"The {name} is longer than {LONGEST_CELL:,} characters.")
    if not given["client"]:
        raise _BadCell("The client is missing: write its name or its code.")
    if not given["selection"] and not given["machine"]:
        raise _BadCell("Write the selection, or the machine that it lies on.")
    metric = _metric(given["metric"])
    quantity = _quantity(metric, given)
    return UsageRow(
        line=line,
        client=given["client"],
        machine=given["machine"],
        selection=given["selection"],
        day=_day(given["day"]),
        metric=metric,
        quantity=quantity,
        basis=_basis(given["basis"]),
        note=given["note"],
        names=_names(metric, quantity, given["names"]),
    )


def _day(text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise _BadCell(f"{text[:40]!r} is no day: write it as 2026-10-31.")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _BadCell(f"There is no day {text}.") from None


def _metric(text: str) -> str:
    if text in BY_NAME and text not in ENTERED:
        raise _BadCell(f"The {BY_NAME[text].label} is reckoned from the {BY_NAME[text].read} size: enter that.")
    if text not in ENTERED:
        raise _BadCell(f"There is no metric {text[:40]!r}; there are: {', '.join(ENTERED)}.")
    return text


def _quantity(metric: str, given: Mapping[str, str]) -> int | None:
    right, wrong = ("count", "bytes") if metric in COUNTS else ("bytes", "count")
    if given[wrong]:
        raise _BadCell(f"{BY_NAME[metric].label.capitalize()} go into the column {right}, not {wrong}.")
    text = given[right]
    if text.lower() == WITHDRAWN:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > LARGEST:
        raise _BadCell(
            f"{text[:40]!r} is no whole number of {'things' if right == 'count' else 'bytes'}: write digits alone, "
            f"or {WITHDRAWN} to take back what an earlier file said of the day."
        )
    return int(text)


def _basis(text: str) -> str:
    if text and text not in BASES:
        raise _BadCell(f"There is no basis {text[:40]!r}; there are: {', '.join(BASES)}.")
    return text or "agreed"


def _names(metric: str, quantity: int | None, text: str) -> tuple[str, ...]:
    """What was counted, parted by bars; as many different ones as were counted, or none."""
    names = tuple(name.strip() for name in text.split("|") if name.strip())
    if not names:
        return ()
    if metric not in COUNTS:
        raise _BadCell("Names belong to what is counted: machines or components.")
    if len(names) > MOST_NAMES or any(len(name) > 300 for name in names):
        raise _BadCell(f"At most {MOST_NAMES:,} names of 300 characters are kept.")
    if len(set(names)) != quantity:
        raise _BadCell(f"{quantity} are counted, but {len(set(names))} different names are given.")
    return names


def _repeated(rows: Sequence[UsageRow]) -> Iterator[RefusedLine]:
    """Lines about a day that an earlier line was about, by the words they use."""
    first: dict[tuple[str, str, str, date, str], int] = {}
    for row in rows:
        key = (row.client, row.machine, row.selection, row.day, row.metric)
        if key in first:
            yield RefusedLine(row.line, f"The line says the same day of the same thing again as line {first[key]}.")
        first.setdefault(key, row.line)
