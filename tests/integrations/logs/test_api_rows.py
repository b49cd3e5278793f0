"""Numbers and times in the answers of vendors' APIs: read where they are certain, None else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from integrations.logs.api_rows import MAX_ROWS, amount, listed_under, moment, rows_of, words

AT = datetime(2025, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (5, 5),
        (5.0, 5),
        ("5", 5),
        (" 12 ", 12),
        ("-3", -3),
        (5.5, None),
        ("5.5", None),
        ("", None),
        (None, None),
        (True, None),
        (float("inf"), None),
        (float("nan"), None),
        ("9" * 400, None),
        ([], None),
    ],
)
def test_amounts(value: Any, wanted: int | None) -> None:
    assert amount(value) == wanted


@pytest.mark.parametrize(
    "value",
    [
        1763769600,
        1763769600.0,
        "1763769600",
        1763769600000,
        "2025-11-22T00:00:00Z",
        "2025-11-22T00:00:00.0000001Z",
        "2025-11-22 00:00:00 UTC",
        "2025-11-22T01:00:00+01:00",
        "2025-11-22T01:00:00",
    ],
)
def test_moments(value: Any) -> None:
    assert moment(value, ZoneInfo("Europe/Berlin")) == AT


@pytest.mark.parametrize(
    "value", [0, "0", -1, None, "", True, "never", "2025-11-22T00:00:00", 10**30, [], float("nan")]
)
def test_what_is_no_certain_moment_is_none(value: Any) -> None:
    assert moment(value) is None


def test_rows_are_objects_only_and_bounded() -> None:
    assert rows_of([1, {"a": 1}, None, []]) == [{"a": 1}]
    assert rows_of({"a": 1}) == [{"a": 1}]
    assert rows_of("x") == []
    assert len(rows_of([{}] * (MAX_ROWS + 5))) == MAX_ROWS
    assert listed_under({"b": [{"c": 1}], "a": 3}, "a", "b") == [{"c": 1}]
    assert listed_under({"a": 3}, "a") == []


def test_words_are_the_first_filled_value() -> None:
    assert words({"a": " ", "b": None, "c": True, "d": 7, "e": "x"}, "a", "b", "c", "d", "e") == "7"
    assert words({}, "a") == ""
