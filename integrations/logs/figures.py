"""Sizes, counts and durations as backup tools print them, turned into bytes, integers and seconds.

Used by the text parsers. Every function answers None for what it cannot read for certain: a figure that is wrong by
the unit is worse than none. Which letters mean 1000 and which 1024 differs by tool, so that callers name the unit.
"""

from __future__ import annotations

import re
from decimal import Decimal

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_SIZE = re.compile(r"^(-?)([0-9]{1,20}(?:[.,][0-9]{1,6})?) ?([kKMGTPE]?)(i?)[Bb]?(?:ytes?)?$")
_GROUPED = re.compile(r"^-?[0-9]{1,3}(?:[,.'\u00a0\u202f ][0-9]{3}){1,8}$")
_CLOCK = re.compile(r"^(?:([0-9]{1,6})[.d] ?)?(?:([0-9]{1,4}):)?([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,9})?)$")


def printed_size(text: str) -> int | None:
    """Bytes of ``25.123 MiB`` (1024) or ``16.10 kB`` (1000): the letter ``i`` decides, as restic and Borg print it."""
    match = _SIZE.match(text.strip())
    if match is None:
        return None
    sign, digits, letter, binary = match.groups()
    return scaled(sign + digits, letter, base=1024 if binary else 1000)


def scaled(digits: str, letter: str, *, base: int) -> int:
    """Bytes of a figure with its unit letter (upper or lower case, empty for bytes)."""
    amount = Decimal(digits.replace(",", ".")) * base ** _POWERS[letter.upper()]
    return int(amount.to_integral_value())


def is_rounded(text: str) -> bool:
    """True where a size is printed with a unit above bytes: the value is then the printed figure, not the exact one."""
    match = _SIZE.match(text.strip())
    return match is not None and match.group(3) != ""


def count(text: str) -> int | None:
    """A count, with or without separators of thousands: ``3,146``, ``3.146``, ``3 146``."""
    text = text.strip()
    if _GROUPED.match(text):
        text = re.sub(r"[,.'\u00a0\u202f ]", "", text)
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else None


def clock_seconds(text: str) -> float | None:
    """Seconds of ``0:26``, ``1:02:03``, ``00:05:49.3856480`` or ``1.00:05:49`` (days first)."""
    match = _CLOCK.match(text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = match.groups()
    return int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)


_SPOKEN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) (day|hour|minute|second)s?\b")
_SECONDS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


def spoken_seconds(text: str) -> float | None:
    """Seconds of ``1 hours 2 minutes 3.50 seconds``."""
    parts = _SPOKEN.findall(text[:200])
    return sum(float(amount) * _SECONDS[unit] for amount, unit in parts) if parts else None
