"""A job's history as it is stored, read only when a rule asks, and then without making sixty values a job.

Evaluating fills ``JobFacts.history`` with it. The text is read at the first look; each point keeps its stored row and
turns seconds into moments where they are asked for: hundreds of jobs are evaluated together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import cast, overload

from alerts.facts import Outcome, RunPoint
from msp.backups.points import Point, read_points


class StoredPoint(RunPoint):
    """A ``RunPoint`` over a stored row."""

    __slots__ = ("_row",)
    _row: Point

    def __init__(self, row: Point) -> None:
        object.__setattr__(self, "_row", row)

    @property
    def ended_at(self) -> datetime:
        return datetime.fromtimestamp(self._row.ended, UTC)

    @property
    def started_at(self) -> datetime | None:
        return None if self._row.started is None else datetime.fromtimestamp(self._row.started, UTC)

    @property
    def outcome(self) -> Outcome:
        return cast(Outcome, self._row.outcome)

    @property
    def good(self) -> bool:
        return self._row.good

    @property
    def protected_bytes(self) -> int | None:
        return self._row.protected_bytes

    @property
    def transferred_bytes(self) -> int | None:
        return self._row.transferred_bytes

    @property
    def changed_bytes(self) -> int | None:
        return self._row.changed_bytes

    @property
    def duration_seconds(self) -> int | None:
        return self._row.duration_seconds

    @property
    def error(self) -> str:
        return self._row.error


class StoredHistory(Sequence[RunPoint]):
    """The points of one job, oldest first; ``text`` is their JSON, None for a job without any."""

    __slots__ = ("_points", "_text")

    def __init__(self, text: str | None) -> None:
        self._text = text
        self._points: tuple[RunPoint, ...] | None = None

    @property
    def points(self) -> tuple[RunPoint, ...]:
        if self._points is None:
            self._points = tuple(map(StoredPoint, read_points(self._text)))
        return self._points

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[RunPoint]:
        return iter(self.points)

    def __reversed__(self) -> Iterator[RunPoint]:
        return reversed(self.points)

    @overload
    def __getitem__(self, index: int) -> RunPoint: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RunPoint]: ...
    def __getitem__(self, index: int | slice) -> RunPoint | Sequence[RunPoint]:
        return self.points[index]
