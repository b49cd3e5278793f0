"""Schedules: what is understood, what is refused, and when a backup is due around leap days and changes of the clock.

Expected moments are worked out by hand from the calendar: Berlin springs from 02:00 to 03:00 on 29 March 2026 and
repeats 02:00 to 03:00 on 25 October 2026; Lord Howe shifts by half an hour; Havana has no midnight on 8 March 2026.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp.backups.schedule import BadSchedule, due_days, expected_after, overdue_after, parse_schedule
from tests.alerts.pure.examples import utc

BERLIN = "Europe/Berlin"
TEXTS = ("daily 22:00", "weekdays 02:30", "every 6h", "every 3d", "*/15 * * * *", "30 2 * * *", "0 0 * * *",
         "15 1,2,3 * * 0", "0 4 29 2 *", "0 * 1 * *")  # fmt: skip
CLOCK_TEXTS = tuple(text for text in TEXTS if not text.startswith("every"))
ZONES = ("UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Chatham")

moments = st.timedeltas(timedelta(), timedelta(days=1461)).map(lambda since: utc(2025, 1, 1) + since)


@pytest.mark.parametrize(
    "text,again",
    [
        ("0 22 * * 1-5", "0 22 * * 1-5"),
        ("  0  22 * * mon-fri ", "0 22 * * mon-fri"),
        ("@daily", "0 0 * * *"),
        ("every 6h", "every 6h"),
        ("every 90 minutes", "every 90m"),
        ("every 24h", "every 1d"),
        ("Every 2 weeks", "every 2w"),
        ("daily 22:00", "daily 22:00"),
        ("weekdays 6:05", "weekdays 06:05"),
        ("weekends 10:00", "weekends 10:00"),
        ("Thu,monday 22:00", "mon,thu 22:00"),
        ("sundays 03:00", "sun 03:00"),
    ],
)
def test_a_schedule_reads_back_as_itself(text: str, again: str) -> None:
    assert str(parse_schedule(text)) == again
    assert parse_schedule(again) == parse_schedule(text)


@pytest.mark.parametrize(
    "text,part",
    [
        ("", "empty"),
        ("   ", "empty"),
        ("0 0 31 2 *", "no day 31 in month 2"),
        ("0 0 30 feb *", "no day 30 in month feb"),
        ("0 0 31 4,6,9,11 *", "no day 31"),
        ("61 * * * *", 'minute field of the schedule cannot be "61"'),
        ("0 24 * * *", "hour field"),
        ("0 0 0 * *", "day-of-month field"),
        ("0 0 * * 9", "day-of-week field"),
        ("0 0 ² * *", "day-of-month field"),
        ("0 0 * * * *", "five fields"),
        ("now and then", "five fields"),
        ("every 0h", "five minutes"),
        ("every 1m", "five minutes"),
        ("every 400d", "366 days"),
        ("every day", "not an interval"),
        ("every -6h", "not an interval"),
        ("daily 24:00", "no time of day"),
        ("daily 22:60", "no time of day"),
        ("sometimes 22:00", "no day"),
        ("monthly 22:00", "no day"),
        ("mon, 22:00", "no day"),
    ],
)
def test_an_impossible_schedule_is_refused_with_a_sentence(text: str, part: str) -> None:
    with pytest.raises(BadSchedule) as refused:
        parse_schedule(text)
    assert part in refused.value.reason
    assert refused.value.reason.endswith(".")


@pytest.mark.parametrize(
    "text,zone,moment,expected",
    [
        ("daily 22:00", BERLIN, utc(2026, 1, 14, 12), utc(2026, 1, 14, 21)),
        # exactly at a start, the next one is meant
        ("daily 22:00", BERLIN, utc(2026, 1, 14, 21), utc(2026, 1, 15, 21)),
        ("weekdays 22:00", BERLIN, utc(2026, 1, 16, 21), utc(2026, 1, 19, 21)),
        # spring: 23 hours lie between the two starts; 02:30 does not exist and comes at 03:00 summer time
        ("daily 22:00", BERLIN, utc(2026, 3, 28, 21), utc(2026, 3, 29, 20)),
        ("30 2 * * *", BERLIN, utc(2026, 3, 28, 12), utc(2026, 3, 29, 1)),
        ("30 2 * * *", BERLIN, utc(2026, 3, 29, 1), utc(2026, 3, 30, 0, 30)),
        # autumn: 02:30 comes twice and is meant the first time; within the second pass the next day is next
        ("30 2 * * *", BERLIN, utc(2026, 10, 24, 12), utc(2026, 10, 25, 0, 30)),
        ("30 2 * * *", BERLIN, utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)),
        ("30 2 * * *", BERLIN, utc(2026, 10, 25, 1, 10), utc(2026, 10, 26, 1, 30)),
        # every quarter of an hour goes on through the repeated hour
        ("*/15 * * * *", BERLIN, utc(2026, 10, 25, 0, 45), utc(2026, 10, 25, 1)),
        ("*/15 * * * *", BERLIN, utc(2026, 10, 25, 1), utc(2026, 10, 25, 1, 15)),
        # half an hour of shift: 02:15 does not exist on 4 October 2026
        ("15 2 * * *", "Australia/Lord_Howe", utc(2026, 10, 3, 12), utc(2026, 10, 3, 15, 30)),
        # no midnight
        ("0 0 * * *", "America/Havana", utc(2026, 3, 8, 4, 30), utc(2026, 3, 8, 5)),
        # leap days
        ("0 4 29 2 *", "UTC", utc(2026, 3, 1), utc(2028, 2, 29, 4)),
        ("0 4 29 2 *", "UTC", utc(2096, 3, 1), utc(2104, 2, 29, 4)),
        ("daily 22:00", "UTC", utc(2028, 2, 28, 22), utc(2028, 2, 29, 22)),
        # an interval is elapsed time, whatever the clocks do
        ("every 24h", BERLIN, utc(2026, 3, 28, 21), utc(2026, 3, 29, 21)),
    ],
)
def test_expected_after(text: str, zone: str, moment: datetime, expected: datetime) -> None:
    assert expected_after(parse_schedule(text), moment, zone) == expected


def overdue(text: str, *, last_good: datetime | None, zone: str = BERLIN, grace: int = 60) -> datetime:
    return overdue_after(
        parse_schedule(text) if text else None,
        tolerance=timedelta(hours=26),
        grace=timedelta(minutes=grace),
        last_good=last_good,
        registered_at=utc(2026, 1, 1),
        zone=zone,
    )


@pytest.mark.parametrize(
    "text,last_good,expected",
    [
        ("daily 22:00", utc(2026, 1, 14, 21, 40), utc(2026, 1, 15, 22)),
        # two clocks rarely agree: a run that ended three minutes before its start was due is that run
        ("daily 22:00", utc(2026, 1, 14, 20, 57), utc(2026, 1, 15, 22)),
        ("daily 22:00", utc(2026, 1, 14, 20, 50), utc(2026, 1, 14, 22)),
        ("weekdays 22:00", utc(2026, 1, 16, 21, 40), utc(2026, 1, 19, 22)),
        ("every 6h", utc(2026, 1, 14, 12), utc(2026, 1, 14, 19)),
        ("", utc(2026, 1, 14, 12), utc(2026, 1, 15, 15)),
        # never backed up: from the registration at midnight UTC, one o'clock in Berlin
        ("daily 22:00", None, utc(2026, 1, 1, 22)),
        ("", None, utc(2026, 1, 2, 3)),
        # the night of the change
        ("daily 22:00", utc(2026, 3, 28, 21, 40), utc(2026, 3, 29, 21)),
        ("daily 22:00", utc(2026, 10, 24, 20, 40), utc(2026, 10, 25, 22)),
    ],
)
def test_overdue_after(text: str, last_good: datetime | None, expected: datetime) -> None:
    assert overdue(text, last_good=last_good) == expected


@given(st.sampled_from(TEXTS), st.sampled_from(ZONES), moments)
def test_the_next_start_is_later_and_nothing_lies_between(text: str, zone: str, moment: datetime) -> None:
    schedule = parse_schedule(text)
    start = expected_after(schedule, moment, zone)
    assert start > moment
    if not text.startswith("every"):
        assert expected_after(schedule, start - timedelta(seconds=1), zone) == start
        assert expected_after(schedule, moment + (start - moment) / 2, zone) == start


@given(st.sampled_from(("", *TEXTS)), st.sampled_from(ZONES), moments, st.timedeltas(timedelta(), timedelta(days=400)))
def test_a_later_good_run_never_makes_a_job_overdue_earlier(
    text: str, zone: str, earlier: datetime, by: timedelta
) -> None:
    first = overdue(text, last_good=earlier, zone=zone)
    second = overdue(text, last_good=earlier + by, zone=zone)
    assert earlier < first <= second


def days(text: str, first: date, last: date, zone: str = BERLIN, **anchor: datetime) -> list[date]:
    return sorted(due_days(parse_schedule(text), first_day=first, last_day=last, zone=zone, **anchor))


def test_due_days_are_local_days() -> None:
    week = [date(2026, 1, day) for day in range(12, 19)]
    assert days("daily 00:30", week[0], week[-1]) == week
    assert days("weekdays 22:00", week[0], week[-1]) == week[:5]
    assert days("mon,sun 22:00", week[0], week[-1]) == [week[0], week[-1]]
    assert days("every 6h", week[0], week[-1]) == week
    assert days("0 22 13 * *", week[0], week[-1]) == [week[1]]
    assert days("*/15 * * * *", week[0], week[0]) == [week[0]]
    assert days("daily 22:00", week[1], week[0]) == []


def test_due_days_on_days_of_23_and_25_hours_and_the_leap_day() -> None:
    march, october, leap = date(2026, 3, 29), date(2026, 10, 25), date(2028, 2, 29)
    for text in ("30 2 * * *", "daily 00:00", "daily 23:59"):
        assert days(text, march, march) == [march]
        assert days(text, october, october) == [october]
    assert days("daily 00:00", date(2026, 3, 8), date(2026, 3, 8), "America/Havana") == [date(2026, 3, 8)]
    assert days("0 4 29 2 *", date(2028, 1, 1), date(2028, 12, 31)) == [leap]
    assert days("0 4 29 2 *", date(2026, 1, 1), date(2026, 12, 31)) == []


def test_a_long_interval_counts_from_its_anchor_and_periods_agree() -> None:
    anchor = utc(2026, 1, 2, 12)
    january = days("every 3d", date(2026, 1, 1), date(2026, 1, 31), anchor=anchor)
    assert january == [date(2026, 1, day) for day in (2, 5, 8, 11, 14, 17, 20, 23, 26, 29)]
    halves = days("every 3d", date(2026, 1, 1), date(2026, 1, 15)) + days(
        "every 3d", date(2026, 1, 16), date(2026, 1, 31)
    )
    assert halves == days("every 3d", date(2026, 1, 1), date(2026, 1, 31))


@given(st.sampled_from(CLOCK_TEXTS), st.sampled_from(ZONES), st.dates(date(2025, 1, 1), date(2028, 12, 1)))
def test_a_day_is_due_exactly_if_a_start_falls_on_it(text: str, zone: str, day: date) -> None:
    midnight = datetime.combine(day, datetime.min.time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)
    start = expected_after(parse_schedule(text), midnight - timedelta(microseconds=1), zone)
    assert (start.astimezone(ZoneInfo(zone)).date() == day) == (days(text, day, day, zone) == [day])
