"""How several processes work on one invoice run at a time: each takes a share, and who decides about it works alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db import connection

T = TypeVar("T")
#: Names what the lock is on; the second number is the run.
RUN_LOCK = 0x72756E


@dataclass(frozen=True)
class Share:
    """The ``index``-th of ``of`` processes, counted from 0. Raises ValueError if there is no such one."""

    index: int
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.of:
            raise ValueError(f"there is no share {self.index} of {self.of}")

    @property
    def is_first(self) -> bool:
        return self.index == 0

    def of_all(self, things: Sequence[T]) -> Sequence[T]:
        """Every ``of``-th of the things: they are alike, so the shares are as large."""
        return things[self.index :: self.of]


WHOLE = Share(0, 1)


def hold_run(run_id: int, *, alone: bool) -> None:
    """Until the transaction ends: ``alone`` for who decides about a document, otherwise beside the other shares."""
    function = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [RUN_LOCK, run_id % 2**31])
