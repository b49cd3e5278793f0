"""Waking the worker: often enough, never too often, and never in the door's way.

Nothing here asks how quick the machine is: what must come is waited for, and what must not come is counted.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from msp.ingest.door_waking import Waker

#: Seconds after which what must come will not come any more.
PATIENCE = 60


class Woken:
    """Counts, and may hang or fail as Redis does."""

    def __init__(self, *, hang: threading.Event | None = None, error: Exception | None = None) -> None:
        self.at: list[float] = []
        self._hang = hang
        self._error = error

    def __call__(self) -> None:
        self.at.append(time.monotonic())
        if self._hang is not None:
            self._hang.wait(PATIENCE)
        if self._error is not None:
            raise self._error


async def until(condition: Callable[[], bool], *, note: Waker | None = None) -> None:
    """Waits, noting something every hundredth of a second where a waker is given."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            if note is not None:
                note.note()
            await asyncio.sleep(0.01)


async def note(waker: Waker, *, times: int, apart: float) -> None:
    for _ in range(times):
        waker.note()
        await asyncio.sleep(apart)


def test_the_first_of_a_burst_wakes_at_once_and_the_others_wait() -> None:
    woken = Woken()

    async def burst() -> None:
        waker = Waker(woken, every=3600)
        waker.note()
        await until(lambda: len(woken.at) == 1)
        await note(waker, times=10, apart=0.01)
        waker.close()

    asyncio.run(burst())
    assert len(woken.at) == 1


def test_a_burst_wakes_now_and_then_and_once_after_its_end() -> None:
    woken, every = Woken(), 0.1

    async def burst() -> float:
        waker = Waker(woken, every=every)
        began = time.monotonic()
        await until(lambda: len(woken.at) >= 3, note=waker)
        last_note = time.monotonic()
        waker.note()
        await until(lambda: woken.at[-1] >= last_note)
        ended = time.monotonic()
        waker.close()
        return ended - began

    seconds = asyncio.run(burst())
    assert 4 <= len(woken.at) <= 2 + seconds / every


def test_a_wake_that_hangs_holds_up_nothing_and_piles_nothing_up() -> None:
    hang = threading.Event()
    woken = Woken(hang=hang)

    async def burst() -> None:
        waker = Waker(woken, every=0.02)
        waker.note()
        await until(lambda: len(woken.at) == 1)
        await note(waker, times=20, apart=0.01)
        assert len(woken.at) == 1
        hang.set()
        await until(lambda: len(woken.at) >= 2)
        await asyncio.sleep(0.1)
        assert len(woken.at) == 2
        waker.close()

    asyncio.run(burst())


def test_a_wake_that_fails_is_tried_again_at_the_next_commit() -> None:
    woken = Woken(error=ConnectionError("no Redis"))

    async def burst() -> None:
        waker = Waker(woken, every=0.01)
        waker.note()
        await until(lambda: len(woken.at) == 1)
        waker.note()
        await until(lambda: len(woken.at) == 2)
        waker.close()

    asyncio.run(burst())


def test_without_anybody_to_wake_nothing_happens() -> None:
    async def burst() -> None:
        waker = Waker(None)
        waker.note()
        waker.close()

    asyncio.run(burst())
