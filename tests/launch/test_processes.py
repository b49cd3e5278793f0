"""What an earlier start left running is ended; a process that merely has the same number is spared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from launch.processes import (
    Note,
    Running,
    all_running,
    boot_id,
    end_leftovers,
    left_of,
    read_notes,
    read_running,
    stopping_order,
    write_note,
)

SLEEPER = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)",
]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(child.pid, flush=True); time.sleep(600)",
]


class Started:
    """Processes of a test, each leader of its own session; all are killed in the end."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.first_line = b""

    def __call__(self, command: list[str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        self.processes.append(process)
        assert process.stdout is not None
        self.first_line = process.stdout.readline()
        return process

    def kill(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def start() -> Iterator[Started]:
    started = Started()
    yield started
    started.kill()


def test_a_leftover_is_asked_to_end(start: Started, tmp_path: Path) -> None:
    process = start(SLEEPER)
    write_note(tmp_path, name="web", pid=process.pid)
    assert end_leftovers(tmp_path) == ["web"]
    assert process.wait(5) == -signal.SIGTERM
    assert read_notes(tmp_path) == []


def test_a_stubborn_leftover_is_killed(start: Started, tmp_path: Path) -> None:
    process = start(STUBBORN)
    write_note(tmp_path, name="web", pid=process.pid)
    assert end_leftovers(tmp_path, patience_seconds=0.3) == ["web"]
    assert process.wait(5) == -signal.SIGKILL


def test_children_of_a_killed_leader_are_ended(start: Started, tmp_path: Path) -> None:
    leader = start(PARENT)
    child = int(start.first_line)
    write_note(tmp_path, name="web", pid=leader.pid)
    leader.kill()
    leader.wait()
    assert read_running(child) is not None
    assert end_leftovers(tmp_path, patience_seconds=5) == ["web"]
    assert read_running(child) is None


def test_a_process_that_only_has_the_number_is_spared(start: Started, tmp_path: Path) -> None:
    process = start(SLEEPER)
    write_note(tmp_path, name="web", pid=process.pid)
    [note] = read_notes(tmp_path)
    text = (tmp_path / "web.json").read_text()
    (tmp_path / "web.json").write_text(text.replace(str(note.started), str(note.started - 1)))
    assert end_leftovers(tmp_path) == []
    assert process.poll() is None
    assert read_notes(tmp_path) == []


def test_notes_of_an_earlier_boot_say_nothing() -> None:
    note = Note(name="web", pid=7, started=100, boot=boot_id())
    running = [Running(pid=7, session=7, started=100)]
    assert left_of(note, running=running) == running
    assert left_of(replace(note, boot="another"), running=running) == []


def test_a_note_cut_short_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "web.json").write_text('{"name": "we')
    assert end_leftovers(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_note_is_never_read_half_written(tmp_path: Path) -> None:
    """Half a note would be thrown away by its reader, and with it the knowledge of a running process."""
    write_note(tmp_path, name="web", pid=os.getpid())
    done = threading.Event()

    def rewrite() -> None:
        for _ in range(2000):
            write_note(tmp_path, name="web", pid=os.getpid())
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    counts = set()
    while not done.is_set():
        counts.add(len(read_notes(tmp_path)))
    writer.join()
    assert counts == {1}


def test_servers_end_after_their_users() -> None:
    names = ["postgres", "redis", "web", "beat"]
    notes = [Note(name=name, pid=1, started=1, boot="") for name in names]
    assert [note.name for note in sorted(notes, key=stopping_order)] == ["beat", "web", "redis", "postgres"]


def test_this_process_is_seen() -> None:
    own = read_running(os.getpid())
    assert own in all_running()
    assert own is not None
    assert own.started > 0
