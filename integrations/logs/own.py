"""Backledger's own JSON, for what no format covers: ``{"backledger": 1, "runs": [...]}``; see docs/own-json.md.

Read strictly: an unknown field or a value of the wrong kind is refused with a sentence that names it. Values that are
well formed but cannot be true (a negative size, an end before the start) are kept: the run is shown and marked.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn, get_args

from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import (
    Basis,
    Component,
    Delivery,
    ErrorKind,
    JobLog,
    LogError,
    Operation,
    Outcome,
    UnreadableLog,
)
from integrations.logs.json_documents import BadJson, load
from integrations.logs.moments import is_local, iso

LABEL = "Backledger JSON"
MARKS = ("backledger",)
GUIDE = Guide(
    releases="version 1",
    written_from="our own schema",
    operations=("backup", "copy", "replicate", "restore", "verify", "prune", "inventory"),
    basis="the one the document names",
    sizes=(("protected_bytes", "protected_bytes"),),
    ways=(
        Way(
            "http",
            "From a script of your own",
            'curl -sS -H "Authorization: Bearer @KEY@" --data-binary @run.json @URL@/api/v1/logs',
            note="The fields are described in own-json.md.",
        ),
    ),
)
VERSION = 1
MAX_RUNS = 10_000

TEXTS = {
    "product": "product", "action": "action", "run_id": "run_id", "job": "source_job", "item": "item", "host": "host",
    "account": "account", "repository": "repository", "archive": "archive", "product_version": "product_version",
}  # fmt: skip
SIZES = (
    "protected_bytes", "changed_bytes", "transferred_bytes", "stored_bytes", "restored_bytes", "freed_bytes",
    "files_failed", "errors_total", "exit_code", "chain_length",
)  # fmt: skip
TIMES = ("started_at", "ended_at", "last_full_at")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "operation": get_args(Operation),
    "outcome": get_args(Outcome),
    "basis": get_args(Basis),
}
FLAGS = ("complete", "rounded", "checksum_ok")
FIELDS = (
    "operation", "outcome", *TEXTS, "roots", *TIMES, "duration_seconds", *SIZES, *FLAGS, "basis",
    "files", "dirs", "errors", "components", "notes",
)  # fmt: skip
ERROR_FIELDS = ("message", "path", "severity", "code", "component", "kind")
COMPONENT_SIZES = ("protected_bytes", "transferred_bytes", "stored_bytes")
COMPONENT_FIELDS = ("type", "name", "outcome", *COMPONENT_SIZES, "message")


def recognises(head: Head) -> bool:
    """A JSON object with the key ``backledger``."""
    return "backledger" in head.document_keys()


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The runs of the document, in its order. Raises UnreadableLog with a sentence that names the field."""
    try:
        document = load(body.stdout)
    except BadJson as error:
        raise UnreadableLog(f"The document cannot be read: {error.reason}.", error.line) from None
    if not isinstance(document, dict):
        _refuse("document", 'must be an object like {"backledger": 1, "runs": [...]}')
    _refuse_unknown(document, ("backledger", "runs"), "document")
    if document.get("backledger") != VERSION or isinstance(document.get("backledger"), bool):
        _refuse("backledger", f"must be {VERSION}, the version of the schema")
    runs = document.get("runs")
    if not isinstance(runs, list) or not runs:
        _refuse("runs", "must be a list with at least one run")
    if len(runs) > MAX_RUNS:
        _refuse("runs", f"holds more than {MAX_RUNS} runs")
    return tuple(_run(entry, f"runs[{at}]", context) for at, entry in enumerate(runs))


def _refuse(place: str, reason: str) -> NoReturn:
    raise UnreadableLog(f"{place} {reason}.")


