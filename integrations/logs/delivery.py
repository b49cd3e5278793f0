"""From what a channel received to a ``Delivery``: the JSON envelope, or a plain body with its parameters.

Called by the HTTP door, the batch door and the commands. A field that cannot be used is refused with its name and a
sentence (``BadEnvelope``), except a time zone that nobody knows: that must not lose a log, so that it is kept as a
problem and the times that needed it stay empty.
"""

from __future__ import annotations

import base64
import binascii
import difflib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.logs.bytes_to_text import clean
from integrations.logs.joblog import Attachment, Delivery
from integrations.logs.moments import to_utc, zone_named

MAX_ATTACHMENTS = 50
MAX_SHORT = 1000  # characters of host, job, run id
MAX_COMMAND = 32 * 1024

KEYS = (
    "stdout", "stderr", "stdout_base64", "stderr_base64", "exit_code", "timezone", "host", "job", "command", "format",
    "content_type", "started_at", "ended_at", "run_id", "attachments",
)  # fmt: skip
_ATTACHMENT_KEYS = ("name", "content", "content_base64", "content_type")


class BadEnvelope(ValueError):
    """The envelope cannot be used: which field, and why, as a sentence."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def from_envelope(obj: object) -> Delivery:
    """The delivery that a JSON envelope describes. Raises BadEnvelope."""
    if not isinstance(obj, Mapping):
        raise BadEnvelope("envelope", "must be a JSON object.")
    _refuse_unknown(obj, KEYS, "")
    zone, problems = _zone(obj)
    started, ended = _moment(obj, "started_at", zone, problems), _moment(obj, "ended_at", zone, problems)
    delivery = Delivery(
        stdout=_stream(obj, "stdout"),
        stderr=_stream(obj, "stderr"),
        attachments=_attachments(obj),
        command=_short(obj, "command", MAX_COMMAND),
        exit_code=_exit_code(obj),
        timezone=zone,
        host=_short(obj, "host"),
        job=_short(obj, "job"),
        content_type=_short(obj, "content_type"),
        format=_short(obj, "format"),
        started_at=started,
        ended_at=ended,
        run_id=_short(obj, "run_id"),
        problems=tuple(problems),
    )
    if not any(
        key in obj for key in ("stdout", "stdout_base64", "stderr", "stderr_base64", "attachments", "exit_code")
    ):
        raise BadEnvelope("stdout", "is missing: send the log as stdout or stdout_base64, or at least exit_code.")
    return delivery


def from_raw(
    body: bytes,
    *,
    content_type: str = "",
    format: str = "",
    timezone: str = "",
    host: str = "",
    job: str = "",
    command: str = "",
    exit_code: int | None = None,
    run_id: str = "",
) -> Delivery:
    """The delivery of a plain body: the log as a tool or mail server sent it, its facts from parameters or headers."""
    known = timezone if timezone and zone_named(timezone) is not None else None
    return Delivery(
        stdout=body,
        command=clean(command, MAX_COMMAND),
        exit_code=exit_code,
        timezone=known,
        host=clean(host, MAX_SHORT),
        job=clean(job, MAX_SHORT),
        content_type=clean(content_type, MAX_SHORT),
        format=clean(format, MAX_SHORT),
        run_id=clean(run_id, MAX_SHORT),
        problems=(problem_of_zone(timezone),) if timezone and known is None else (),
    )


def problem_of_zone(name: str) -> str:
    """The sentence about a zone that no one knows."""
    return f"Unknown time zone {clean(name, 80)!r}: local times in this log are not used."


def _refuse_unknown(obj: Mapping[Any, Any], known: tuple[str, ...], place: str) -> None:
    for key in obj:
        if key not in known:
            near = difflib.get_close_matches(str(key)[:60], known, n=1)
            hint = f" Did you mean {near[0]}?" if near else f" Known keys are: {', '.join(known)}."
            raise BadEnvelope(f"{place}{clean(str(key), 60)}", f"is not a key of the envelope.{hint}")


def _short(obj: Mapping[str, Any], key: str, limit: int = MAX_SHORT) -> str:
    value = obj.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadEnvelope(key, "must be a text.")
    if len(value) > limit:
        raise BadEnvelope(key, f"is longer than {limit} characters.")
    return value.strip()


def _exit_code(obj: Mapping[str, Any]) -> int | None:
    value = obj.get("exit_code")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**31:
        raise BadEnvelope("exit_code", "must be a whole number.")
    return value


def _stream(obj: Mapping[str, Any], key: str, place: str = "") -> bytes:
    plain, encoded = obj.get(key), obj.get(f"{key}_base64")
    if plain is not None and encoded is not None:
        raise BadEnvelope(f"{place}{key}", f"send {key} or {key}_base64, not both.")
    if plain is None and encoded is None:
        return b""
    if plain is not None:
        if not isinstance(plain, str):
            raise BadEnvelope(f"{place}{key}", "must be a text.")
        return plain.encode("utf-8", "backslashreplace")
    return _decoded(encoded, f"{place}{key}_base64")


def _decoded(encoded: object, field: str) -> bytes:
    if not isinstance(encoded, str):
        raise BadEnvelope(field, "must be a text in base64.")
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadEnvelope(field, "is not base64.") from None


def _zone(obj: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    name = _short(obj, "timezone")
    if not name:
        return None, []
    return (name, []) if zone_named(name) is not None else (None, [problem_of_zone(name)])


def _moment(obj: Mapping[str, Any], key: str, zone: str | None, problems: list[str]) -> datetime | None:
    value = obj.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 60:
        raise BadEnvelope(key, "must be a time like 2026-01-31T22:15:00+01:00.")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise BadEnvelope(key, "must be a time like 2026-01-31T22:15:00+01:00.") from None
    utc = to_utc(moment, zone_named(zone) if zone else None)
    if utc is None:
        problems.append(f"{key} has no offset and no known time zone: not used.")
    return utc


def _attachments(obj: Mapping[str, Any]) -> tuple[Attachment, ...]:
    value = obj.get("attachments")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadEnvelope("attachments", "must be a list of objects with name and content.")
    if len(value) > MAX_ATTACHMENTS:
        raise BadEnvelope("attachments", f"more than {MAX_ATTACHMENTS} of them.")
    return tuple(_attachment(entry, at) for at, entry in enumerate(value))


def _attachment(entry: object, at: int) -> Attachment:
    place = f"attachments[{at}]."
    if not isinstance(entry, Mapping):
        raise BadEnvelope(f"attachments[{at}]", "must be an object with name and content.")
    _refuse_unknown(entry, _ATTACHMENT_KEYS, place)
    name, kind = entry.get("name"), entry.get("content_type", "")
    if not isinstance(name, str) or not name or len(name) > MAX_SHORT:
        raise BadEnvelope(f"{place}name", "must be a text.")
    if not isinstance(kind, str) or len(kind) > MAX_SHORT:
        raise BadEnvelope(f"{place}content_type", "must be a text.")
    return Attachment(name=clean(name, 200), content=_stream(entry, "content", place), content_type=clean(kind, 200))
