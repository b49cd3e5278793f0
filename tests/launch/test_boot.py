"""The whole of ``make run``, started for real: it serves, stops without remains, and starts again after kill -9."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.bootstrap import CHECKOUT
from launch.places import Places
from launch.processes import Note, all_running, end_leftovers, left_of, read_notes

PROCESSES = {"web", "mail", "beat", "worker-line", "worker-delivery", "worker-polling", "redis", "postgres"}
AT_WORK = {
    "worker-line": " ready.",
    "worker-delivery": " ready.",
    "worker-polling": " ready.",
    "mail": "Mail is taken",
    "beat": "beat: Starting",
}
START_SECONDS = 120
NOT_OURS = ("DATABASE_URL", "REDIS_URL", "PORT", "HOST", "DEMO")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class Launcher:
    """One ``make run`` without the bootstrap, on a data folder of its own and any free port."""

    def __init__(self, data: Path, *, output: Path) -> None:
        self.places = Places(data)
        self.output = output
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in NOT_OURS and not name.startswith("BACKLEDGER_")
        }
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from launch.run import run; raise SystemExit(run())"],
                cwd=CHECKOUT,
                env={**environment, "BACKLEDGER_DATA_DIR": str(data), "PORT": "0"},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def address(self) -> str:
        """Waits until it names its address, which it does once it is healthy."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"^Backledger: (http://\S+)$", self.said(), re.MULTILINE)
            if found and "Ctrl-C stops" in self.said():
                return found[1]
            time.sleep(0.2)
        pytest.fail(f"it did not start:\n{self.said()}")

    def wait_for_log(self, name: str, *, word: str) -> None:
        log = self.places.logs / f"{name}.log"
        deadline = time.monotonic() + START_SECONDS
        while not (log.exists() and word in log.read_text()):
            assert time.monotonic() < deadline, f"{name} is not at work:\n{self.said()}"
            time.sleep(0.2)

    def notes(self) -> list[Note]:
        return read_notes(self.places.processes)


@pytest.fixture
def data(open_folder: Path) -> Iterator[Path]:
    folder = open_folder / "a data folder"
    yield folder
    end_leftovers(Places(folder).processes)


def still_running(notes: list[Note]) -> list[str]:
    running = all_running()
    return [note.name for note in notes if left_of(note, running=running)]


def health(address: str) -> int:
    """The status, or 0 when no answer comes in time: while PostgreSQL is away the product waits for it for a while."""
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=10) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_it_serves_and_stops_and_starts_again(data: Path, tmp_path: Path) -> None:
    first = Launcher(data, output=tmp_path / "first.txt")
    assert health(first.address()) == 200
    for name, word in AT_WORK.items():
        first.wait_for_log(name, word=word)
    notes = first.notes()
    assert {note.name for note in notes} == PROCESSES
    assert "First login (shown this once): " in first.said()

    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(90) == 0
    assert still_running(notes) == []
    assert first.notes() == []
    assert "ended by itself" not in first.said()

    second = Launcher(data, output=tmp_path / "second.txt")
    assert health(second.address()) == 200
    assert "First login" not in second.said()
    left = second.notes()
    second.process.kill()
    second.process.wait()
    assert {"postgres", "redis"} <= set(still_running(left))

    third = Launcher(data, output=tmp_path / "third.txt")
    assert health(third.address()) == 200
    assert "Ended what an earlier start left running" in third.said()
    assert still_running(left) == []

    refused = Launcher(data, output=tmp_path / "refused.txt")
    assert refused.process.wait(30) != 0
    assert "it already runs with the data in" in refused.said()

    third.process.send_signal(signal.SIGTERM)
    assert third.process.wait(90) == 0
    assert still_running(third.notes()) == []


@pytest.mark.timeout(600)
def test_a_process_that_dies_is_started_again(data: Path, tmp_path: Path) -> None:
    launcher = Launcher(data, output=tmp_path / "output.txt")
    address = launcher.address()
    for name in ("redis", "worker-line", "postgres"):
        [victim] = [note for note in launcher.notes() if note.name == name]
        os.kill(victim.pid, signal.SIGKILL)
        wait_for_another(launcher, victim=victim)
    wait_until_healthy(address)
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.process.wait(90) == 0


def wait_until_healthy(address: str) -> None:
    """Connections to the PostgreSQL that died may each fail once."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if health(address) == 200:
            return
        time.sleep(0.2)
    pytest.fail("it did not get well again")


def wait_for_another(launcher: Launcher, *, victim: Note) -> None:
    """Seconds when the machine is idle, more on a busy disk."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(note.name == victim.name and note.pid != victim.pid for note in launcher.notes()):
            return
        time.sleep(0.1)
    pytest.fail(f"{victim.name} did not come back:\n{launcher.said()}")
