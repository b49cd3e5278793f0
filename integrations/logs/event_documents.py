"""JSON documents of a delivery: one document, one a line, or several indented ones one after the other.

Used by formats whose products post events or print an object for each thing they did. What stands between documents
is passed over, what is cut off is left out: each document that could be read whole is answered, in its order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from integrations.logs.context import Context
from integrations.logs.joblog import Delivery
from integrations.logs.json_documents import MAX_DOCUMENT, is_too_heavy

MAX_DOCUMENTS = 5_000
_MAX_MISSES = 200  # objects that cannot be read: a log of braces must not be tried at each of them


def documents(body: Delivery, context: Context) -> list[Any]:
    """Every JSON document of the delivery's first stream that holds one; the whole body where it is one document."""
    whole = context.head.document
    for stream in (body.stdout, body.stderr):
        if b"{" not in stream or is_too_heavy(stream[:MAX_DOCUMENT]):
            continue
        text = stream[:MAX_DOCUMENT].decode("utf-8", "backslashreplace").strip()
        if whole is not None and "\n{" not in text.replace("\r", "") and text[:1] in "{[":
            return [whole]
        found = _one_after_another(text)
        if found:
            return found
    return [] if whole is None else [whole]


def _one_after_another(text: str) -> list[Any]:
    decoder, at, misses = json.JSONDecoder(), 0, 0
    found: list[Any] = []
    if text[:1] == "[":
        try:
            return [decoder.raw_decode(text)[0]]
        except (ValueError, RecursionError):
            at = 1
    while len(found) < MAX_DOCUMENTS and misses < _MAX_MISSES:
        at = text.find("{", at)
        if at < 0:
            break
        try:
            document, at = decoder.raw_decode(text, at)
            found.append(document)
        except (ValueError, RecursionError):
            misses += 1
            at = _next_line(text, at)
    return found


def _next_line(text: str, at: int) -> int:
    end = text.find("\n{", at)
    return end + 1 if end >= 0 else len(text)


def first_lower(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the first letter of each key in lower case: ``BackupJobId`` and ``backupJobId`` are one."""
    return {key[:1].lower() + key[1:]: value for key, value in record.items()}
