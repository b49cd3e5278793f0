"""How long an incident is put off or kept in hand: the choices of the menus and the moments they mean."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

MORNING = time(8, 0)

SNOOZES: tuple[tuple[str, str], ...] = (
    ("1h", "1 hour"), ("4h", "4 hours"), ("morning", "until tomorrow 08:00"), ("3d", "3 days"), ("7d", "1 week"),
)  # fmt: skip
HOLDS: tuple[tuple[str, str], ...] = (
    ("", "until the problem ends"), ("1d", "1 day"), ("3d", "3 days"), ("7d", "1 week"), ("30d", "30 days"),
)  # fmt: skip

_SPANS = {
    "1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1), "3d": timedelta(days=3),
    "7d": timedelta(days=7), "30d": timedelta(days=30),
}  # fmt: skip


def moment_chosen(choice: str, *, now: datetime, zone: str) -> datetime | None:
    """The moment in UTC that a choice means; None for "until the problem ends" and for what is no choice."""
    if choice == "morning":
        tomorrow = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
        return datetime.combine(tomorrow, MORNING, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    span = _SPANS.get(choice)
    return None if span is None else now + span
