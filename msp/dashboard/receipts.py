"""The log of a delivery as the log viewer shows it: numbered lines, the telling ones marked, searched, cut to a window.

A reseller sees the whole log only if every run in it, and nothing unassigned, belongs to its own clients; else only the
lines of its run, and none at all where the parser could not tell the lines apart. Telling lines are those that hold a
message or path the parser kept as an error. Text is cleaned of control characters; the templates escape it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.logs.bytes_to_text import clean, decode
from integrations.logs.delivery import BadEnvelope
from integrations.logs.opening import open_delivery
from msp.backups.queries import RunDetail
from msp.estate.queries import Reach
from msp.ingest.models import Body, Receipt
from msp.ingest.normalising import open_receipt
from msp.ingest.packing import unpack
from msp.ingest.queries import may_see_whole

#: Lines shown at once; more are a page away, so that a log of 25 MB does not stop the browser.
WINDOW = 2000
#: Characters shown at once, at least one line: two thousand lines of 20 kB would be a page of 40 MB.
WINDOW_CHARACTERS = 500_000
#: Shorter texts are no evidence that a line tells something.
LEAST_TELLING = 8


@dataclass(frozen=True)
class ShownLine:
    """One line. ``style``: telling, hit, other (of another run), gap (lines between two shown are left out) or ""."""

    number: int
    text: str
    style: str = ""
    pieces: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class LogView:
    """A window of a log. ``whole`` False: lines of others are left out. ``next_start``: further lines begin there."""

    lines: tuple[ShownLine, ...]
    total: int
    whole: bool
    telling: tuple[int, ...]
    hits: int
    start: int
    next_start: int | None
    previous_start: int | None


#: Characters of one line that are shown.
LONGEST_LINE = 20_000


@dataclass(frozen=True)
class Delivered:
    """The lines of a delivery that may be seen; ``whole`` False: others' lines are left out."""

    lines: tuple[Line, ...]
    whole: bool


@dataclass(frozen=True)
class Line:
    """A line of a log and its number in the delivery, from 1."""

    number: int
    text: str


def read_delivered(reach: Reach, run: RunDetail) -> Delivered | None:
    """The log a run was read from, as far as it may be seen; None when it is no longer kept."""
    lines = read_lines(reach, run.receipt_id)
    receipt = Receipt.objects.of(reach.tenant_id).filter(pk=run.receipt_id).first()
    if lines is None or receipt is None:
        return None
    if may_see_whole(reach, receipt):
        return Delivered(lines, whole=True)
    if run.first_line is None or run.last_line is None:
        return Delivered((), whole=False)
    return Delivered(lines[run.first_line - 1 : run.last_line], whole=False)


def read_lines(reach: Reach, receipt_id: int) -> tuple[Line, ...] | None:
    """All lines of a delivery; the caller decides who may see them. None when it is no longer kept."""
    receipt = Receipt.objects.of(reach.tenant_id).filter(pk=receipt_id).first()
    if receipt is None:
        return None
    body = Body.objects.of(reach.tenant_id).filter(pk=receipt.body_id, day=receipt.body_day).first()
    if body is None:
        return None
    raw = unpack(body.codec, body.size, bytes(body.content))
    return split_lines(*lay_open(raw[receipt.body_offset : receipt.body_offset + receipt.body_length], receipt.meta))


def lay_open(raw: bytes, meta: dict[str, Any]) -> tuple[bytes, ...]:
    """The log inside its wrapping, as a parser saw it: standard output, then standard error; else the bytes as sent."""
    try:
        delivery = open_delivery(open_receipt(raw, meta))
    except BadEnvelope:
        return (raw,)
    return (delivery.stdout, delivery.stderr)


def split_lines(*streams: bytes) -> tuple[Line, ...]:
    """Lines as the parsers number them, from 1; those of a second stream are numbered on."""
    texts = [text for stream in streams for text in decode(stream).removesuffix("\n").split("\n") if stream]
    return tuple(Line(number, clean(text.rstrip("\r"), LONGEST_LINE)) for number, text in enumerate(texts, start=1))


