"""Keeps the processes of one ``make run`` alive, and ends them in order.

Used by ``launch.run``. A process that dies is started again after a growing pause; one that dies five times within a
minute ends the run with a sentence, because starting it a sixth time would help nobody. Times are monotonic seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from launch.failure import LaunchError
from launch.logs import follow
from launch.processes import remove_note, write_note
from launch.server import Process, Server

TOO_MANY_DEATHS = 5
WITHIN_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.5
POLL_SECONDS = 0.1


@dataclass
class Kept:
    """One process that is kept alive: how to start and end it, when it died, when it is to be started again."""

    name: str
    begin: Callable[[], Process]
    end: Callable[[Process], None]
    process: Process
    deaths: list[float] = field(default_factory=list)
    due: float | None = None


def keep_server(server: Server) -> Kept:
    """A private server, already running; it comes back on the same port."""

    def begin() -> Process:
        return server.restart().process

    def end(process: Process) -> None:
        server.stop_process(process)

    return Kept(name=server.name, begin=begin, end=end, process=server.process)


def keep_program(
    name: str, *, command: Sequence[str], environment: Mapping[str, str], folder: Path, notes: Path, log: Path,
    hurry: threading.Event,
) -> Kept:  # fmt: skip
    """A program of the product, started now. ``hurry`` cuts its time for a graceful end short."""

    def begin() -> Process:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        write_note(notes, name=name, pid=process.pid)
        follow(process, name=name, log=log)
        return process

    def end(process: Process) -> None:
        end_program(process, hurry=hurry)
        remove_note(notes, name=name)

    return Kept(name=name, begin=begin, end=end, process=begin())


def end_program(process: Process, *, hurry: threading.Event, patience_seconds: float = 25.0) -> None:
    """Ask it to finish its work; after the patience, or in a hurry, kill it and whatever it started."""
    deadline = time.monotonic() + patience_seconds
    if process.poll() is None:
        process.terminate()
    while process.poll() is None and time.monotonic() < deadline and not hurry.is_set():
        time.sleep(POLL_SECONDS)
    with suppress(ProcessLookupError):  # nobody of its session is left: the usual case
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def tend(kept: Sequence[Kept], *, now: float, say: Callable[[str], None]) -> None:
    """One look at every process: notice a death, start again what is due. Raises LaunchError when it is hopeless."""
    for each in kept:
        if each.due is None and each.process.poll() is not None:
            notice_death(each, now=now, say=say)
        if each.due is not None and now >= each.due:
            each.due = None
            each.process = each.begin()


def notice_death(each: Kept, *, now: float, say: Callable[[str], None]) -> None:
    each.deaths = [death for death in each.deaths if now - death < WITHIN_SECONDS] + [now]
    if len(each.deaths) >= TOO_MANY_DEATHS:
        raise LaunchError(
            f"{each.name} ended {TOO_MANY_DEATHS} times within a minute ({ending(each.process)}), so everything is "
            "stopped. Its log says why."
        )
    pause = pause_after(len(each.deaths))
    say(f"{each.name} ended by itself ({ending(each.process)}); starting it again in {pause:g} s")
    each.due = now + pause


def pause_after(deaths: int) -> float:
    """Seconds to wait before the next start: 0.5, 1, 2, 4 after the first, second, third and fourth death."""
    return FIRST_PAUSE_SECONDS * 2.0 ** (deaths - 1)


def ending(process: Process) -> str:
    code = process.returncode
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def end_all(groups: Sequence[Sequence[Kept]]) -> None:
    """End group after group, the members of one group side by side. One that fails to end does not stop the others."""
    for group in groups:
        threads = [threading.Thread(target=each.end, args=(each.process,)) for each in group]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
