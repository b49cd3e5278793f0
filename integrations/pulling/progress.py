"""How far a system was read: by the end times of what it did, with a window that is looked at again each time.

Used by every connector. ``until`` is the latest end that was fetched, never later than the other side's own clock;
``seen`` are the keys of what ended in the window before it. So runs that end in the same second, are told late, or
stand on a page that moved are fetched, and each of them once. All times are whole Unix seconds of the other side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

#: What ended so long before the latest end is looked at again.
OVERLAP = timedelta(hours=1)
#: A system that is new to us is read from so far back.
LOOK_BACK = timedelta(days=2)
#: A source that was paused for longer is read from so far back.
LONGEST_BACK = timedelta(days=92)
#: Deliveries of one fetch.
MOST = 200


@dataclass(frozen=True)
class Ended:
    """Something that has ended: ``key`` tells it from all others and, where it may change, from its other states."""

    key: str
    at: int
    row: Any


@dataclass(frozen=True)
class Progress:
    """``since`` is from when on to look, ``until`` and ``seen`` (hashed key: end) what was fetched before."""

    until: int
    seen: Mapping[str, int]
    clock: int

    @property
    def since(self) -> int:
        return self.until - seconds(OVERLAP)

    def news(self, found: Iterable[Ended]) -> list[Ended]:
        """What was not fetched yet, each once, oldest first."""
        fresh = {one.key: one for one in found if one.at >= self.since and hashed(one.key) not in self.seen}
        return sorted(fresh.values(), key=lambda one: (one.at, one.key))

    def after(self, fetched: Iterable[Ended], *, at_least: int = 0) -> dict[str, Any]:
        """The cursor once these are stored, which were the oldest; ``at_least``: all up to there is known."""
        taken = list(fetched)
        latest = max([self.until, at_least, *(one.at for one in taken)])
        until = min(latest, self.clock)
        seen = {**self.seen, **{hashed(one.key): one.at for one in taken}}
        kept = {key: at for key, at in sorted(seen.items()) if at >= until - seconds(OVERLAP)}
        return {"until": until, "seen": kept}


def progress_of(cursor: Mapping[str, Any], *, clock: datetime) -> Progress:
    """From a stored cursor; ``clock`` is the other side's: where it was set back, reading goes back with it."""
    told, seen = cursor.get("until"), cursor.get("seen")
    present = int(clock.timestamp())
    is_known = isinstance(told, int) and not isinstance(told, bool) and told > 0
    until = int(told) if is_known and told is not None else present - seconds(LOOK_BACK - OVERLAP)
    until = max(min(until, present), present - seconds(LONGEST_BACK))
    kept = {str(key): at for key, at in seen.items() if isinstance(at, int)} if isinstance(seen, dict) else {}
    return Progress(until, kept, present)


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:20]


def as_json(value: Any) -> bytes:
    """The same bytes for the same value, whatever the order in which its keys came."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def whole(value: Any) -> int | None:
    """A whole number of seconds or bytes, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 2**60:
        return None
    return int(value)


def moment(at: int) -> datetime | None:
    """UTC of Unix seconds, None where there is no such time."""
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def seconds(span: timedelta) -> int:
    return int(span.total_seconds())
