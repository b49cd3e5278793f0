"""The mail listener in a thread of the test, on any free port, in front of the test's database."""

from __future__ import annotations

import asyncio
import smtplib
import threading
from concurrent.futures import Future
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from msp.channels.listening import Certificate, Gate, Limits, Listener, Receiving


class RunningListener:
    """Use as a context manager inside a test with a transactional database; ``woken`` counts calls to the worker,
    ``woken_for_answers`` those for mail about tickets.
    """

    host = "127.0.0.1"

    def __init__(self, *, limits: Limits | None = None, certificate: Certificate | None = None) -> None:
        self.woken = 0
        self.woken_for_answers = 0
        self.port = 0
        self._limits = limits or Limits()
        self._certificate = certificate
        self._started: Future[int] = Future()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._started.result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(15)
        assert not self._thread.is_alive()

    def client(self) -> smtplib.SMTP:
        """A real SMTP client, connected."""
        return smtplib.SMTP(self.host, self.port, local_hostname="client.example", timeout=20)

    def send(self, content: bytes, *recipients: str, sender: str = "backup@client.example") -> None:
        with self.client() as client:
            client.sendmail(sender, list(recipients), content)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        receiving = Receiving(
            gate=Gate(self._limits), now=lambda: datetime.now(UTC), wake=self._wake, wake_answers=self._wake_answers
        )
        listener = Listener(
            host=self.host, port=0, name="mx.test", receiving=receiving, certificate=self._certificate
        )  # fmt: skip
        try:
            self._started.set_result(await listener.start())
        except OSError as error:
            self._started.set_exception(error)
            return
        await self._ended.wait()
        await listener.stop()

    def _wake(self) -> None:
        self.woken += 1

    def _wake_answers(self) -> None:
        self.woken_for_answers += 1
