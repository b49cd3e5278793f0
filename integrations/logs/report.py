"""What ``parse --json`` prints: a reading as one plain object, and a folder's files as one delivery.

Called by the command, which does the reading of files; keys and units are those of the sample corpus: ``operation`` is
the tool's own word where it has one, ``finished_at`` the end, ``outcome`` the worst run's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from integrations.logs import Reading
from integrations.logs.bytes_to_text import decode
from integrations.logs.delivery import problem_of_zone
from integrations.logs.joblog import Attachment, Delivery, JobLog
from integrations.logs.moments import iso, zone_named

_UNSHOWN = ("action", "ended_at", "source_job", "host", "problems")


def as_parse_answer(path: str, reading: Reading) -> dict[str, Any]:
    """One object of ``parse --json``: path, format, outcome, error with its line, problems, and the runs."""
    return {
        "path": path,
        "format": reading.format,
        "outcome": reading.outcome if reading.runs else None,
        "error": reading.error,
        "line": reading.line,
        "problems": list(reading.problems),
        "runs": [_run_as_told(run) for run in reading.runs],
    }


def _run_as_told(run: JobLog) -> dict[str, Any]:
    """The keys of the corpus, and only what the log tells."""
    plain = {key: value for key, value in asdict(run).items() if key not in _UNSHOWN}
    plain["operation"] = run.action or run.operation
    plain["finished_at"] = run.ended_at
    plain["job"], plain["device"] = run.source_job, run.host
    plain["problems"] = run.problems
    kept = {key: _plain(value) for key, value in plain.items() if value is not None and value not in ("", (), {})}
    return {**kept, "errors": [_told(asdict(error)) for error in run.errors], "errors_total": run.errors_total}


def _told(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple):
        return [_told(item) if isinstance(item, dict) else item for item in value]
    return dict(value) if isinstance(value, Mapping) else value


# The log itself, by the name under which a folder keeps it; the first that holds anything is read.
_LOG_NAMES = ("stdout.log", "payload.json", "message.eml")
_DESCRIPTIONS = ("command.txt", "expected.json", "SOURCE.md")


def delivery_from_files(files: Mapping[str, bytes]) -> Delivery:
    """The delivery that the files of one folder make: logs by name, ``command.txt`` for what stood around the run.

    ``command.txt`` holds ``# key: value`` lines (host, exit code, TZ) and the command line after ``$``.
    """
    filled = {name: body for name, body in files.items() if name not in _DESCRIPTIONS and body.strip()}
    main = next((name for name in _LOG_NAMES if name in filled), None)
    if main is None and "stderr.log" not in filled:
        main = next((name for name in sorted(filled)), None)
    others = sorted(name for name in filled if name not in (main, "stderr.log"))
    delivery = Delivery(
        stdout=filled.get(main, b"") if main else b"",
        stderr=filled.get("stderr.log", b""),
        attachments=tuple(Attachment(name, filled[name]) for name in others),
        content_type="message/rfc822" if main == "message.eml" else "",
    )
    return _with_command(delivery, decode(files.get("command.txt", b"")))


_CLOCK = re.compile(r"^# wall clock: (\S+) \.\. (\S+)", re.M)


def _with_command(delivery: Delivery, told: str) -> Delivery:
    zone = _first(r"^# (?:[^\n]{0,200} )?TZ=(\S+)", told)
    code = _first(r"^# exit code: (-?[0-9]{1,9})\s*$", told)
    clock = _CLOCK.search(told)
    known = zone if zone and zone_named(zone) else None
    return replace(
        delivery,
        command=_first(r"^\$ (.+)$", told),
        host=_first(r"^# host: (\S+)", told),
        exit_code=int(code) if code else None,
        timezone=known,
        started_at=iso(clock.group(1), None) if clock else None,
        ended_at=iso(clock.group(2), None) if clock else None,
        problems=(problem_of_zone(zone),) if zone and not known else (),
    )


def _first(pattern: str, told: str) -> str:
    match = re.search(pattern, told, re.M)
    return match.group(1) if match else ""
