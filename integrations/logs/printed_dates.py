"""Dates, clocks and figures as localised Windows products print them: English, German, French and Spanish.

Used by the formats whose mails and console output follow the computer's language. A date written in words is certain;
one in digits is read day first with points, and with slashes only where it cannot be two days, or where the caller
knows the order. What could be two things is None.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from decimal import Decimal

from integrations.logs.moments import to_utc

_MONTHS = {
    name: number
    for number, names in enumerate(
        ("january jan januar jänner janvier janv enero ene", "february feb februar février févr fév febrero",
         "march mar märz mär mrz mars marzo", "april apr avril avr abril abr", "may mai mayo",
         "june jun juni juin junio", "july jul juli juillet juil julio", "august aug août aou agosto ago",
         "september sep sept septembre septiembre", "october oct oktober okt octobre octubre",
         "november nov novembre noviembre", "december dec dezember dez décembre déc diciembre dic"),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_CLOCK = re.compile(
    r"(?<![0-9:])([0-9]{1,2})[:.h]([0-9]{2})(?:[:.]([0-9]{2}))?(?:[.,][0-9]{1,7})?"
    r"(?:\s?([AaPp])\.?\s?[Mm]\.?(?![a-z]))?(?:\s?Uhr)?\s*$"
)
_DAY_WORD = re.compile(r"\b([0-9]{1,2})(?:\.|er|st|nd|rd|th)?(?: de)? ([^\W\d_]{3,10})\.?(?: de)?,? ([0-9]{4})\b")
_WORD_DAY = re.compile(r"\b([^\W\d_]{3,10})\.? ([0-9]{1,2}),? ([0-9]{4})\b")
_YEAR_FIRST = re.compile(r"(?<![0-9])([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})(?![0-9])")
_DIGITS = re.compile(r"(?<![0-9])([0-9]{1,2})([./-]) ?([0-9]{1,2})\2 ?([0-9]{4})(?![0-9])")
_MAX = 120

_AMOUNT = r"-?[0-9]{1,3}(?:[.,'\u00a0\u202f ][0-9]{3}){1,6}(?:[.,][0-9]{1,6})?|-?[0-9]{1,20}(?:[.,][0-9]{1,6})?"
_NUMBER = re.compile(rf"^(?:{_AMOUNT})$")
_SIZE = re.compile(
    rf"^({_AMOUNT})\s?(bytes|byte|octets|octet|octetos|[kmgtp]i?[bo]|[bo])$",
    re.I,
)


def printed_local(text: str, *, day_first: bool | None = None) -> datetime | None:
    """The wall-clock time that a text names, without a zone; midnight where it names only a date.

    ``day_first`` is the order of dates such as 03/04/2026; a clock with AM or PM and no other sign means month first.
    """
    told = text.strip()[:_MAX].replace("\u202f", " ").replace("\u00a0", " ").replace("\u200e", "")
    clock = _CLOCK.search(told.replace(" à ", " ")) if ":" in told or "h" in told or "." in told else None
    hours = _clock_of(clock) if clock is not None and not _DIGITS.search(clock.group()) else (0, 0, 0)
    day = _day_of(told, day_first=day_first if day_first is not None else _american(clock))
    if day is None or hours is None:
        return None
    try:
        return datetime(*day, *hours)  # noqa: DTZ001 a wall clock: its zone is the caller's to know
    except ValueError:
        return None


def printed_moment(text: str, zone: tzinfo | None, *, day_first: bool | None = None) -> datetime | None:
    """UTC of a printed local time; None without its zone."""
    local = printed_local(text, day_first=day_first)
    return None if local is None else to_utc(local, zone)


def printed_clock(text: str) -> tuple[int, int, int] | None:
    """Hour, minute and second of ``10:00:12 PM``, ``22:00``, ``22.00.12`` or ``22:00 Uhr``."""
    match = _CLOCK.match(text.strip()[:40].replace("\u202f", " ").replace("\u00a0", " "))
    return _clock_of(match) if match else None


def _american(clock: re.Match[str] | None) -> bool | None:
    return False if clock is not None and clock.group(4) in ("A", "P") else None


def _clock_of(match: re.Match[str]) -> tuple[int, int, int] | None:
    hour, minute, second = int(match.group(1)), int(match.group(2)), int(match.group(3) or 0)
    half = (match.group(4) or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    return (hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None


def _day_of(told: str, *, day_first: bool | None) -> tuple[int, int, int] | None:
    if match := _YEAR_FIRST.search(told):
        return int(match.group(1)), int(match.group(3)), int(match.group(4))
    if match := _DIGITS.search(told):
        return _digits_of(match, day_first=day_first)
    for day, name, year in _DAY_WORD.findall(told):
        if name.lower() in _MONTHS:
            return int(year), _MONTHS[name.lower()], int(day)
    for name, day, year in _WORD_DAY.findall(told):
        if name.lower() in _MONTHS:
            return int(year), _MONTHS[name.lower()], int(day)
    return None


def _digits_of(match: re.Match[str], *, day_first: bool | None) -> tuple[int, int, int] | None:
    first, sign, second, year = int(match[1]), match[2], int(match[3]), int(match[4])
    if first == second or sign == "." or first > 12:
        return year, second, first
    if second > 12:
        return year, first, second
    if day_first is None:
        return None
    return (year, second, first) if day_first else (year, first, second)


def date_order(text: str) -> bool | None:
    """Whether the slashed dates of a text stand day first, by those of them that can be read in one way only."""
    orders = set()
    for match, _ in zip(_DIGITS.finditer(text), range(200), strict=False):
        first, second = int(match[1]), int(match[3])
        if match[2] != "." and (first > 12) != (second > 12):
            orders.add(first > 12)
    return orders.pop() if len(orders) == 1 else None


def printed_number(text: str) -> Decimal | None:
    """A figure with decimal comma or point and grouped thousands; three digits after a lone sign are thousands."""
    told = text.strip()
    if not _NUMBER.match(told):
        return None
    told = re.sub(r"['\u00a0\u202f ]", "", told)
    signs = [sign for sign in told if sign in ".,"]
    if not signs:
        return Decimal(told)
    last = max(told.rfind("."), told.rfind(","))
    lone_thousands = len(told) - last == 4 and len(set(signs)) == 1 and not told.lstrip("-").startswith("0")
    if lone_thousands or signs.count(told[last]) > 1:
        return Decimal(told.replace(".", "").replace(",", ""))
    return Decimal(re.sub(r"[.,]", "", told[:last]) + "." + told[last + 1 :])


def printed_bytes(text: str, *, base: int = 1024) -> int | None:
    """Bytes of ``350,0 GB``, ``1.234,5 MB``, ``12 Go`` or ``0 Bytes``; a unit must stand there. ``KiB`` is 1024."""
    match = _SIZE.match(text.strip()[:60])
    if match is None:
        return None
    amount, unit = printed_number(match.group(1)), match.group(2).lower()
    if amount is None:
        return None
    power = 0 if unit[0] in "bo" else "kmgtp".index(unit[0]) + 1
    return int((amount * (1024 if "i" in unit else base) ** power).to_integral_value())


def is_rounded_size(text: str) -> bool:
    """True for a size printed in more than bytes."""
    match = _SIZE.match(text.strip()[:60])
    return match is not None and match.group(2)[0].lower() not in "bo"
