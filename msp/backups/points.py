"""What a finished backup leaves in its job's history: one short list, read by rules about habits. Pure.

A point is ``[start, end, outcome, good, protected, transferred, changed, duration, error]``: epoch seconds, bytes and
whole seconds, null where the product does not tell it; ``protected`` only of a measurable run. ``error`` is the telling
line of a run that was not good, without what differs from night to night, so that the same trouble reads the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from msp.backups.folding import BACKUP_OPERATIONS, RunValues, ordered_runs

#: So many of the newest are kept: two months of a nightly job.
MOST_POINTS = 60

#: Stands for what differs from night to night.
LEFT_OUT = "…"
#: Characters of a telling line that are read, and that are kept of it.
_READ, _KEPT = 400, 200

_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|`[^`\']*[`\']|(?<!\w)\'[^\']*\'(?!\w)')
_EDGES = re.compile(r"^([(\[{<]*)(.*?)([)\]}>,;:.!?]*)$", re.DOTALL)
_CODE = re.compile(r"0x[8c][0-9a-f]{7}", re.IGNORECASE)
_HEX = re.compile(r"(?=.*\d)[0-9a-f-]{7,}", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_NAMED = re.compile(r"[\w-]\.[\w-]")
#: A number after one of these says which trouble it is.
_BEFORE_CODE = frozenset({"code", "errno", "rc", "status", "code:", "status:", "code=", "signal"})
_NO_PATHS = frozenset({"i/o", "and/or", "read/write", "r/w", "n/a", "tcp/ip", "input/output", "client/server"})
_DAYS = "mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday"
_MONTHS = (
    "jan feb mar apr may jun jul aug sep oct nov dec "
    "january february march april june july august september october november december"
)
_CALENDAR = frozenset(f"{_DAYS} {_MONTHS} am pm utc gmt cet cest".split())


class Point(NamedTuple):
    """A point as it is stored; see above."""

    started: int | None
    ended: int
    outcome: str
    good: bool
    protected_bytes: int | None
    transferred_bytes: int | None
    changed_bytes: int | None
    duration_seconds: int | None
    error: str


def points_of(runs: Iterable[RunValues]) -> list[Point]:
    """The points of these runs, oldest first; the newest of a whole history."""
    kept = [run for run in ordered_runs(runs) if run.operation in BACKUP_OPERATIONS and run.outcome != "running"]
    return [_point_of(run) for run in kept[-MOST_POINTS:]]


def read_points(told: Any) -> tuple[Point, ...]:
    """The points of a stored history: its JSON as text, or already read; None for a job without one."""
    return tuple(map(Point._make, orjson.loads(told) if isinstance(told, str) else told or ()))


def error_key(line: str) -> str:
    """A telling line without numbers, ids, dates, quoted names and paths; at most 200 characters."""
    words = _QUOTED.sub(LEFT_OUT, line[:_READ]).split()
    kept = [_without_names(word, before=before.lower()) for before, word in pairwise(["", *words])]
    kept = _without_dates(_without_dates(kept))
    told = [word for word, after in pairwise([*kept, ""]) if not (word == LEFT_OUT and after.startswith(LEFT_OUT))]
    return " ".join(told)[:_KEPT]


def _point_of(run: RunValues) -> Point:
    return Point(
        started=None if run.started_at is None else int(run.started_at.timestamp()),
        ended=int(run.ended_at.timestamp()),
        outcome=run.outcome,
        good=run.good,
        protected_bytes=run.protected_bytes if run.measurable else None,
        transferred_bytes=run.transferred_bytes,
        changed_bytes=run.changed_bytes,
        duration_seconds=run.duration_seconds,
        error="" if run.good or not run.errors else error_key(run.errors[0]),
    )


def _without_names(word: str, *, before: str) -> str:
    """One word: a path, an id, a time, a file's or host's name goes, of others the digits; what is around it stays."""
    match = _EDGES.fullmatch(word)
    if match is None:
        return word
    opening, core, closing = match.groups()
    if core.lower() in _NO_PATHS or _CODE.fullmatch(core) or (before in _BEFORE_CODE and core.isdecimal()):
        return word
    if "/" in core or "\\" in core or _NAMED.search(core) or _HEX.fullmatch(core):
        return f"{opening}{LEFT_OUT}{closing}"
    left, numbers = _DIGITS.subn(LEFT_OUT, core)
    return f"{opening}{LEFT_OUT if numbers > 1 else left}{closing}"


def _without_dates(words: list[str]) -> list[str]:
    """Names of days and months go where they stand beside what went: "may" is a verb, too."""
    around = zip(["", *words], words, [*words[1:], ""], strict=False)
    return [
        LEFT_OUT if word.strip(",.:()[]").lower() in _CALENDAR and LEFT_OUT in before + after else word
        for before, word, after in around
    ]