def show_log(
    lines: Sequence[Line], run: RunDetail, *, whole: bool, text: str = "", start: int | None = None
) -> LogView:
    """The window from line ``start`` (default: the run's own first line); with ``text`` only lines that hold it."""
    telling = find_telling(lines, run)
    sought = [line for line in lines if text.casefold() in line.text.casefold()] if text else list(lines)
    first = _first_place(sought, start if start is not None else _opening(run))
    shown = cut_window(sought[first : first + WINDOW])
    following = first + len(shown)
    return LogView(
        lines=tuple(_with_gaps(_show_line(line, run, telling=telling, text=text) for line in shown)),
        total=len(lines),
        whole=whole,
        telling=tuple(sorted(telling)),
        hits=len(sought) if text else 0,
        start=shown[0].number if shown else 1,
        next_start=sought[following].number if following < len(sought) else None,
        previous_start=sought[max(0, first - WINDOW)].number if first > 0 else None,
    )


def cut_window(lines: Sequence[Line]) -> Sequence[Line]:
    """As many of the lines, from the first on, as a page can hold; at least one."""
    characters = 0
    for place, line in enumerate(lines):
        characters += len(line.text)
        if place and characters > WINDOW_CHARACTERS:
            return lines[:place]
    return lines


def _opening(run: RunDetail) -> int:
    """A run deep in a long log is shown from a little before its first line."""
    return max(1, run.first_line - 5) if run.first_line and run.first_line > WINDOW else 1


def _first_place(lines: Sequence[Line], number: int) -> int:
    return next((place for place, line in enumerate(lines) if line.number >= number), 0)


def find_telling(lines: Iterable[Line], run: RunDetail) -> set[int]:
    """Numbers of the run's lines that hold one of its errors."""
    sought = {part for error in run.errors for part in _needles(error.message) | _needles(error.path)}
    if not sought:
        return set()
    return {line.number for line in lines if _is_own(line, run) and any(part in line.text for part in sought)}


def _needles(text: str) -> set[str]:
    """The lines of a message; a message is often cut, so its first 120 characters count."""
    return {part.strip()[:120] for part in text.splitlines() if len(part.strip()) >= LEAST_TELLING}


def _is_own(line: Line, run: RunDetail) -> bool:
    if run.first_line is None or run.last_line is None:
        return True
    return run.first_line <= line.number <= run.last_line


def _show_line(line: Line, run: RunDetail, *, telling: set[int], text: str) -> ShownLine:
    style = "telling" if line.number in telling else "" if _is_own(line, run) else "other"
    pieces = tuple(split_hits(line.text, text)) if text else ((line.text, False),)
    return ShownLine(line.number, line.text, style, pieces)


def split_hits(line: str, text: str) -> list[tuple[str, bool]]:
    """A line in pieces, each with whether it is what was sought; without regard to case."""
    pieces, place, lowered, sought = [], 0, line.lower(), text.lower()
    # Lowering may change the length of a few letters; such a line is shown whole.
    if len(lowered) != len(line) or not sought:
        return [(line, False)]
    while (found := lowered.find(sought, place)) >= 0:
        pieces += [(line[place:found], False), (line[found : found + len(sought)], True)]
        place = found + len(sought)
    return [piece for piece in [*pieces, (line[place:], False)] if piece[0]]


def _with_gaps(lines: Iterable[ShownLine]) -> Iterable[ShownLine]:
    last = None
    for line in lines:
        if last is not None and line.number > last + 1:
            yield ShownLine(0, "", "gap", ((f"{line.number - last - 1:,} lines left out", False),))
        yield line
        last = line.number


#: Lines shown before and after the one an inbox item is about.
AROUND = 12


def show_around(lines: Sequence[Line], number: int | None) -> tuple[ShownLine, ...]:
    """The line an item is about with its neighbours, or the beginning of the log when it names none."""
    place = 0 if number is None else max(0, number - 1 - AROUND)
    shown = lines[place : place + 2 * AROUND + 1]
    return tuple(
        ShownLine(line.number, line.text, "telling" if line.number == number else "", ((line.text, False),))
        for line in shown
    )
