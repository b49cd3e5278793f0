"""Remembers which processes were started, so that a launcher killed by ``kill -9`` leaves nothing running for ever.

Every child is started in a session of its own and noted with its process id and start time. The next start ends what
is left of such a session; a process id that was given to somebody else meanwhile has another start time and is spared.
Times are clock ticks since boot as Linux counts them in ``/proc``.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from launch.failure import LaunchError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Note:
    """One started process: ``started`` in ticks since the boot called ``boot``; ``stop_signal`` asks it to end well."""

    name: str
    pid: int
    started: int
    boot: str
    stop_signal: int = signal.SIGTERM


@dataclass(frozen=True)
class Running:
    """A process as ``/proc`` shows it."""

    pid: int
    session: int
    started: int


def read_running(pid: int) -> Running | None:
    """None when there is no such process, or only its remains (a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may itself hold spaces and brackets
    if fields[0] in ("Z", "X"):
        return None
    return Running(pid=pid, session=int(fields[3]), started=int(fields[19]))


def all_running() -> list[Running]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [running for running in map(read_running, pids) if running]


def boot_id() -> str:
    try:
        return BOOT_ID.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def write_note(folder: Path, *, name: str, pid: int, stop_signal: int = signal.SIGTERM) -> None:
    """Note a child that was just started as leader of its own session."""
    running = read_running(pid)
    if running is None:
        return
    note = Note(name=name, pid=pid, started=running.started, boot=boot_id(), stop_signal=stop_signal)
    half = folder / f"{name}.new"
    half.write_text(json.dumps(asdict(note)), encoding="utf-8")
    half.replace(folder / f"{name}.json")  # in one step: a reader who found half a note would throw it away


def remove_note(folder: Path, *, name: str) -> None:
    (folder / f"{name}.json").unlink(missing_ok=True)


def read_notes(folder: Path) -> list[Note]:
    notes = []
    for path in sorted(folder.glob("*.json")):
        try:
            notes.append(Note(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            path.unlink(missing_ok=True)  # cut short by a crash: says nothing
    return notes


def left_of(note: Note, *, running: Iterable[Running]) -> list[Running]:
    """What is still alive of the noted process's session; empty when its process id now belongs to somebody else."""
    if note.boot != boot_id():
        return []
    members = [each for each in running if each.session == note.pid]
    if any(each.pid == note.pid and each.started != note.started for each in members):
        return []
    return [each for each in members if each.started >= note.started]


def end_leftovers(folder: Path, *, patience_seconds: float = 20.0) -> list[str]:
    """End what an earlier launcher left running; returns the names. Raises LaunchError when something will not end."""
    ended = []
    for note in sorted(read_notes(folder), key=stopping_order):
        if left_of(note, running=all_running()):
            end_session(note, patience_seconds=patience_seconds)
            ended.append(note.name)
        remove_note(folder, name=note.name)
    return ended


def stopping_order(note: Note) -> tuple[int, str]:
    """Those who use the servers first, PostgreSQL last."""
    return ({"redis": 1, "postgres": 2}.get(note.name, 0), note.name)


def end_session(note: Note, *, patience_seconds: float) -> None:
    """Ask the leader to end, kill whatever of its session is left after the patience."""
    left = left_of(note, running=all_running())
    leader = [member for member in left if member.pid == note.pid]
    for member in leader or left:
        send(member.pid, note.stop_signal if leader else signal.SIGTERM)
    if wait_until_gone(note, seconds=patience_seconds):
        return
    for member in left_of(note, running=all_running()):
        send(member.pid, signal.SIGKILL)
    if not wait_until_gone(note, seconds=5):
        raise LaunchError(f"process {note.pid} ({note.name}) of an earlier start does not end: end it by hand.")


def wait_until_gone(note: Note, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while left_of(note, running=all_running()):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise LaunchError(f"process {pid} of an earlier start belongs to another user: end it by hand.") from error
