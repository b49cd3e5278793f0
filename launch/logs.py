"""Writes what the product's processes say to one file each, and repeats what went wrong on the terminal.

A log record begins with a line that names a level; lines without one (a traceback) belong to the record before.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from launch.server import Process

MOST_BYTES = 10_000_000
LEVEL = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
HEAD_LENGTH = 80  # characters of a line in which a level counts as the record's own


def follow(process: Process, *, name: str, log: Path) -> None:
    """Read the process's output to its end, in a thread that does not keep the launcher alive."""
    threading.Thread(target=copy_lines, args=(process, name, log), daemon=True).start()


def copy_lines(process: Process, name: str, log: Path) -> None:
    if process.stdout is None:
        return
    shows = ErrorFilter()
    for raw in process.stdout:
        line = raw.decode(errors="replace").rstrip("\n")
        append(log, line)
        if shows(line):
            say(f"[{name}] {line}")


class ErrorFilter:
    """Says of each line whether it belongs to an error: a record of level ERROR or CRITICAL, or a bare traceback."""

    def __init__(self) -> None:
        self.inside_error = False

    def __call__(self, line: str) -> bool:
        level = LEVEL.search(line[:HEAD_LENGTH])
        if level:
            self.inside_error = level[1] in ("ERROR", "CRITICAL")
        elif line.startswith("Traceback (most recent call last)"):
            self.inside_error = True
        elif line.startswith("worker: "):  # what Celery says of itself bears no level
            self.inside_error = False
        return self.inside_error


def append(log: Path, line: str) -> None:
    """Add a line; the file is put aside as ``.1`` when it has grown too long."""
    rotate(log)
    with log.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > MOST_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))


def say(text: str, *, write: Callable[[str], object] = sys.stdout.write) -> None:
    """One whole line to the terminal; threads do not cut into each other's."""
    try:
        write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # whoever read along has left; the log files still have it
