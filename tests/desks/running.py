"""What real ticket systems have in common in tests: a folder, a process on a port, and people who work there.

A desk keeps its data from ``kill`` to ``start``, so that tests can let it die in the middle of their work.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import pytest
import requests

from launch.desks import python_of
from launch.ports import is_free

START_SECONDS = 90.0
HOST = "127.0.0.1"
#: Below those that systems give out by themselves.
PORTS = range(12_000, 32_000)


@dataclass(frozen=True)
class Seen:
    """A ticket as a person sees it in a list."""

    id: str
    subject: str
    status: str


class RealDesk(ABC):
    """Use as a context manager. ``stored`` is the configuration of its gateway as a person would store it."""

    name: ClassVar[str]  # of the gateway, and of the environment it is installed in
    wrong_credentials: ClassVar[Mapping[str, str]]

    def __init__(self, port: int = 0) -> None:
        self.python = self.installed()
        self.port = port or port_of_its_own()
        self.folder = Path(tempfile.mkdtemp(prefix=f"backledger-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None

    def installed(self) -> Path:
        """The Python that runs it; skips the test where it is not installed."""
        return require(self.name)

    @property
    @abstractmethod
    def url(self) -> str:
        """The address that a person would type."""

    @property
    @abstractmethod
    def stored(self) -> dict[str, object]:
        """How Backledger's own user reaches it."""

    @abstractmethod
    def prepare(self) -> None:
        """Make its data, before it is first started."""

    @abstractmethod
    def command(self) -> list[str]:
        """What serves it, in the foreground."""

    @abstractmethod
    def close_there(self, ticket_id: str) -> None:
        """A person closes a ticket."""

    @abstractmethod
    def say_there(self, ticket_id: str, text: str) -> None:
        """A person writes on a ticket."""

    @abstractmethod
    def assign_there(self, ticket_id: str) -> None:
        """A person takes a ticket."""

    @abstractmethod
    def delete_there(self, ticket_id: str) -> None:
        """A person deletes a ticket."""

    @abstractmethod
    def tickets(self) -> list[Seen]:
        """Every ticket that is there."""

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    def start(self) -> None:
        """Start it, the first time or again, and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, env=self.environment(), stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{self.name} did not start:\n{self.log()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once; its data stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def freeze(self) -> None:
        """It stands still: connections are taken, nothing is answered until it is thawed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def run(self, *command: str | Path, answer: str = "") -> str:
        """Run one of its own commands to the end."""
        done = subprocess.run(
            [str(part) for part in command], cwd=self.folder, env=self.environment(), input=answer.encode(),
            capture_output=True, timeout=START_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
        return done.stdout.decode()

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def _clear(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return requests.get(self.url, timeout=5, allow_redirects=False).status_code < 500
        except requests.RequestException:
            return False


def port_of_its_own() -> int:
    """A free port that no server started meanwhile is given: a desk is prepared for many seconds before it listens."""
    return next(port for port in iter(lambda: random.choice(PORTS), None) if is_free(HOST, port=port))


def require(name: str) -> Path:
    """The Python of a desk's environment; skips the test where it is not installed, and fails where CI is set."""
    python = python_of(name)
    if python is None:
        told = f"the real {name} is not installed: make test installs it, with a network"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return python


def asked(method: str, url: str, *, headers: Mapping[str, str], body: object = None) -> Any:
    """What a person's program asks of a desk; anything but a success fails the test."""
    answer = requests.request(method, url, headers=dict(headers), json=body, timeout=30)
    assert answer.ok, f"{method} {url}: {answer.status_code} {answer.text[:500]}"
    return answer.json() if answer.content else None
