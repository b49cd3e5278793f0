"""The product as separate processes on the test database: web server with the door, Celery workers, the scheduler.

Used by journeys; the processes can be killed and started again at any moment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from django.db import connection

CHECKOUT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60


class RunningProduct:
    """Use as a context manager inside a test with a transactional database; ``url`` is the web server's base.

    ``names`` are the processes to run; without "beat" the test says itself when to ``look``. ``redis_url`` is a Redis
    other than that of the tests.
    """

    def __init__(self, *, names: Sequence[str] = ("web", "line", "delivery"), redis_url: str = "") -> None:
        self.names = tuple(names)
        self._redis_url = redis_url
        self._folder = tempfile.TemporaryDirectory(prefix="journey-")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        for name in self.names:
            self.start(name)
        try:
            wait_until(self._answers, what="the web server to answer", seconds=READY_SECONDS)
        except AssertionError as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._processes):
            self.kill(name)
        if kind is not None:
            for log in sorted(Path(self._folder.name).glob("*.log")):
                print(f"--- {log.name}", log.read_text(errors="replace")[-3000:], sep="\n")
        self._folder.cleanup()

    def start(self, name: str) -> None:
        log = (Path(self._folder.name) / f"{name}.log").open("ab")
        self._processes[name] = subprocess.Popen(
            self._commands()[name],
            cwd=CHECKOUT,
            env=self._environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def kill(self, name: str) -> None:
        """kill -9, children and all."""
        process = self._processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)

    def post(self, body: bytes, *, key: str, path: str = "/api/v1/logs", **parameters: Any) -> requests.Response:
        return requests.post(
            f"{self.url}{path}",
            data=body,
            params=parameters,
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
        )

    def look(self, *tasks: str) -> None:
        """What the scheduler does: say "look now" (its intervals are too long for a test)."""
        from msp import tasks as known

        for task in tasks or ("process_receipts", "sweep", "deliver"):
            getattr(known, task).apply_async(ignore_result=True)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def _commands(self) -> dict[str, list[str]]:
        worker = [sys.executable, "-m", "celery", "-A", "msp.celery:app", "worker", "-P", "threads", "--without-gossip",
                  "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]  # fmt: skip
        port = self.url.rsplit(":", 1)[1]
        return {
            "web": [sys.executable, "-m", "uvicorn", "msp.asgi:application", "--port", port, "--no-access-log"],
            "line": [*worker, "-Q", "line", "-c", "2", "-n", f"line-{port}@%h"],
            "delivery": [*worker, "-Q", "delivery", "-c", "2", "-n", f"delivery-{port}@%h"],
            "polling": [*worker, "-Q", "polling", "-c", "2", "-n", f"polling-{port}@%h"],
            "beat": [sys.executable, "-m", "celery", "-A", "msp.celery:app", "beat", "--loglevel", "INFO",
                     "-s", str(Path(self._folder.name) / "schedule")],
        }  # fmt: skip

    def _environment(self) -> dict[str, str]:
        settings = connection.settings_dict
        host, port = settings["HOST"] or "127.0.0.1", settings["PORT"] or 5432
        credentials = f"{settings['USER']}:{settings['PASSWORD']}" if settings["PASSWORD"] else settings["USER"]
        return {
            **os.environ,
            "DATABASE_URL": f"postgres://{credentials}@{host}:{port}/{settings['NAME']}",
            "DJANGO_SETTINGS_MODULE": "msp.settings",
            "PYTHONUNBUFFERED": "1",
            **({"REDIS_URL": self._redis_url} if self._redis_url else {}),
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(
    condition: Callable[[], bool], *, what: str, seconds: float = 30, poke: Callable[[], None] | None = None
) -> None:
    """Poll until the condition holds; ``poke`` is called about once a second meanwhile."""
    deadline = time.monotonic() + seconds
    poked = 0.0
    while not condition():
        now = time.monotonic()
        assert now < deadline, f"waited {seconds} s for {what}"
        if poke is not None and now - poked > 1:
            poked = now
            poke()
        time.sleep(0.1)