def _refuse_unknown(record: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in record:
        if key not in known:
            near = difflib.get_close_matches(key[:60], known, n=1)
            _refuse(f"{place}.{key[:60]}", "is not a field" + (f"; did you mean {near[0]}?" if near else ""))


def _run(entry: Any, place: str, context: Context) -> JobLog:
    if not isinstance(entry, dict):
        _refuse(place, "must be an object")
    _refuse_unknown(entry, FIELDS, place)
    for name in ("operation", "outcome"):
        if name not in entry:
            _refuse(f"{place}.{name}", "is missing")
    told: dict[str, Any] = {TEXTS[key]: _text(entry[key], f"{place}.{key}") for key in TEXTS if key in entry}
    told |= {key: _choice(entry[key], key, place) for key in CHOICES if entry.get(key) is not None}
    told |= {key: _whole(entry[key], f"{place}.{key}") for key in SIZES if entry.get(key) is not None}
    told |= {key: _flag(entry[key], f"{place}.{key}") for key in FLAGS if entry.get(key) is not None}
    told |= {key: _counts(entry[key], f"{place}.{key}") for key in ("files", "dirs") if key in entry}
    told |= {key: _texts(entry[key], f"{place}.{key}") for key in ("roots", "notes") if key in entry}
    told |= _times(entry, place, context)
    told["errors"] = tuple(_error(e, f"{place}.errors[{at}]") for at, e in enumerate(_list(entry, "errors", place)))
    told["components"] = tuple(
        _component(e, f"{place}.components[{at}]") for at, e in enumerate(_list(entry, "components", place))
    )
    told.setdefault("product", "own")
    return JobLog(**told)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        _refuse(place, "must be a text")
    return value


def _choice(value: Any, key: str, place: str) -> str:
    if value not in CHOICES[key]:
        _refuse(f"{place}.{key}", f"must be one of {', '.join(CHOICES[key])}")
    return str(value)


def _whole(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(place, "must be a whole number, without a unit")
    return value


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        _refuse(place, "must be true or false")
    return value


def _list(record: Mapping[str, Any], key: str, place: str) -> list[Any]:
    value = record.get(key, [])
    if not isinstance(value, list):
        _refuse(f"{place}.{key}", "must be a list")
    return value


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        _refuse(place, "must be a list of texts")
    return tuple(_text(entry, f"{place}[{at}]") for at, entry in enumerate(value))


def _counts(value: Any, place: str) -> dict[str, int]:
    if not isinstance(value, dict):
        _refuse(place, "must be an object of counts")
    return {str(key): _whole(number, f"{place}.{key[:60]}") for key, number in value.items()}


def _times(entry: Mapping[str, Any], place: str, context: Context) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for key in TIMES:
        if entry.get(key) is not None:
            told[key] = _moment(entry[key], f"{place}.{key}", context)
    seconds = entry.get("duration_seconds")
    if seconds is not None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            _refuse(f"{place}.duration_seconds", "must be a number of seconds")
        told["duration_seconds"] = float(seconds) if abs(seconds) < 10**12 else -1.0
    local = [key for key in TIMES if entry.get(key) is not None and told[key] is None]
    if local:
        told["problems"] = (f"{' and '.join(local)}: a local time, and no known time zone was sent with it.",)
    return told


def _moment(value: Any, place: str, context: Context) -> datetime | None:
    """UTC, or None for a local time without a zone. Raises UnreadableLog where it is no time."""
    printed = value if isinstance(value, str) else ""
    found = iso(printed[:60], context.zone)
    if found is None and not (is_local(printed[:60]) and context.zone is None):
        _refuse(place, "must be a time like 2026-01-31T22:15:00Z")
    return found


def _error(entry: Any, place: str) -> LogError:
    if not isinstance(entry, dict):
        _refuse(place, "must be an object with a message")
    _refuse_unknown(entry, ERROR_FIELDS, place)
    if "message" not in entry:
        _refuse(f"{place}.message", "is missing")
    told: dict[str, Any] = {
        key: _text(entry[key], f"{place}.{key}") for key in ERROR_FIELDS if entry.get(key) is not None
    }
    if told.get("severity", "error") not in ("error", "warning"):
        _refuse(f"{place}.severity", "must be error or warning")
    if told.get("kind", "other") not in get_args(ErrorKind):
        _refuse(f"{place}.kind", f"must be one of {', '.join(get_args(ErrorKind))}")
    return LogError(**told)


def _component(entry: Any, place: str) -> Component:
    if not isinstance(entry, dict):
        _refuse(place, "must be an object with type, name and outcome")
    _refuse_unknown(entry, COMPONENT_FIELDS, place)
    for key in ("type", "name", "outcome"):
        if key not in entry:
            _refuse(f"{place}.{key}", "is missing")
    sizes = {key: _whole(entry[key], f"{place}.{key}") for key in COMPONENT_SIZES if entry.get(key) is not None}
    return Component(
        type=_text(entry["type"], f"{place}.type"),
        name=_text(entry["name"], f"{place}.name"),
        outcome=_outcome(entry["outcome"], place),
        message=_text(entry.get("message", ""), f"{place}.message"),
        **sizes,
    )


def _outcome(value: Any, place: str) -> Outcome:
    for outcome in get_args(Outcome):
        if value == outcome:
            return outcome  # type: ignore[no-any-return]
    _refuse(f"{place}.outcome", f"must be one of {', '.join(get_args(Outcome))}")
