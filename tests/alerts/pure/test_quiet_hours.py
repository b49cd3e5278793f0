"""Quiet hours on the tenant's clock: over midnight, on weekends, and in nights in which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.quiet_hours import QuietHours, quiet_windows

NIGHT = QuietHours(zone="Europe/Berlin", begins=time(22), ends=time(7))


def end_of(quiet: QuietHours, moment: datetime) -> datetime | None:
    """Until when it is quiet at this moment; None where it is not."""
    covering = [one.ends_at for one in quiet_windows(quiet, now=moment) if one.covers(moment)]
    return max((end for end in covering if end is not None), default=None)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-23T20:59", None),
        ("2026-11-23T21:00", "2026-11-24T06:00"),  # 22:00 in Berlin
        ("2026-11-24T05:59", "2026-11-24T06:00"),
        ("2026-11-24T06:00", None),
        ("2026-03-28T21:30", "2026-03-29T05:00"),  # the clock goes forward: 07:00 is an hour earlier
        ("2026-10-24T20:30", "2026-10-25T06:00"),  # and back
    ],
)
def test_nights_keep_their_times_of_day(at: str, until: str | None) -> None:
    found = end_of(NIGHT, datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert found == (None if until is None else datetime.fromisoformat(until).replace(tzinfo=UTC))


def test_an_hour_within_one_day() -> None:
    quiet = QuietHours(zone="UTC", begins=time(12), ends=time(13, 30))
    assert end_of(quiet, datetime(2026, 11, 23, 12, 30, tzinfo=UTC)) == datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
    assert end_of(quiet, datetime(2026, 11, 23, 14, tzinfo=UTC)) is None


def test_weekends_are_quiet_from_midnight_to_midnight() -> None:
    quiet = QuietHours(zone="America/New_York", weekends=True)
    assert end_of(quiet, datetime(2026, 11, 21, 4, 59, tzinfo=UTC)) is None  # Friday, one minute to midnight
    assert end_of(quiet, datetime(2026, 11, 21, 5, tzinfo=UTC)) == datetime(2026, 11, 23, 5, tzinfo=UTC)
    assert end_of(quiet, datetime(2026, 11, 23, 5, tzinfo=UTC)) is None


def test_what_is_bad_enough_goes_through() -> None:
    assert NIGHT.holds_for("warning")
    assert not NIGHT.holds_for("critical")
    assert QuietHours(zone="UTC", weekends=True, unless=None).holds_for("critical")


zones = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Asia/Kathmandu"])
times = st.times(min_value=time(0), max_value=time(23, 59)).map(lambda at: at.replace(second=0, microsecond=0))
moments = st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@given(zone=zones, begins=times, ends=times, now=moments)
def test_at_any_moment_a_quiet_window_ends_later_and_within_a_day_and_an_hour(
    zone: str, begins: time, ends: time, now: datetime
) -> None:
    if begins == ends:
        return
    windows = quiet_windows(QuietHours(zone=zone, begins=begins, ends=ends), now=now)
    assert len(windows) >= 8
    for one in windows:
        assert one.ends_at is not None
        assert one.ends_at > now
        assert timedelta(0) <= one.ends_at - one.starts_at <= timedelta(hours=25)
    local = now.astimezone(ZoneInfo(zone)).time()
    inside = begins <= local < ends if begins < ends else local >= begins or local < ends
    changes_clocks = now.date().month in (3, 4, 10, 11)
    assert changes_clocks or any(one.covers(now) for one in windows) == inside
