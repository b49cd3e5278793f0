"""The marker lines by which a home-made script tells its runs: ``BACKLEDGER outcome=success protected_bytes=123 ..``.

Called by the format ``script``. Read strictly, as docs/own-mail.md describes: an unknown key or a value of the wrong
kind is refused with its line, because a figure that is misread is worse than none.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, NoReturn, get_args

from integrations.logs.context import Context
from integrations.logs.joblog import Basis, JobLog, LogError, Operation, Outcome, UnreadableLog
from integrations.logs.moments import is_local, iso
from integrations.logs.troubles import kind_of

MARKER = re.compile(r"[> \t]{0,16}BACKLEDGER ([a-z_]{2,30}=.*)$")
_PAIR = re.compile(r'([a-z_]{2,30})=(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?:\s+|$)')
TEXTS = {
    "job": "source_job", "item": "item", "host": "host", "account": "account", "repository": "repository",
    "archive": "archive", "run_id": "run_id", "version": "product_version",
}  # fmt: skip
SIZES = (
    "protected_bytes", "changed_bytes", "transferred_bytes", "stored_bytes", "restored_bytes", "freed_bytes",
    "files_failed", "chain_length",
)  # fmt: skip
COUNTS = {"files": "total", "files_new": "new", "files_changed": "changed", "files_deleted": "deleted"}
TIMES = ("started_at", "ended_at", "last_full_at")
CHOICES: dict[str, tuple[str, ...]] = {
    "outcome": get_args(Outcome), "operation": get_args(Operation), "basis": get_args(Basis),
}  # fmt: skip
FLAGS = ("complete", "checksum_ok")
SEVERAL = ("error", "warning", "root", "note")
KEYS = (*CHOICES, *TEXTS, *SIZES, *COUNTS, *TIMES, *FLAGS, "duration_seconds", *SEVERAL)
_GOOD = ("success", "warning")


def run_of(words: str, *, number: int, context: Context) -> JobLog:
    """The run that one marker line tells of. Raises UnreadableLog with its line and what is wrong."""
    try:
        return _run(_pairs(words), context)
    except _Refused as error:
        raise UnreadableLog(f"The BACKLEDGER line cannot be used: {error}.", number) from None


class _Refused(ValueError):
    """What is wrong with a marker line."""


def _refuse(reason: str) -> NoReturn:
    raise _Refused(reason)


def _pairs(words: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    words = words.strip()
    while at < len(words):
        match = _PAIR.match(words, at)
        if match is None:
            _refuse(f"key=value is expected where {words[at : at + 30]!r} stands")
        quoted = match.group(2)
        found.append((match.group(1), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match.group(3)))
        at = match.end()
    return found


def _run(pairs: list[tuple[str, str]], context: Context) -> JobLog:
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {name: [] for name in SEVERAL}
    for key, value in pairs:
        if key in several:
            several[key].append(value)
        elif key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            _refuse(f"{key} is no key of it" + (f", did you mean {near[0]}?" if near else ""))
        elif key in single:
            _refuse(f"{key} stands in it twice")
        else:
            single[key] = value
    if "outcome" not in single:
        _refuse("it has no outcome")
    return _job_log(single, several, context)


def _job_log(single: dict[str, str], several: dict[str, list[str]], context: Context) -> JobLog:
    told: dict[str, Any] = {TEXTS[key]: single[key] for key in TEXTS if key in single}
    told |= {key: _choice(single[key], key) for key in CHOICES if key in single}
    told |= {key: _whole(single[key], key) for key in SIZES if key in single}
    told |= {key: _flag(single[key], key) for key in FLAGS if key in single}
    told |= {key: _moment(single[key], key, context) for key in TIMES if key in single}
    if "duration_seconds" in single:
        told["duration_seconds"] = _seconds(single["duration_seconds"])
    told.setdefault("operation", "backup")
    _check_sizes(told)
    errors = tuple(LogError(message=text, kind=kind_of(text)) for text in several["error"])
    errors += tuple(LogError(message=text, severity="warning", kind=kind_of(text)) for text in several["warning"])
    if told["outcome"] == "success" and several["error"]:
        _refuse("outcome is success, and an error stands beside it")
    counts = {COUNTS[key]: _whole(single[key], key) for key in COUNTS if key in single}
    local = [key for key in TIMES if key in single and told[key] is None]
    return JobLog(
        product="script",
        files=counts,
        errors=errors,
        errors_total=len(errors),
        roots=tuple(several["root"]),
        notes=tuple(several["note"]),
        problems=(f"{' and '.join(local)}: a local time, and no known time zone was sent with it.",) if local else (),
        **told,
    )


def _check_sizes(told: dict[str, Any]) -> None:
    """A protected size and the way it was counted belong together, and only to a run that came to its end."""
    if "protected_bytes" in told and "basis" not in told:
        _refuse(f"protected_bytes needs basis, one of {', '.join(CHOICES['basis'])}")
    if "basis" in told and "protected_bytes" not in told:
        _refuse("basis stands without protected_bytes")
    if told["operation"] not in ("backup", "copy"):
        return
    if told["outcome"] not in _GOOD and told["outcome"] != "running":
        told.pop("protected_bytes", None)
        told.pop("basis", None)
        told["complete"] = False if told["outcome"] in ("failure", "cancelled") else told.get("complete")


def _choice(value: str, key: str) -> str:
    if value not in CHOICES[key]:
        _refuse(f"{key} must be one of {', '.join(CHOICES[key])}")
    return value


def _whole(value: str, key: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", value):
        _refuse(f"{key} must be a whole number without a unit")
    return int(value)


def _flag(value: str, key: str) -> bool:
    if value not in ("true", "false"):
        _refuse(f"{key} must be true or false")
    return value == "true"


def _seconds(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", value):
        _refuse("duration_seconds must be a number of seconds")
    return float(value)


def _moment(value: str, key: str, context: Context) -> Any:
    """UTC, or None for a local time without a zone."""
    found = iso(value[:60], context.zone)
    if found is None and not (is_local(value[:60]) and context.zone is None):
        _refuse(f"{key} must be a time like 2026-01-31T22:15:00Z")
    return found
