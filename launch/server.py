"""What the private PostgreSQL and Redis have in common: a child process, an address, a way to start it again.

``Server`` is what ``launch.run`` supervises and what ``launch.test`` stops in the end.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from launch.failure import LaunchError
from launch.processes import remove_note, write_note

Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Account:
    """The user that a server runs as when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Server:
    """A running private server: ``engine`` for people ("PostgreSQL 18.6"), ``url`` for programs.

    ``restart`` starts it again on the same port. ``notes`` is the folder in which its process is noted.
    """

    name: str
    engine: str
    url: str
    process: Process
    stop_signal: int
    notes: Path
    restart: Callable[[], Server]

    def stop(self) -> None:
        self.stop_process(self.process)

    def stop_process(self, process: Process, *, patience_seconds: float = 30.0) -> None:
        """Ask the process (this one, or one that was started again later) to end; insist after the patience."""
        if process.poll() is None:
            process.send_signal(self.stop_signal)
            try:
                process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        remove_note(self.notes, name=self.name)


def start_detached(
    command: Sequence[str | Path], *, log: Path, account: Account | None, folder: Path, stdin: bytes = b""
) -> Process:
    """Start a server in a session of its own, so that Ctrl-C at the terminal does not reach it before its users."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=server_environment(),
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,  # none of root's groups
        )
    feed(process, stdin)
    return process


def feed(process: Process, data: bytes) -> None:
    """Hand over what is read from standard input (passwords, which a command line would show to everybody)."""
    if process.stdin is None:
        return
    try:
        process.stdin.write(data)
        process.stdin.close()
    except BrokenPipeError:
        return  # it ended at once; whoever waits for it reads its log


def server_environment() -> dict[str, str]:
    """A clean environment: no PG* or locale variable of the caller changes what the server does."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


def remember(process: Process, *, name: str, notes: Path, stop_signal: int = signal.SIGTERM) -> None:
    write_note(notes, name=name, pid=process.pid, stop_signal=stop_signal)


def last_lines(log: Path, *, since: int = 0, count: int = 8) -> str:
    """The end of what was written to the log after byte ``since``."""
    with log.open("rb") as file:
        file.seek(since)
        lines = file.read().decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-count:])


def size_of(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def gave_up(name: str, log: Path, *, since: int) -> LaunchError:
    return LaunchError(f"{name} did not start. The end of {log}:\n{last_lines(log, since=since)}")
