"""JSON as tools print it, read without ever raising anything but ``BadJson``.

orjson reads what is well formed; Python's own parser what orjson refuses and tools do write: lone surrogates (Borg's
way to print names that are not UTF-8) and NaN. Depth and size bombs end in ``BadJson``, never in a crash.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

MAX_DOCUMENT = 16 * 1024 * 1024  # bytes of one JSON document; what is bigger is no job log

#: What the values of one document may take in memory, in bytes: a list of empty objects is 90 times its own text.
MOST_MEMORY = 48 * 1024 * 1024
_LIGHT = 256 * 1024  # bytes: a document up to this size cannot be too heavy

_UNDECODED = re.compile("[\udc80-\udcff]")


class BadJson(ValueError):
    """The text is not a JSON document that we can read. ``line`` is 1-based where the parser tells it."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def load(raw: bytes) -> Any:
    """The document in these bytes. Bytes that are not UTF-8 inside of strings become ``\\xNN``."""
    if len(raw) > MAX_DOCUMENT:
        raise BadJson(f"a JSON document of more than {MAX_DOCUMENT // 2**20} MiB")
    if is_too_heavy(raw):
        raise BadJson("a JSON document of too many values")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "depth" in str(error):
            raise BadJson("JSON nested too deeply") from None
        if "surrogate" not in str(error) and b"NaN" not in raw and b"Infinity" not in raw and _is_utf8(raw):
            raise BadJson(f"not valid JSON: {error.msg}", error.lineno) from None
    return _load_leniently(raw)


def is_too_heavy(raw: bytes) -> bool:
    """True where the values would take more than MOST_MEMORY, by what objects, lists and entries cost at least."""
    if len(raw) <= _LIGHT:
        return False
    return 240 * raw.count(b"{") + 100 * raw.count(b"[") + 60 * raw.count(b",") > MOST_MEMORY


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _load_leniently(raw: bytes) -> Any:
    text = _UNDECODED.sub(
        lambda match: f"\\\\x{ord(match.group()) - 0xDC00:02x}", raw.decode("utf-8", "surrogateescape")
    )
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadJson(f"not valid JSON: {error.msg}", error.lineno) from None
    except (RecursionError, ValueError):  # ValueError: a number of more digits than Python converts
        raise BadJson("JSON nested too deeply or with an endless number") from None


def as_object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in one line of a log, or None: most lines of a mixed log are no JSON."""
    if not raw.startswith(b"{"):
        return None
    try:
        found = load(raw)
    except BadJson:
        return None
    return found if isinstance(found, dict) else None


def whole(record: Mapping[str, Any], key: str) -> int | None:
    """An integer of the record; None where it is missing or is no whole number."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def number(record: Mapping[str, Any], key: str) -> float | None:
    """A finite number of the record, or None."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def text(record: Mapping[str, Any], key: str) -> str:
    """A text of the record; empty where it is missing or is no text."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def nested(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An object inside of the record; empty where there is none."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def listed(record: Mapping[str, Any], key: str) -> list[Any]:
    """A list inside of the record; empty where there is none."""
    value = record.get(key)
    return value if isinstance(value, list) else []
