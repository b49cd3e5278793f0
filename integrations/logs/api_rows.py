"""The rows of an API's answer: numbers and times as vendors write them, in values that may be anything.

Used by the formats that are read from a vendor's API. A figure may come as a number or as its digits in a text, a time
as Unix seconds, milliseconds or ISO 8601: each is read where it is certain and None else. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from integrations.logs.joblog import Outcome
from integrations.logs.moments import iso, unix

MAX_ROWS = 20_000  # devices or jobs of one answer

_DIGITS = re.compile(r"^-?[0-9]{1,20}$")
_MILLISECONDS = 100_000_000_000  # a larger Unix time (after the year 5138) is told in milliseconds


def rows_of(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, or the one object; at most MAX_ROWS."""
    if isinstance(value, dict):
        return [value]
    return [row for row in value[:MAX_ROWS] if isinstance(row, dict)] if isinstance(value, list) else []


def listed_under(document: Any, *keys: str) -> list[dict[str, Any]]:
    """The rows of the document where it is a list, or else those of the first of these keys that holds a list."""
    if isinstance(document, dict):
        found = next((document[key] for key in keys if isinstance(document.get(key), list)), None)
        return rows_of(found)
    return rows_of(document)


def amount(value: Any) -> int | None:
    """A whole number, also as its digits in a text."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, str) and _DIGITS.match(value.strip()) else None


def moment(value: Any, zone: tzinfo | None = None) -> datetime | None:
    """UTC of Unix seconds, of milliseconds, or of an ISO time (a local one is read in ``zone``). 0 means never."""
    number = amount(value)
    if number is not None:
        return None if number <= 0 else unix(number / 1000 if number >= _MILLISECONDS else number)
    if not isinstance(value, str):
        return None
    told = value.strip()
    return iso(f"{told[:-4].rstrip()}Z" if told.endswith(" UTC") else told, zone)


def words(record: Mapping[str, Any], *keys: str) -> str:
    """The first of these values that is a filled text or a whole number, as text; empty where there is none."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""


def reached_all(outcome: Outcome) -> bool | None:
    """Whether every root was reached, as far as a bare status says it: yes for success, no for an early end."""
    if outcome == "success":
        return True
    return False if outcome in ("failure", "cancelled", "missed") else None
