"""Kills what runs, at random: workers, web server and scheduler of the product, its Redis, and the ticket system.

Used by the chaos journey. Everything killed is started again, at once or a moment later; while it rages each part dies
at least once, and the last to die is Redis: the workers have to find back to it by themselves.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from launch.server import Server
from tests.desks.running import RealDesk
from tests.journeys.running_product import RunningProduct

#: Seconds between two kills, and those for which something stays dead.
BETWEEN, DEAD = (0.0, 2.0), (0.0, 2.0)
#: These are killed in the midst of their work, the first twice as often: they are what may double a ticket.
AT_WORK = ("delivery", "desk", "stall")
#: How long a worker that was just started may take until it works.
GETTING_READY = 20.0


class Chaos:
    """What runs, and the thread that kills it. ``done`` counts what was delivered; None when nothing waits for it."""

    def __init__(
        self,
        product: RunningProduct,
        redis: Server,
        desk: RealDesk,
        *,
        chance: random.Random,
        done: Callable[[], int | None],
    ) -> None:
        self.product, self.redis, self.desk, self.chance, self.done = product, redis, desk, chance, done
        self.kills: Counter[str] = Counter()
        self.means: dict[str, Callable[[], None]] = {
            "web": lambda: self._process("web"),
            "line": lambda: self._process("line"),
            "delivery": lambda: self._process("delivery"),
            "polling": lambda: self._process("polling"),
            "beat": lambda: self._process("beat"),
            "desk": self._desk,
            "stall": self._stall,
            "redis": self._redis,
        }
        self._over = threading.Event()
        self._error: BaseException | None = None

    @contextmanager
    def raging(self) -> Iterator[None]:
        self._over.clear()
        thread = threading.Thread(target=self._rage)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        if self._error is not None:
            raise self._error

    def _rage(self) -> None:
        try:
            self._kill_in_turn()
            self._kill("redis")
        except BaseException as error:
            self._error = error
        finally:
            connection.close()

    def _kill_in_turn(self) -> None:
        deck: list[str] = []
        while deck or not self._over.is_set():
            deck = deck or self.chance.sample([*self.means, AT_WORK[0]], k=len(self.means) + 1)
            name = deck.pop()
            if name in AT_WORK:
                self._await_work()
            time.sleep(self.chance.uniform(*BETWEEN))
            self._kill(name)

    def _await_work(self) -> None:
        """Until something more was delivered, or nothing is to be."""
        before, deadline = self.done(), time.monotonic() + GETTING_READY
        while before is not None and self.done() == before and time.monotonic() < deadline:
            time.sleep(0.1)

    def _kill(self, name: str) -> None:
        self.means[name]()
        self.kills[name] += 1

    def _pause(self) -> None:
        time.sleep(self.chance.uniform(*DEAD))

    def _process(self, name: str) -> None:
        self.product.kill(name)
        self._pause()
        self.product.start(name)

    def _redis(self) -> None:
        self.redis.process.kill()
        self.redis.process.wait()
        self._pause()
        self.redis = self.redis.restart()

    def _desk(self) -> None:
        self.desk.kill()
        self._pause()
        self.desk.start()

    def _stall(self) -> None:
        """The worker dies while the desk stands still: what it had asked for is done when nobody waits for it."""
        self.desk.freeze()
        self._pause()
        self.product.kill("delivery")
        self._pause()
        self.desk.thaw()
        self.product.start("delivery")
