"""A process that dies comes back after a growing pause, and not for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launch.failure import LaunchError
from launch.processes import read_notes, read_running
from launch.supervision import Kept, end_all, keep_program, pause_after, tend

FOREVER = [sys.executable, "-c", "import time; print('hello', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('hello', flush=True); time.sleep(600)",
]


def dead() -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    return process


def nothing(process: subprocess.Popen[bytes]) -> None:
    assert process.returncode is not None


def ignore(text: str) -> None:
    assert text.startswith("web ended by itself")


def keep_dying() -> tuple[Kept, list[float]]:
    starts: list[float] = []

    def begin() -> subprocess.Popen[bytes]:
        starts.append(1)
        return dead()

    return Kept(name="web", begin=begin, end=nothing, process=dead()), starts


def test_it_is_started_again_when_the_pause_is_over() -> None:
    kept, starts = keep_dying()
    said: list[str] = []
    tend([kept], now=100.0, say=said.append)
    tend([kept], now=100.4, say=said.append)
    assert starts == []
    tend([kept], now=100.5, say=said.append)
    assert starts == [1]
    assert said == ["web ended by itself (exit code 3); starting it again in 0.5 s"]


def test_pauses_grow() -> None:
    assert [pause_after(deaths) for deaths in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]


def test_the_fifth_death_within_a_minute_ends_the_run() -> None:
    kept, starts = keep_dying()
    with pytest.raises(LaunchError, match="web ended 5 times within a minute"):
        for tenths in range(1000):
            tend([kept], now=tenths / 10, say=ignore)
    assert len(starts) == 4


def test_deaths_far_apart_are_forgiven() -> None:
    kept, starts = keep_dying()
    for minute in range(20):
        tend([kept], now=minute * 61.0, say=ignore)
        tend([kept], now=minute * 61.0 + 1, say=ignore)
    assert len(starts) == 20


def keep(tmp_path: Path, *, command: list[str], hurry: threading.Event) -> Kept:
    kept = keep_program(
        "web", command=command, environment={}, folder=tmp_path, notes=tmp_path, log=tmp_path / "web.log", hurry=hurry
    )
    wait_for(lambda: (tmp_path / "web.log").exists())
    return kept


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_program_writes_its_log_and_ends_when_asked(tmp_path: Path) -> None:
    kept = keep(tmp_path, command=FOREVER, hurry=threading.Event())
    assert [note.pid for note in read_notes(tmp_path)] == [kept.process.pid]
    end_all([[kept]])
    assert read_running(kept.process.pid) is None
    assert read_notes(tmp_path) == []
    assert (tmp_path / "web.log").read_text() == "hello\n"


def test_in_a_hurry_a_stubborn_program_is_killed(tmp_path: Path) -> None:
    hurry = threading.Event()
    kept = keep(tmp_path, command=STUBBORN, hurry=hurry)
    hurry.set()
    started = time.monotonic()
    end_all([[kept]])
    assert time.monotonic() - started < 20  # without the hurry it is given 25
    assert read_running(kept.process.pid) is None


def test_groups_end_one_after_the_other() -> None:
    ended: list[str] = []

    def kept(name: str) -> Kept:
        return Kept(name=name, begin=dead, end=lambda process: ended.append(name), process=dead())

    end_all([[kept("web")], [kept("beat")], [], [kept("postgres")]])
    assert ended == ["web", "beat", "postgres"]
