"""Waking the worker: often enough, never too often, and never in the door's way."""

from __future__ import annotations

import asyncio
import threading
import time

from msp.ingest.door_waking import Waker


class Woken:
    """Counts, and may hang or fail as Redis does."""

    def __init__(self, *, hang: threading.Event | None = None, error: Exception | None = None) -> None:
        self.at: list[float] = []
        self._hang = hang
        self._error = error

    def __call__(self) -> None:
        self.at.append(time.monotonic())
        if self._hang is not None:
            self._hang.wait(10)
        if self._error is not None:
            raise self._error


async def note(waker: Waker, *, times: int, apart: float) -> None:
    for _ in range(times):
        waker.note()
        await asyncio.sleep(apart)


def test_a_burst_wakes_at_once_now_and_then_and_once_after_its_end() -> None:
    woken = Woken()

    async def burst() -> tuple[float, float]:
        waker = Waker(woken, every=0.1)
        began = time.monotonic()
        await note(waker, times=25, apart=0.01)
        last = time.monotonic()
        await asyncio.sleep(0.2)
        waker.close()
        assert woken.at[0] < last
        return began, last

    first_note, last_note = asyncio.run(burst())
    assert 2 <= len(woken.at) <= 3 + (last_note - first_note) / 0.1
    assert all(later - earlier >= 0.09 for earlier, later in zip(woken.at, woken.at[1:], strict=False))
    assert woken.at[-1] >= last_note - 0.02


def test_a_wake_that_hangs_holds_up_nothing_and_piles_nothing_up() -> None:
    hang = threading.Event()
    woken = Woken(hang=hang)

    async def burst() -> None:
        waker = Waker(woken, every=0.02)
        await note(waker, times=20, apart=0.01)
        assert len(woken.at) == 1
        hang.set()
        await asyncio.sleep(0.1)
        assert len(woken.at) == 2
        waker.close()

    asyncio.run(burst())


def test_a_wake_that_fails_is_tried_again_at_the_next_commit() -> None:
    woken = Woken(error=ConnectionError("no Redis"))

    async def burst() -> None:
        waker = Waker(woken, every=0.01)
        await note(waker, times=2, apart=0.05)
        waker.close()

    asyncio.run(burst())
    assert len(woken.at) == 2


def test_without_anybody_to_wake_nothing_happens() -> None:
    async def burst() -> None:
        waker = Waker(None)
        waker.note()
        waker.close()

    asyncio.run(burst())
