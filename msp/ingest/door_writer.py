"""The one writer of a web process: commits many posted logs together and answers each after the commit.

Parcels wait in a bounded queue; while one commit runs the next group gathers by itself, so there is no artificial
delay. A group that fails on data is written parcel by parcel, so that only the bad one is refused. If the database is
away all of the group are told so: nothing was acknowledged, and a repeat is harmless whatever had become of the
commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psycopg

from msp.ingest.door_database import Connection, DatabaseAway, DoorConnection
from msp.ingest.storing import BODY_TYPES, COPY_BODIES, Ask, Kept, Parcel, SaveBodies, Step, Storing, storing

log = logging.getLogger(__name__)

MOST_TOGETHER = 500
MOST_BYTES = 8 * 1024 * 1024
#: From this size on bodies are compressed in a thread, so that other requests are not held up.
LARGE = 256 * 1024

Answer = asyncio.Future[tuple[Kept, ...]]


class DoorFull(Exception):
    """The queue is full: the sender must come back later."""


class NotStored(Exception):
    """The database refused the data of this parcel: a fault of ours."""


class Writer:
    """``size`` is how many deliveries may wait; ``after_commit`` is told that there is work for the line."""

    def __init__(
        self,
        database: DoorConnection,
        *,
        size: int,
        now: Callable[[], datetime],
        after_commit: Callable[[], None],
    ) -> None:
        self._database = database
        self._size = size
        self._now = now
        self._after_commit = after_commit
        self._queue: deque[tuple[Parcel, Answer]] = deque()
        self._waiting = 0
        self._ending = False
        self._some = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def keep(self, parcel: Parcel) -> tuple[Kept, ...]:
        """What became of each delivery, once it is durable. Raises DoorFull, DatabaseAway, NotStored.

        All of a parcel or nothing; one that is larger than the whole queue is taken when nothing else waits.
        """
        if not parcel.incoming:
            return ()
        if self._waiting and self._waiting + len(parcel.incoming) > self._size:
            raise DoorFull
        answer: Answer = asyncio.get_running_loop().create_future()
        self._queue.append((parcel, answer))
        self._waiting += len(parcel.incoming)
        self._some.set()
        return await answer

    async def stop(self) -> None:
        """Write what is queued, then end."""
        self._ending = True
        self._some.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._database.close()

    async def _run(self) -> None:
        while self._queue or not self._ending:
            await self._some.wait()
            group = self._gather()
            try:
                await self._write(group)
            finally:
                # cancelled while writing: whoever waits is told, not left
                for _, answer in group:
                    fail(answer, DatabaseAway("the door is closing"))
                self._waiting -= sum(len(parcel.incoming) for parcel, _ in group)
                if not self._queue and not self._ending:
                    self._some.clear()

    def _gather(self) -> list[tuple[Parcel, Answer]]:
        """The oldest that wait, up to the limits; at least one."""
        group: list[tuple[Parcel, Answer]] = []
        number = size = 0
        while self._queue and (not group or (number < MOST_TOGETHER and size < MOST_BYTES)):
            group.append(self._queue.popleft())
            number += len(group[-1][0].incoming)
            size += len(group[-1][0].content)
        return group

    async def _write(self, group: Sequence[tuple[Parcel, Answer]]) -> None:
        """Store a group and answer; never raises but when cancelled."""
        if not group:
            return
        parcels = [parcel for parcel, _ in group]
        try:
            kept = await self._database.run(lambda connection: store_on(connection, parcels, now=self._now()))
        except DatabaseAway as error:
            log.error("the ingest door cannot reach the database: %s", error)
            for _, answer in group:
                fail(answer, error)
        except Exception as error:
            await self._write_apart(group, error)
        else:
            for (_, answer), one in zip(group, kept, strict=True):
                if not answer.done():
                    answer.set_result(one)
            self._after_commit()

    async def _write_apart(self, group: Sequence[tuple[Parcel, Answer]], error: Exception) -> None:
        if len(group) == 1:
            log.error("the ingest door could not store a delivery", exc_info=error)
            fail(group[0][1], NotStored(type(error).__name__))
            return
        for one in group:
            await self._write([one])


def fail(answer: Answer, error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # the sender may have gone: then nobody reads it, and that is no fault


async def store_on(connection: Connection, parcels: Sequence[Parcel], *, now: datetime) -> tuple[tuple[Kept, ...], ...]:
    """Run the steps of storing in one transaction on this connection."""
    steps = storing(parcels, now=now)
    async with connection.transaction(), connection.cursor() as cursor:
        return await run_steps(cursor, steps)


async def run_steps(cursor: psycopg.AsyncCursor[Any], steps: Storing) -> tuple[tuple[Kept, ...], ...]:
    answer: list[Any] | None = None
    while True:
        try:
            step = steps.send(answer)  # type: ignore[arg-type]  # a generator is started by None
        except StopIteration as end:
            kept: tuple[tuple[Kept, ...], ...] = end.value
            return kept
        answer = await run_step(cursor, step)


async def run_step(cursor: psycopg.AsyncCursor[Any], step: Step) -> list[Any]:
    if isinstance(step, Ask):
        await cursor.execute(step.sql, step.values)
        return list(await cursor.fetchall())
    rows = await compressed_rows(step)
    async with cursor.copy(COPY_BODIES) as copy:
        copy.set_types(BODY_TYPES)
        for row in rows:
            await copy.write_row(row)
    return []


async def compressed_rows(step: SaveBodies) -> list[tuple[Any, ...]]:
    return step.rows() if step.size < LARGE else await asyncio.to_thread(step.rows)
