"""Tells the worker to look now, a few times a second at most, without ever holding up the door.

The last commit of a burst is always followed by a wake. Waking runs in a thread, one at a time; if Redis hangs or is
away nothing piles up, and the scheduler does the same within the minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

log = logging.getLogger(__name__)

#: Seconds between two wakes of one process.
EVERY = 0.2


class Waker:
    """``wake`` may block; None: the scheduler alone looks."""

    def __init__(self, wake: Callable[[], None] | None, *, every: float = EVERY) -> None:
        self._wake = wake
        self._every = every
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wake")
        self._running: Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last = -every

    def note(self) -> None:
        """There is something to look at; called in the event loop."""
        if self._wake is not None and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._last + self._every - loop.time()), self._fire)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _fire(self) -> None:
        self._timer = None
        self._last = asyncio.get_running_loop().time()
        if self._running is not None and not self._running.done():
            self.note()
        elif self._wake is not None:
            self._running = self._thread.submit(self._wake_quietly, self._wake)

    @staticmethod
    def _wake_quietly(wake: Callable[[], None]) -> None:
        try:
            wake()
        except Exception as error:
            log.warning("the worker could not be woken, it looks by itself within the minute: %s", error)
