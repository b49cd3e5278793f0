"""Localised dates, clocks and figures: each spelling with the one value it can mean, and what could mean two."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from integrations.logs.printed_dates import (
    date_order,
    printed_bytes,
    printed_clock,
    printed_local,
    printed_moment,
    printed_number,
)


@pytest.mark.parametrize(
    "text",
    [
        "Thursday, January 8, 2026 10:00:12 PM",
        "Thursday, 8 January 2026 22:00:12",
        "Donnerstag, 8. Januar 2026 22:00:12",
        "jeudi 8 janvier 2026 22:00:12",
        "jueves, 8 de enero de 2026 22:00:12",
        "08.01.2026 22:00:12",
        "2026-01-08 22:00:12",
        "1/8/2026 10:00:12 PM",
        "08/01/2026 22:00:12",
        "Jan 8, 2026 10:00:12\u202fPM",
    ],
)
def test_one_moment_in_many_spellings(text: str) -> None:
    day_first = True if text.startswith("08/01") else None
    assert printed_local(text, day_first=day_first) == datetime(2026, 1, 8, 22, 0, 12)  # noqa: DTZ001


@pytest.mark.parametrize(
    "text", ["03/04/2026 22:00:12", "8 Foober 2026 22:00", "32.01.2026", "22:00:12", "", "13:00 PM"]
)
def test_what_is_no_certain_date_is_none(text: str) -> None:
    assert printed_local(text) is None


def test_a_date_without_a_clock_is_midnight_and_needs_a_zone_to_be_utc() -> None:
    assert printed_moment("8. März 2026", ZoneInfo("Europe/Berlin")) == datetime(2026, 3, 7, 23, tzinfo=UTC)
    assert printed_moment("8. März 2026 10:00", None) is None


def test_other_dates_of_a_text_tell_the_order() -> None:
    assert date_order("03/04/2026 and 25/04/2026") is True
    assert date_order("03/04/2026 and 04/25/2026") is False
    assert date_order("25/04/2026 and 04/25/2026") is None


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("12:05 AM", (0, 5, 0)),
        ("12:05:09 PM", (12, 5, 9)),
        ("22.05.09", (22, 5, 9)),
        ("25:00", None),
        ("7:15 Uhr", (7, 15, 0)),
    ],
)
def test_clocks(text: str, clock: tuple[int, int, int] | None) -> None:
    assert printed_clock(text) == clock


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.234,5", "1234.5"), ("1,234.5", "1234.5"), ("350,0", "350.0"), ("1.234", "1234"), ("0,125", "0.125"),
     ("1 234,5", "1234.5"), ("1.234.567", "1234567"), ("12", "12")],
)  # fmt: skip
def test_figures(text: str, value: str) -> None:
    assert printed_number(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("350,0 GB", 350 * 2**30), ("1,5 Go", 3 * 2**29), ("0 B", 0), ("0,0 B", 0), ("12 KiB", 12288), ("7 octets", 7),
     ("1.234,5 MB", 1294467072), ("350", None), ("GB", None), ("1,2,3 GB", None)],
)  # fmt: skip
def test_sizes_need_a_unit(text: str, size: int | None) -> None:
    assert printed_bytes(text) == size
