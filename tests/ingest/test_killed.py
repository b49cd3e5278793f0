"""A web process killed between taking a log and committing it: its sender got no answer, sends again, and it is one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from django.db import connection

from msp.ingest.models import Body, Receipt, ReceiptQueue
from tests.ingest.test_door import LOGS, nobody_can_write
from tests.world import World, make_world

pytestmark = pytest.mark.slow


@pytest.fixture
def world(transactional_db: None) -> World:
    return make_world()


class WebProcess:
    """The product's own web process, on the test database."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "uvicorn", "msp.asgi:application", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--log-level", "warning"], env={**os.environ, "DATABASE_URL": database_url()},
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                assert requests.get(f"{self.url}/api/v1/logs", timeout=5).status_code == 405
            except requests.ConnectionError:
                assert self.process.poll() is None, "the web process ended"
                time.sleep(0.1)
            else:
                return
        raise AssertionError("the web process did not start")

    def post(self, body: bytes, *, key: str, name: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": name}
        return requests.post(f"{self.url}{LOGS}", data=body, headers=headers, timeout=30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)


def database_url() -> str:
    """The address of the database that this test runs on."""
    settings = connection.settings_dict
    name, word = quote(str(settings["USER"]), safe=""), quote(str(settings["PASSWORD"] or ""), safe="")
    host = quote(str(settings["HOST"]), safe="")
    return f"postgres://{name}{':' + word if word else ''}@{host}:{settings['PORT']}/{settings['NAME']}"


@pytest.fixture
def web() -> Iterator[WebProcess]:
    running = WebProcess()
    yield running
    if running.process.poll() is None:
        running.kill()


def test_a_kill_before_the_commit_acknowledges_nothing_and_the_log_sent_again_is_one(
    world: World, web: WebProcess
) -> None:
    assert web.post(b"before", key=world.server_key, name="before").status_code == 202
    with nobody_can_write(world), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(web.post, b"in hand", key=world.server_key, name="in hand")
        time.sleep(1)
        assert not answer.done()
        web.kill()
        with pytest.raises(requests.ConnectionError):
            answer.result()
    assert Receipt.objects.of(world.tenant).count() == 1
    second = WebProcess()
    try:
        again = second.post(b"in hand", key=world.server_key, name="in hand")
        before = second.post(b"before", key=world.server_key, name="before")
    finally:
        second.kill()
    assert (again.status_code, before.status_code) == (202, 200)
    assert Receipt.objects.of(world.tenant).count() == ReceiptQueue.objects.of(world.tenant).count() == 2
    assert Body.objects.of(world.tenant).count() == 2
