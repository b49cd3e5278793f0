"""Collecting the lines of trouble in a log, and telling what kind of trouble a line is.

Every parser gathers its errors here: at most MAX_ERRORS are kept, all are counted, and the worst are kept first, so
that a thousand vanished files cannot push out the one line that says why the run failed.
"""

from __future__ import annotations

import re
from typing import Literal

from integrations.logs.bytes_to_text import clean
from integrations.logs.joblog import MAX_ERRORS, ErrorKind, LogError

_VANISHED = re.compile(
    r"vanished|no such file or directory|cannot find the (?:file|path)|could not find (?:file|a part of the path)"
    r"|\berrno 2\]|file not found|no longer exists|(?:file|path) (?:.{0,300} )?does not exist",
    re.I,
)
_LOCKED = re.compile(
    r"being used by another process|sharing violation|text file busy|resource busy|file is locked|\blocked a portion"
    r"|\blocked by another|errno 26\]|errno 16\]",
    re.I,
)
_UNREADABLE = re.compile(
    r"permission denied|access (?:to the path .{0,300} )?is denied|access denied|operation not permitted"
    r"|input/output error|i/o error|errno (?:1|5|13)\]|unauthorized access|bad message|data error|stale file handle",
    re.I,
)


def kind_of(message: str) -> ErrorKind:
    """What a policy may tolerate: a file that vanished or was locked; else unreadable, or other."""
    message = message[:2000]
    if _LOCKED.search(message):
        return "locked"
    if _UNREADABLE.search(message):
        return "unreadable"
    return "vanished" if _VANISHED.search(message) else "other"


class Troubles:
    """The errors and warnings of one run, capped, worst kept first."""

    def __init__(self) -> None:
        self._kept: list[LogError] = []
        self._warnings_at: list[int] = []
        self.total = 0
        self.errors = 0
        self.warnings = 0

    def add(
        self,
        message: str,
        *,
        path: str | None = None,
        severity: Literal["error", "warning"] = "error",
        code: str | None = None,
        component: str | None = None,
        kind: ErrorKind | None = None,
    ) -> None:
        """Count one line of trouble and keep it while there is room; the same words twice in a row are one."""
        message = clean(message.strip())
        if self._kept and self._kept[-1].message == message and self._kept[-1].path == (clean(path) if path else None):
            return
        self.total += 1
        self.errors += severity == "error"
        self.warnings += severity == "warning"
        place = self._place_for(severity)
        if place is None:
            return
        told = LogError(
            message=message,
            path=clean(path) if path else None,
            severity=severity,
            code=clean(code, 60) if code else None,
            component=clean(component, 200) if component else None,
            kind=kind_of(message) if kind is None else kind,
        )
        self._put(place, told)

    def _place_for(self, severity: str) -> int | None:
        if len(self._kept) < MAX_ERRORS:
            return len(self._kept)
        return self._warnings_at.pop() if severity == "error" and self._warnings_at else None

    def _put(self, place: int, told: LogError) -> None:
        if told.severity == "warning":
            self._warnings_at.append(place)
        if place == len(self._kept):
            self._kept.append(told)
        else:
            del self._kept[place]
            self._kept.append(told)
            self._warnings_at = [at - (at > place) for at in self._warnings_at]

    @property
    def kept(self) -> tuple[LogError, ...]:
        return tuple(self._kept)
