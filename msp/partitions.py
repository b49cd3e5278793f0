"""Makes the partitions of ``JobRun`` (a month each) and ``Body`` (a day each) ahead of time.

Called by the migrations, the scheduler and the ``ensure_partitions`` command. The DEFAULT partitions must stay empty;
``count_strays`` is shown by the census and alarmed.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

MONTHS_BACK, MONTHS_AHEAD = 26, 3
DAYS_BACK, DAYS_AHEAD = 2, 14


def month_of(day: date) -> date:
    return day.replace(day=1)


def next_month(month: date, *, steps: int = 1) -> date:
    """The first day of the month ``steps`` months later (earlier if negative)."""
    index = month.year * 12 + month.month - 1 + steps
    return date(index // 12, index % 12 + 1, 1)


def ensure_partitions(now: datetime, *, cursor: Any = None) -> int:
    """Create the missing partitions around ``now`` (UTC); answers how many were made."""
    if cursor is None:
        with connection.cursor() as own:
            return ensure_partitions(now, cursor=own)
    today, made = now.date(), 0
    for step in range(-MONTHS_BACK, MONTHS_AHEAD + 1):
        month = next_month(month_of(today), steps=step)
        made += make_partition(cursor, "backups_jobrun", f"{month:%Y%m}", since=month, until=next_month(month))
    for step in range(-DAYS_BACK, DAYS_AHEAD + 1):
        day = today + timedelta(days=step)
        made += make_partition(cursor, "ingest_body", f"{day:%Y%m%d}", since=day, until=day + timedelta(days=1))
    return made


def make_partition(cursor: Any, table: str, suffix: str, *, since: date, until: date) -> int:
    """One partition [since, until); 0 if it is there. All names are ours, never a user's."""
    name = f"{table}_p{suffix}"
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
    if cursor.fetchone()[0]:
        return 0
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} FOR VALUES FROM ('{since}') TO ('{until}')")
    return 1


def count_strays() -> int:
    """Rows that found no partition of their own: must be zero."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM backups_jobrun_default) + (SELECT count(*) FROM ingest_body_default)"
        )
        return int(cursor.fetchone()[0])
