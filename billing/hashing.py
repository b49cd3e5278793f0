"""Canonical JSON and its SHA-256: the same content gives the same bytes, in memory and read back from the database.

Decimals are written as their exact text, dates in ISO form; binary floating point is refused.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson


def hash_of(content: Any) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON of the content."""
    return hashlib.sha256(canonical(content)).hexdigest()


def hash_of_plain(exact: Any) -> str:
    """The same of what ``plain`` has answered already."""
    return hashlib.sha256(_written(exact)).hexdigest()


def canonical(content: Any) -> bytes:
    """UTF-8: keys sorted, no spaces, no escapes but those JSON needs."""
    return _written(plain(content))


def _written(exact: Any) -> bytes:
    try:
        return orjson.dumps(exact, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # an integer of more than 64 bits; the same bytes, by a slower way
        return json.dumps(exact, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain(content: Any) -> Any:
    """The content in JSON's own types. Raises TypeError for what has no exact form there."""
    kind = type(content)
    if kind in _AS_THEY_ARE:
        return content
    if kind is dict:
        # most of a document are texts and numbers in objects: they are not worth a call each
        return {
            key if type(key) is str else str(key): value if type(value) in _AS_THEY_ARE else plain(value)
            for key, value in content.items()
        }
    return _converted(content)


#: Already as JSON has them; exactly these types, since a subclass may be written another way.
_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


def _converted(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    if isinstance(content, Decimal):
        return format(content, "f")
    if isinstance(content, datetime | date):
        return content.isoformat()
    if isinstance(content, UUID):
        return str(content)
    if content is None or isinstance(content, str | int):
        return content
    raise TypeError(f"{type(content).__name__} has no exact form in a document")
