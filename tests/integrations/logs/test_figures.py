"""Figures and times as tools print them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from integrations.logs.bytes_to_text import clean, raw_lines
from integrations.logs.figures import clock_seconds, count, printed_size, spoken_seconds
from integrations.logs.json_documents import BadJson, load
from integrations.logs.moments import iso, unix, zone_named
from integrations.logs.troubles import Troubles


@pytest.mark.parametrize(
    ("printed", "size"),
    [("25.123 MiB", 26343375), ("16.10 kB", 16100), ("0 B", 0), ("1.5 TiB", 1649267441664), ("-2 MB", -2000000), ("x", None),  # noqa: E501
     ("5", 5), ("1,5 GB", 1500000000), ("9" * 30 + " B", None)],
)  # fmt: skip
def test_sizes(printed: str, size: int | None) -> None:
    assert printed_size(printed) == size


@pytest.mark.parametrize(
    ("printed", "number"),
    [("3,146", 3146), ("27.374.559", 27374559), ("3 146", 3146), ("12", 12), ("1,2", None), ("", None)],
)
def test_counts(printed: str, number: int | None) -> None:
    assert count(printed) == number


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [("0:26", 26), ("1:02:03", 3723), ("00:05:49.5", 349.5), ("1.00:00:01", 86401), ("x", None)],
)
def test_clocks(printed: str, seconds: float | None) -> None:
    assert clock_seconds(printed) == seconds


def test_spoken_durations() -> None:
    assert spoken_seconds("1 hours 2 minutes 3.50 seconds") == 3723.5
    assert spoken_seconds("no time") is None


@pytest.mark.parametrize(
    ("printed", "zone", "moment"),
    [
        ("2026-01-02T03:04:05.123456789Z", None, datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02 03:04:05 +0100", None, datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ("2026-07-02T03:04:05", "Europe/Berlin", datetime(2026, 7, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-07-02T03:04:05", None, None),
        ("2026-02-30T03:04:05Z", None, None),
        ("0001-01-01T00:00:00", "Asia/Tokyo", None),
        ("now", "UTC", None),
    ],
)
def test_times(printed: str, zone: str | None, moment: datetime | None) -> None:
    assert iso(printed, ZoneInfo(zone) if zone else None) == moment


def test_times_beyond_the_calendar_are_none() -> None:
    assert unix(1e300) is None
    assert unix(None) is None
    assert zone_named("Europe/Berlin") is not None
    assert zone_named("../etc/passwd") is None


def test_a_thousand_warnings_do_not_push_out_the_error() -> None:
    troubles = Troubles()
    for number in range(1000):
        troubles.add(f'file has vanished: "/x/{number}"', severity="warning")
    troubles.add("rsync error: it failed", kind="other")
    assert troubles.total == 1001
    assert len(troubles.kept) == 200
    assert troubles.kept[-1].message == "rsync error: it failed"


def test_control_characters_and_surrogates_leave_the_text() -> None:
    assert clean("a\x1b[31mb\x00c\u202ed\udce9") == "abcd\\xe9"
    assert clean("x" * 2000).endswith("…")
    assert len(clean("x" * 2000)) == 1000


def test_lines_overwritten_by_carriage_returns_keep_their_number() -> None:
    assert list(raw_lines(b"a\rb\r\nc\n")) == [(1, b"a"), (1, b"b"), (2, b"c")]


@pytest.mark.parametrize("raw", [b"[" * 100_000, b"{", b'{"a": NaNa}', b"\xff\xfe", b"9" * 10_000 + b"NaN"])
def test_json_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(BadJson):
        load(raw)


def test_json_with_bytes_that_are_not_utf_8_is_read() -> None:
    assert load(b'{"path": "caf\xe9"}') == {"path": "caf\\xe9"}
